"""What is registered is tested: the contract of every segmentation network."""

import numpy as np
import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.segmenters import get_preset
from mmfusion.nn.training.windows import predict_volume
from mmfusion.registry import SEGMENTERS, list_segmenters
from tests.nn.segmenters.overfit import dice_after_overfitting

NAMES = list(list_segmenters().index)
pytestmark = pytest.mark.parametrize("name", NAMES)


def network(name: str, preset: str = "demo", **options):
    torch.manual_seed(0)
    return SEGMENTERS.get(name).from_preset(preset, **options)


def patch(net, name: str, b: int = 2, sides=None):
    sides = tuple(sides or get_preset(name, "demo").size)
    slab = (net.slab,) if net.slab else ()
    return torch.rand(b, net.in_channels, *slab, *sides, generator=torch.Generator().manual_seed(1))


def test_facts(name):
    row = list_segmenters().loc[name]
    assert all(row) and row["summary"].endswith(".")
    assert set(SEGMENTERS.get(name).presets) >= {"demo", "full"}


def test_a_mask_of_the_size_of_the_input(name):
    net = network(name).eval()
    x = patch(net, name)
    with torch.no_grad():
        out = net(x)
    assert out["mask"].shape == (2, 1, *x.shape[-net.spatial_dims :]) and out["mask"].dtype == torch.float32
    assert torch.isfinite(out["mask"]).all() and "deep" not in out


def test_sides_that_are_no_multiples_of_the_strides(name):
    net = network(name).eval()
    x = patch(net, name, 1, [side - 3 for side in get_preset(name, "demo").size])
    with torch.no_grad():
        assert net(x)["mask"].shape[2:] == x.shape[-net.spatial_dims :]


@pytest.mark.parametrize("shape", [(1, 21, 35), (5, 40, 3)])
def test_scans_of_any_size_and_of_one_value(name, shape):
    """A scan may have one slice, or be smaller than a patch. The mask of a constant scan is finite."""
    net = network(name).eval()
    noise = torch.rand(net.in_channels, *shape, generator=torch.Generator().manual_seed(1)).numpy()
    for image in (noise, noise * 0):
        found = predict_volume(net, image, get_preset(name, "demo").size, slab=net.slab)
        assert found.shape == (1, *shape) and np.isfinite(found).all()


def test_patches_do_not_depend_on_the_others_of_a_batch(name):
    net = network(name).eval()
    x = patch(net, name, 3)
    with torch.no_grad():
        torch.testing.assert_close(net(x)["mask"][1:2], net(x[1:2])["mask"], atol=1e-4, rtol=1e-4)


def test_every_parameter_gets_a_gradient(name):
    net = network(name).train()
    out = net(patch(net, name))
    loss = sum(one.square().mean() for one in out.values() if isinstance(one, torch.Tensor))
    loss = loss + sum(one.square().mean() for one in out.get("deep", ()))
    loss.backward()
    idle = [key for key, p in net.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


def test_coarse_masks_are_trained_with_any_size(name):
    """Coarse logits come only while the network is trained, and each is a mask of the whole input."""
    net = network(name).train()
    sides = [side - 3 for side in get_preset(name, "demo").size]
    x = patch(net, name, 2, sides)
    for deep in net(x).get("deep", ()):
        assert deep.shape == (2, 1, *x.shape[-net.spatial_dims :])


def test_it_overfits_one_batch_in_2d(name):
    dims = list_segmenters().loc[name, "dims"].split(", ")
    if "2" not in dims:
        pytest.skip("reads volumes or slabs only")
    net = network(name, **({"spatial_dims": 2} if len(dims) > 1 else {}))
    assert dice_after_overfitting(net, get_preset(name, "demo").size[-2:]) >= 0.95


@pytest.mark.slow
def test_it_overfits_one_batch(name):
    assert dice_after_overfitting(network(name), get_preset(name, "demo").size) >= 0.95


def test_an_input_of_another_form_is_refused(name):
    net = network(name)
    x = patch(net, name)
    with pytest.raises(MMFusionError, match=r"cannot read this input .*expected shape"):
        net(x[..., 0])
    with pytest.raises(MMFusionError, match="cannot read this input"):
        net(torch.cat([x, x, x], 1))


def test_the_full_size_can_be_built(name):
    with torch.device("meta"):
        net = network(name, "full")
    x = patch(net, name, 1, get_preset(name, "full").size).to("meta")
    assert net(x)["mask"].shape[2:] == x.shape[-net.spatial_dims :]


def test_an_unknown_preset_or_option(name):
    with pytest.raises(MMFusionError, match="no preset"):
        network(name, "huge")
    with pytest.raises(MMFusionError, match="does not take"):
        network(name, "demo", colour="blue")


def test_features_of_each_level(name):
    """Networks that name levels of features return a row per patch, whatever else is in the batch."""
    net = network(name).eval()
    x = patch(net, name)
    for level in net.feature_levels:
        with torch.no_grad():
            both, first = net.features(x, None, level), net.features(x[:1], None, level)
        assert both.ndim == 2 and len(both) == 2 and torch.isfinite(both).all()
        torch.testing.assert_close(both[:1], first)
