"""What is registered is tested: the contract of every encoder."""

import numpy as np
import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.explain import scan_gradcam
from mmfusion.nn.encoders import DEFAULTS
from mmfusion.nn.net import FusionNet
from mmfusion.registry import ENCODERS, list_encoders
from mmfusion.streams import CUBE
from tests.explain.models import model_of, rows
from tests.explain.models import specs as scan_specs
from tests.nn.streams import build, draw, specs, that_fits

D = 16
NAMES = list(list_encoders().index)
pytestmark = pytest.mark.parametrize("name", NAMES)


def encoder(name: str):
    cls = ENCODERS.get(name)
    return build(lambda: cls(that_fits(cls.reads), D, 0.3))


def test_facts(name):
    facts, cls = list_encoders().loc[name], ENCODERS.get(name)
    assert all(facts) and facts["summary"].endswith(".")
    assert "Notes" in cls.__doc__ and "output (b" in cls.__doc__  # the shapes are said
    assert cls.reads in DEFAULTS


def test_tokens_of_any_number_of_patients(name):
    net = encoder(name).eval()
    for b in (1, 5):
        out = net(draw(net.spec, b))
        assert out.shape == (b, net.n_tokens, D) and out.dtype == torch.float32
        assert torch.isfinite(out).all()


def test_a_patient_does_not_depend_on_the_others(name):
    net = encoder(name).eval()
    x, others = draw(net.spec, 6), draw(net.spec, 6, seed=1)
    others[2] = x[2]
    assert torch.equal(net(x)[2], net(others)[2])  # other patients: the same bits
    torch.testing.assert_close(
        net(x)[2:3], net(x[2:3]), rtol=1e-5, atol=1e-5
    )  # alone: other sums, same numbers
    order = torch.tensor([5, 3, 1, 0, 2, 4])
    torch.testing.assert_close(net(x[order]), net(x)[order], rtol=1e-5, atol=1e-5)


def test_no_batch_statistics_in_training_either(name):
    cls = ENCODERS.get(name)
    net = build(
        lambda: cls(that_fits(cls.reads), D, 0.0, **({"gene_dropout": 0.0} if name == "gene_gat" else {}))
    ).train()
    x, others = draw(net.spec, 6), draw(net.spec, 6, seed=1)
    others[2] = x[2]
    assert torch.equal(net(x)[2], net(others)[2])
    assert torch.isfinite(net(x[:1])).all()


def test_every_parameter_learns(name):
    net = encoder(name).train()
    if not list(net.parameters()):
        return  # nothing to learn
    weights = torch.randn(net.n_tokens, D, generator=torch.Generator().manual_seed(0))
    (net(draw(net.spec, 8)) * weights).sum().backward()
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not still


def test_evaluation_is_deterministic_and_training_is_not_harmful(name):
    net = encoder(name)
    x = draw(net.spec, 4)
    before = x.clone()
    net.train()(x)
    a, b = net.eval()(x), net(x)
    assert torch.equal(a, b) and torch.equal(x, before)


def test_state_dict_round_trip(name):
    cls = ENCODERS.get(name)
    one, two = encoder(name).eval(), build(lambda: cls(that_fits(cls.reads), D, 0.3), seed=1).eval()
    two.load_state_dict(one.state_dict())
    x = draw(one.spec, 3)
    assert torch.equal(one(x), two(x))


def test_gradients_reach_the_inputs(name):
    net = encoder(name).eval()
    x = draw(net.spec, 3).requires_grad_()
    net(x)[1].square().sum().backward()
    assert x.grad[1].abs().max() > 0 and not x.grad[[0, 2]].any()


def test_a_stream_of_another_shape_is_refused(name):
    cls = ENCODERS.get(name)
    other = next(spec for spec in specs() if not spec.fits(cls.reads))
    with pytest.raises(MMFusionError, match=other.name):
        cls(other, D, 0.3)


def test_built_on_the_meta_device(name):
    cls = ENCODERS.get(name)
    with torch.device("meta"):
        count = sum(p.numel() for p in cls(that_fits(cls.reads), D, 0.3).parameters())
    assert count == sum(p.numel() for p in encoder(name).parameters())


def test_random_state_is_untouched_by_evaluation(name):
    net = encoder(name).eval()
    before = torch.get_rng_state()
    net(draw(net.spec, 2))
    assert torch.equal(before, torch.get_rng_state())


def test_maps_of_scans(name):
    if ENCODERS.get(name).reads != CUBE:
        return  # not a volume
    streams, X = scan_specs(), rows(3)
    net = build(lambda: FusionNet(streams, 3, encoders={"ct": name}, fusion="concat", d=D, hidden=D))
    for found in (
        scan_gradcam(model_of(net, streams), X),
        scan_gradcam(model_of(net, streams), X, class_="predicted"),
    ):
        assert found.maps.shape == X.arrays["ct"][:, 0].shape
        assert np.isfinite(found.maps).all() and (found.maps >= 0).all() and (found.maps <= 1).all()
    assert found.maps.any()
