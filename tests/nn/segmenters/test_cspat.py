import pytest
import torch
from monai.losses import DiceFocalLoss

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.gates import ChannelGate, SpatialGate
from mmfusion.nn.layers.recorded import recorded
from mmfusion.nn.segmenters.cspat import CSPAT

BOTH = ("mask", "expression")
# a network that is as small as tests allow
TINY = {"embed_dim": 4, "heads": (1, 1, 1, 1), "depths": (1, 1, 1, 1), "width": 8}


def network(preset="demo", **options):
    torch.manual_seed(0)
    return CSPAT.from_preset(preset, **options)


def millions(net):
    return sum(p.numel() for p in net.parameters()) / 1e6


@pytest.mark.parametrize(
    ("preset", "options", "expected"),
    [
        ("full", {}, 9.5),
        ("full", {"separable": False}, 22.0),
        ("demo", {}, 0.8),
        ("demo2d", {}, 0.45),
    ],
)
def test_numbers_of_parameters(preset, options, expected):
    """Full size: the estimates of the specification; demo: within its 0.5 to 0.9 M, less in 2-D."""
    with torch.device("meta"):
        assert millions(network(preset, tasks=BOTH, **options)) == pytest.approx(expected, rel=0.15)


def balls(dims, side, rows):
    """Rows with a bright ball each, and the masks of the balls."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(float(side))] * dims, indexing="ij"))
    centres = side * torch.tensor([[0.6, 0.5, 0.4], [0.3, 0.4, 0.6]])[:rows, :dims]
    distance = torch.stack([(grid - c.view(dims, *(1,) * dims)).norm(dim=0) for c in centres])[:, None]
    mask = (distance < side * torch.tensor([0.24, 0.16])[:rows].view(-1, *(1,) * (dims + 1))).float()
    return 0.2 + 0.5 * mask + 0.05 * torch.randn(mask.shape), mask


@pytest.mark.parametrize(
    ("dims", "side", "rows"), [(2, 64, 2), pytest.param(3, 32, 1, marks=pytest.mark.slow)]
)
def test_it_learns_one_batch(dims, side, rows):
    """Dice of at least .95 on the batch that it is trained on, and its expression."""
    net = network("demo", spatial_dims=dims, tasks=BOTH, genes=2, **TINY | {"width": 16})
    x, mask = balls(dims, side, rows)
    panel = torch.tensor([[1.0, -0.5], [-1.0, 0.5]])[:rows]
    optimizer, loss_of = torch.optim.AdamW(net.parameters(), lr=0.03), DiceFocalLoss(sigmoid=True)
    for step in range(80):
        out = net(x)
        found = (out["mask"] > 0).float()
        dice = 2 * (found * mask).flatten(1).sum(1) / (found + mask).flatten(1).sum(1)
        error = (out["expression"] - panel).square().mean()
        if step % 5 == 0 and dice.min() >= 0.95 and error < 0.1:
            return
        optimizer.zero_grad()
        (loss_of(out["mask"], mask) + error).backward()
        optimizer.step()
    pytest.fail(f"Dice {dice.tolist()}, squared error {error.item()}")


@pytest.mark.parametrize("neck", ["pan", "fpn", "none"])
@pytest.mark.parametrize("tasks", [("mask",), ("expression",), BOTH])
def test_every_ablation_trains_all_its_parameters(neck, tasks):
    net = network("demo2d", **TINY, neck=neck, tasks=tasks, genes=3, deep_supervision=True)
    out = net(torch.rand(2, 1, 64, 96))
    assert set(out) == set(tasks) | ({"deep"} if "mask" in tasks else set())
    deep = out.pop("deep", [])
    sum(one.square().mean() for one in (*out.values(), *deep)).backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None]
    assert [tuple(one.shape[2:]) for one in deep] == ([(16, 24), (8, 12)] if deep else [])
    assert all(one.shape == {"mask": (2, 1, 64, 96), "expression": (2, 3)}[k] for k, one in out.items())


def test_switches_change_the_network():
    sizes = {
        name: millions(network("demo2d", **TINY | options))
        for name, options in {
            "all": {},
            "no gates": {"gate": False},
            "adjacent": {"cross_scale": False},
            "fpn": {"neck": "fpn"},
            "separable": {"separable": True},
            "no context": {"depths": (1, 1, 1), "heads": (1, 1, 1)},
        }.items()
    }
    assert all(size < sizes["all"] for name, size in sizes.items() if name != "all")


def test_the_context_reaches_the_pyramid():
    net = network("demo2d", **TINY).eval()
    x = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        before = net.pyramid(x)
        net.context.conv.weight.zero_()
        net.context.conv.bias.zero_()
        after = net.pyramid(x)
    assert [tuple(one.shape[1:]) for one in before] == [(8, s, s) for s in (32, 16, 8, 4)]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_weights_of_the_links_can_be_recorded():
    net = network("demo2d", **TINY).eval()
    x = torch.rand(2, 1, 64, 64)
    with torch.no_grad(), recorded(net, SpatialGate) as positions, recorded(net, ChannelGate) as channels:
        net(x)
    links = [8, 16, 16, 32, 32, 32, 16, 8, 8, 4, 4, 4]  # top-down, then bottom-up, adjacent and not
    assert [one.shape[-1] for one in positions] == links
    assert [tuple(one.shape) for one in channels] == [(2, 8, 1, 1)] * len(links)
    assert all(((one > 0) & (one < 1)).all() for one in (*positions, *channels))
    net(x)
    assert len(positions) == len(links)


def test_the_predicted_mask_gets_no_gradient_from_the_expression():
    net = network("demo2d", **TINY, tasks=BOTH, genes=3, mask_pool=True)
    net(torch.rand(2, 1, 64, 64))["expression"].sum().backward()
    assert all(p.grad is None for p in net.mask_head.parameters())
    assert all(p.grad is not None for p in net.backbone.parameters())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"neck": "bifpn"}, "no such neck .*pan, fpn, none"),
        ({"tasks": "mask"}, "no such tasks"),
        ({"tasks": ("mask", "stage")}, "no such tasks"),
        ({"mask_pool": True}, "needs both tasks"),
        ({"tasks": BOTH, "genes": 0}, "panel of genes"),
        ({"depths": (1, 1)}, "three stages"),
    ],
)
def test_options_that_do_not_fit(options, problem):
    with pytest.raises(MMFusionError, match=problem):
        network(**options)
