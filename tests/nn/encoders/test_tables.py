import torch

from mmfusion.nn.encoders.ft_transformer import FTTransformer
from mmfusion.nn.encoders.table_values import TableValues
from mmfusion.streams import TABLE
from tests.nn.streams import build, draw, that_fits


def test_imputed_numbers_are_not_read_by_the_transformer():
    net = build(lambda: FTTransformer(that_fits(TABLE), 16)).eval()
    x = draw(net.spec, 6)
    x[:, 1, 2] = 0.0
    changed = x.clone()
    changed[:, 0, 2] = 99.0
    assert torch.equal(net(x), net(changed))
    changed[:, 1, 2] = 1.0
    assert not torch.equal(net(x), net(changed))


def test_values_are_handed_on_as_they_are():
    spec = that_fits(TABLE)
    x = draw(spec, 3)
    for d in (1, 2, 16):
        out = TableValues(spec, d)(x).flatten(1)
        assert torch.equal(out[:, : spec.shape[1]], x[:, 0])
        assert not out[:, spec.shape[1] :].any()
