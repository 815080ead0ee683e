import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.segmenters.raemd import RAEMD
from tests.nn.segmenters.learning import balls, overfit
from tests.nn.streams import build

TINY = {"base": 4, "growth": 4, "layers": 2, "hidden": 4}
# rows of the ablation in the paper, from the plain network to the whole one
ABLATION = {
    "plain": {"multi_scale": False, "dense": False, "lstm": "none", "attention": False},
    "multi-scale": {"dense": False, "lstm": "none", "attention": False},
    "dense": {"lstm": "none", "attention": False},
    "pooled LSTM": {"lstm": "pooled", "attention": False},
    "LSTM": {"attention": False},
    "attention": {},
}


def count(preset: str, **options) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in RAEMD.from_preset(preset, **options).parameters())


def test_the_number_of_weights():
    assert count("demo") == pytest.approx(0.2e6, rel=0.15)
    assert 3.5e6 < count("full") < 4e6
    assert count("full", hidden=128) == pytest.approx(6.5e6, rel=0.15)


def test_each_part_can_be_switched_off():
    sizes = {name: count("full", **options) for name, options in ABLATION.items()}
    assert len(set(sizes.values())) == len(sizes)
    assert sizes["dense"] < sizes["pooled LSTM"] < sizes["LSTM"] < sizes["attention"]
    with torch.device("meta"):
        net = RAEMD(**ABLATION["plain"])
    names = {type(part).__name__ for part in net.modules()}
    assert not names & {"MultiScaleStem", "ResidualDenseBlock", "ConvLSTM", "LSTM", "ResidualGate"}


@pytest.mark.parametrize("lstm", ["conv", "pooled", "none"])
def test_which_slices_a_mask_depends_on(lstm):
    net = build(lambda: RAEMD(**TINY, lstm=lstm)).eval()
    x = balls((5, 16, 16))[0].requires_grad_()
    net(x)["mask"][0, :, 2].sum().backward()
    reached = (x.grad.abs().amax(dim=(1, 3, 4)) > 0).tolist()
    alone = [False, False, True, False, False]
    assert reached[0] == (alone if lstm == "none" else [True] * 5) and not any(reached[1])


def test_slices_without_an_lstm_may_come_in_any_order():
    net = build(lambda: RAEMD(**TINY, lstm="none")).eval()
    x = balls((5, 16, 16))[0]
    torch.testing.assert_close(net(x.flip(2))["mask"], net(x)["mask"].flip(2))
    series = build(lambda: RAEMD(**TINY)).eval()
    assert not torch.allclose(series(x.flip(2))["mask"], series(x)["mask"].flip(2))


def test_any_number_of_slices():
    net = build(lambda: RAEMD(**TINY)).eval()
    x = balls((5, 18, 13))[0]
    assert net(x)["mask"].shape == x.shape  # y and x are padded, z is not
    assert net(x[:, :, :1])["mask"].shape == (2, 1, 1, 18, 13)


def test_wrong_options():
    with pytest.raises(MMFusionError, match=r"no such LSTM.*conv, pooled, none"):
        RAEMD(**TINY, lstm="flat")
    with pytest.raises(MMFusionError, match=r"reads series of slices"):
        RAEMD(spatial_dims=2)


QUICK = ("plain", "attention")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in ABLATION]
)
def test_it_learns_one_batch_by_heart(name):
    x, mask = balls((3, 20, 20))
    found = overfit(lambda: RAEMD(**TINY, **ABLATION[name]), x, mask, steps=200, lr=0.03)
    assert found >= 0.95
