"""The networks that MONAI builds: their sizes in the papers, and deep supervision."""

import copy
import pickle

import pytest
import torch
from safetensors.torch import load, save

from mmfusion.errors import MMFusionError
from mmfusion.registry import SEGMENTERS


def network(name: str, preset: str = "demo", **options):
    torch.manual_seed(0)
    return SEGMENTERS.get(name).from_preset(preset, **options)


def millions(net) -> float:
    return sum(p.numel() for p in net.parameters()) / 1e6


# Millions of parameters. Published: Swin UNETR 62.2 (48 features), attention U-Net 6.40 (Oktay et al.; MONAI
# has smaller gates), U-Net++ 9.04 in 2D (Zhou et al.). The others are measured.
@pytest.mark.parametrize(
    ("name", "dims", "expected", "tolerance"),
    [
        ("swinunetr", 3, 62.2, 0.005),
        ("attention_unet", 3, 6.40, 0.08),
        ("unetpp", 2, 9.04, 0.01),
        ("unetpp", 3, 26.4, 0.005),
        ("resenc_unet", 3, 31.2, 0.02),
        ("resenc_unet", 2, 10.9, 0.02),
    ],
)
def test_the_full_size_is_that_of_the_paper(name, dims, expected, tolerance):
    with torch.device("meta"):
        net = network(name, "full", spatial_dims=dims)
    assert millions(net) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(
    ("name", "most"),
    [("unet", 1.5), ("resenc_unet", 1.5), ("attention_unet", 1.5), ("unetpp", 1.5), ("swinunetr", 4.0)],
)
def test_the_demo_size_is_small(name, most):
    assert 0.1 < millions(network(name)) < most


@pytest.mark.parametrize("name", ["resenc_unet", "unetpp"])
def test_deep_supervision_reaches_the_coarse_heads_only_in_training(name):
    net = network(name, spatial_dims=2).train()
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    out = net(x)
    assert out["deep"]
    sum(one.square().mean() for one in out["deep"]).backward()
    with_deep = {key for key, p in net.named_parameters() if p.grad is not None}
    assert with_deep and not any(
        key.startswith("head") for key in with_deep
    )  # the fine head has no part in it
    assert "deep" not in net.eval()(x)
    without = network(name, spatial_dims=2, deep_supervision=False).train()
    out = without(x)
    assert "deep" not in out
    out["mask"].mean().backward()
    assert all(p.grad is not None for p in without.parameters())


def test_the_mask_does_not_depend_on_deep_supervision():
    """The heads of the coarse masks only read features."""
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    deep = network("resenc_unet", spatial_dims=2).eval()
    plain = network("resenc_unet", spatial_dims=2, deep_supervision=False).eval()
    plain.load_state_dict({k: v for k, v in deep.state_dict().items() if k in plain.state_dict()})
    with torch.no_grad():
        torch.testing.assert_close(deep(x)["mask"], plain(x)["mask"], rtol=0, atol=0)


def test_a_network_can_be_copied_and_saved_between_steps():
    net = network("resenc_unet", spatial_dims=2).train()
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    net(x)["mask"].mean().backward()
    again = network("resenc_unet", spatial_dims=2).train()
    again.load_state_dict(load(save(net.state_dict())))  # refuses weights that two names share
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), again):
        ours, theirs = net(x), other(x)
        assert torch.equal(ours["mask"], theirs["mask"]) and torch.equal(ours["deep"][0], theirs["deep"][0])


@pytest.mark.parametrize(
    "options",
    [
        {"channels": (8, 16)},
        {"channels": (8, 16, 32), "strides": (1, 2)},
        {"channels": (8, 16, 32), "kernels": (3, 3, 3, 3)},
    ],
)
def test_levels_that_do_not_fit_each_other(options):
    with pytest.raises(MMFusionError, match="cannot have these levels"):
        network("resenc_unet", **options)


def test_swin_unetr_is_described_without_memory():
    with torch.device("meta"):
        module = network("swinunetr", "full")
    assert {one.device.type for one in module.state_dict().values()} == {"meta"}
