import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.haar import haar
from mmfusion.nn.segmenters.petct_unet import PETCTUNet
from tests.nn.segmenters.learning import balls, overfit
from tests.nn.streams import build

TINY = {"channels": (8, 8, 8)}


def net_of(**options) -> PETCTUNet:
    return build(lambda: PETCTUNet(**{**TINY, **options}))


@pytest.mark.parametrize("wavelet", [False, True])
@pytest.mark.parametrize("dims", [2, 3])
def test_deep_supervision_in_training_only(dims, wavelet):
    net = net_of(
        channels=(4, 4, 8, 8), spatial_dims=dims, wavelet=wavelet, deep_supervision=True, attention="none"
    )
    x = balls((16,) * dims, 2)[0]
    out = net(x)
    first = 16 // (4 if wavelet else 2)
    assert out["mask"].shape == (2, 1) + (16,) * dims
    assert [one.shape[1:] for one in out["deep"]] == [(1,) + (first // k,) * dims for k in (1, 2)]
    assert "deep" not in net.eval()(x)
    torch.testing.assert_close(net(x)["mask"], net.train()(x)["mask"])  # the mask is the same
    assert "deep" not in net_of(attention="none").train()(balls((8, 8, 8), 2)[0])


def test_wavelets_of_both_scans_go_in_and_wavelets_of_the_logits_come_out():
    net = net_of(wavelet=True, spatial_dims=2, attention="none").eval()
    seen = {}
    net.encoder.register_forward_hook(lambda _, args, out: seen.update(scans=args))
    net.head.register_forward_hook(lambda _, args, out: seen.update(head=out))
    x = balls((16, 24), 2)[0]
    mask = net(x)["mask"]
    assert net.divisor == (8, 8)
    torch.testing.assert_close(torch.cat(seen["scans"], 1), torch.cat([haar(x[:, :1]), haar(x[:, 1:])], 1))
    torch.testing.assert_close(haar(mask), seen["head"])


@pytest.mark.parametrize("attention", ["none", "msam", "isa"])
def test_both_scans_count(attention):
    net = net_of(attention=attention, spatial_dims=2).eval()
    x = balls((16, 16), 2)[0].requires_grad_()
    net(x)["mask"].sum().backward()
    assert x.grad.abs().amax((0, 2, 3)).all()


def test_small_and_odd_patches():
    net = net_of(wavelet=True).eval()
    assert net(torch.rand(1, 2, 1, 9, 5))["mask"].shape == (1, 1, 1, 9, 5)
    assert torch.isfinite(net(torch.zeros(1, 2, 8, 8, 8))["mask"]).all()  # the deepest map is one voxel


def test_wrong_options():
    with pytest.raises(MMFusionError, match=r"no such attention.*none, msam, isa; got dual"):
        PETCTUNet(attention="dual")
    with pytest.raises(MMFusionError, match=r"reads CT and PET"):
        PETCTUNet(in_channels=1)


WIDE = {"wavelet": True, "channels": (16, 16, 16)}
CASES = {
    "early fusion": ((16, 16), {"attention": "none"}),
    "MSAM": ((16, 16), {"attention": "msam", "deep_supervision": True}),
    "ISA": ((16, 16), {"attention": "isa"}),
    "ISA on wavelets": ((24, 24), {**WIDE, "attention": "isa", "deep_supervision": True}),
    "3-D": ((12, 12, 12), {**WIDE, "attention": "isa", "channels": (16, 16)}),
}


@pytest.mark.parametrize("case", [pytest.param(c, marks=[pytest.mark.slow] * (c == "3-D")) for c in CASES])
def test_it_learns_one_batch_by_heart(case):
    sides, options = CASES[case]
    x, mask = balls(sides, 2)
    options = {**TINY, **options, "spatial_dims": len(sides)}
    lr = {2: 0.02, 3: 0.01}[len(sides)]
    assert overfit(lambda: PETCTUNet(**options), x, mask, steps=200, lr=lr) >= 0.95
