import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.segmenters.raseg import RASeg
from tests.nn.segmenters.learning import balls, overfit
from tests.nn.streams import build

TINY = {"channels": (4, 8, 8, 8), "hidden": 8, "layers": 1, "dropout": 0.0}


def millions(module: torch.nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


def on_meta(preset: str, **options) -> RASeg:
    with torch.device("meta"):
        return RASeg.from_preset(preset, **options)


@pytest.fixture
def tiny():
    return build(lambda: RASeg(**TINY)).eval()


def box_of(shape, low: int, high: int) -> torch.Tensor:
    cue = torch.zeros(shape)
    cue[..., low:high, low:high, low:high] = 1
    return cue


def test_the_weights_of_the_paper_by_part():
    net = on_meta("full")
    parts = [millions(net.encoder) + millions(net.gates), millions(net.recurrent)]
    assert [*parts, millions(net.decoder) + millions(net.head)] == pytest.approx(
        [4.68, 56.63, 9.29], abs=0.005
    )
    assert millions(net) == pytest.approx(70.6, abs=0.05)
    assert millions(on_meta("demo")) == pytest.approx(1.11, abs=0.005)


def test_a_bottleneck_before_the_convlstm_makes_the_network_small():
    net = on_meta("full", bottleneck=128, hidden=128)
    assert millions(net.recurrent) < 4 and millions(net) < 16
    assert on_meta("demo", bidirectional=True).recurrent.out_channels == 128


def test_without_the_convlstm_slices_far_apart_do_not_meet():
    """A ConvLSTM carries what it saw in the first slices up to the last ones; convolutions do not."""
    reached = {}
    for layers in (0, 1):
        net = build(lambda layers=layers: RASeg(**TINY | {"layers": layers})).eval()
        for one in net.modules():  # a norm of instances would join all slices
            if isinstance(one, torch.nn.InstanceNorm3d):
                one.forward = lambda x: x
        x = torch.rand(1, 1, 160, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
        net(x)["mask"][:, :, -1].sum().backward()
        reached[layers] = bool(x.grad[:, :, 0].any())
    assert reached == {0: False, 1: True}


def test_the_features_of_the_paper():
    net = on_meta("full")
    x = torch.empty(1, 1, 256, 256, 256, device="meta")
    sizes = [net.features(x, None, level).shape[1] for level in ("high", "mid", "multi")]
    assert sizes == [8192, 8192, 16384]


def test_features_are_means_of_slices(tiny):
    x = balls((32, 16, 16))[0]
    high, mid, multi = (tiny.features(x, None, level) for level in ("high", "mid", "multi"))
    assert high.shape == (2, 4 * 16) and mid.shape == (2, 8 * 2)
    torch.testing.assert_close(multi, torch.cat([high, mid], 1))
    seen = {}
    tiny.decoder[-1].register_forward_hook(lambda *args: seen.update(high=args[-1]))
    tiny(x)
    torch.testing.assert_close(high.unflatten(1, (4, 16))[1, 2, 3], seen["high"][1, 2, 3].mean())


def test_features_need_a_known_level_and_whole_slices(tiny):
    x = torch.zeros(1, 1, 32, 32, 32)
    with pytest.raises(MMFusionError, match=r"unknown level .*high, mid, multi"):
        tiny.features(x, None, "low")
    with pytest.raises(MMFusionError, match=r"no features of this input.*multiples of 16"):
        tiny.features(x[..., 1:])


def test_a_box_everywhere_gives_the_same_weight_to_all_voxels(tiny):
    x = torch.rand(2, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    for net in (tiny, tiny.train()):
        for gate, channels in zip(net.gates, TINY["channels"]):
            weights = gate(torch.ones(2, channels, 4, 4, 4), torch.ones(2, 1, 32, 32, 32)) - 1
            assert (weights > 0).all() and (weights < 1).all()
            torch.testing.assert_close(weights, weights[:, :, :1, :1, :1].expand_as(weights))
    net = tiny.eval()
    torch.testing.assert_close(net(x)["mask"], net(x, torch.ones_like(x))["mask"])


def test_a_box_changes_the_skip_connections_only(tiny):
    x = balls((32, 32, 32))[0]
    cue = box_of(x.shape, 8, 24)
    assert (tiny(x, cue)["mask"] - tiny(x)["mask"]).abs().max() > 1e-3
    # what goes down to the ConvLSTM has not seen the box
    torch.testing.assert_close(tiny.features(x, cue, "mid"), tiny.features(x, None, "mid"))
    assert not torch.allclose(tiny.features(x, cue), tiny.features(x))


def test_the_box_is_padded_with_the_scan(tiny):
    x = balls((30, 30, 30))[0]
    inside = box_of(x.shape, 10, 20)
    padded = [torch.nn.functional.pad(one, (1,) * 6, mode="replicate") for one in (x, inside)]
    torch.testing.assert_close(tiny(x, inside)["mask"], tiny(*padded)["mask"][..., 1:-1, 1:-1, 1:-1])


def test_the_convlstm_reads_the_slices_in_order():
    """The output of the ConvLSTM at a slice does not depend on later slices, unless it reads both ways."""
    for both in (False, True):
        net = build(lambda both=both: RASeg(**TINY, bidirectional=both)).eval()
        maps = torch.randn(
            1, 4, 8, 2, 2, generator=torch.Generator().manual_seed(0)
        )  # encoded slices: b z c y x
        later = maps.clone()
        later[:, 3] += 1
        same = torch.isclose(net.recurrent(maps), net.recurrent(later)).all(dim=(0, 2, 3, 4)).tolist()
        assert same == [not both] * 3 + [False]


def test_wrong_uses(tiny):
    with pytest.raises(MMFusionError, match=r"RASeg reads volumes"):
        RASeg(spatial_dims=2)
    with pytest.raises(MMFusionError, match=r"single voxel .*a side above 16"):
        tiny(torch.zeros(1, 1, 16, 9, 16))


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "bottleneck": 6}], ids=["paper", "options"])
def test_it_learns_one_batch_by_heart(options):
    x, mask = balls((32, 32, 32))
    cue = torch.nn.functional.max_pool3d(mask, 5, 1, 2)
    found = overfit(
        lambda: RASeg(**{**TINY, "channels": (8, 16, 16, 16)}, **options),
        x,
        mask,
        steps=200,
        lr=0.01,
        cue=cue,
    )
    assert found >= 0.95
