import numpy as np
import pytest
import torch
from torch import nn

from mmfusion.nn.encoders.ct_resnet import CTResNet
from mmfusion.streams import StreamSpec
from tests.nn.streams import build


def crop(side: int) -> StreamSpec:
    return StreamSpec("ct", "ct", (1, side, side, side))


@pytest.mark.parametrize(
    ("widths", "count"),
    [((8, 16, 32, 64), 235_768), ((16, 32, 64, 128), 919_152), ((32, 64, 128, 256), 3_629_152)],
)
def test_published_parameter_counts(widths, count):
    """0.24, 0.92 and 3.63 million with a 7-voxel first kernel and 128 channels out; ours adds 8 positions."""
    with torch.device("meta"):
        net = CTResNet(crop(96), 128, 0.3, widths=widths, conv1=7, max_pool=True)
    assert sum(p.numel() for p in net.parameters()) - net.position.numel() == count


@pytest.mark.parametrize("side", [16, 24, 33])
def test_any_side(side):
    net = build(lambda: CTResNet(crop(side), 8, 0.0)).eval()
    assert net(torch.rand(1, 1, side, side, side, generator=torch.Generator().manual_seed(0))).shape == (
        1,
        8,
        8,
    )


@pytest.mark.parametrize(
    ("side", "options", "stage"), [(32, {}, 2), (96, {}, 3), (96, {"max_pool": True}, 2), (16, {}, 1)]
)
def test_gradcam_layer_has_a_fine_enough_map(side, options, stage):
    net = build(lambda: CTResNet(crop(side), 8, 0.0, **options))
    assert net.gradcam_layer is getattr(net.trunk, f"layer{stage}")
    maps = []
    net.gradcam_layer.register_forward_hook(lambda module, inputs, output: maps.append(output))
    net(torch.rand(1, 1, side, side, side, generator=torch.Generator().manual_seed(0)))
    assert min(maps[0].shape[2:]) >= 8


@pytest.mark.parametrize(("side", "options"), [(32, {}), (33, {}), (96, {}), (96, {"max_pool": True})])
def test_the_middle_of_a_cell_is_where_the_stride_says(side, options):
    """The convolutions up to a cell read equally far to both sides of a voxel: number times stride."""
    net = build(lambda: CTResNet(crop(side), 8, 0.0, **options))
    trunk, stage = net.trunk, int(np.log2(net.gradcam_stride)) - (1 if not options else 2)
    x = torch.zeros(1, 1, side, side, side, requires_grad=True)
    y = trunk.conv1(x) if not options else nn.functional.avg_pool3d(trunk.conv1(x), 3, 2, 1)
    for layer in [trunk.layer1, trunk.layer2, trunk.layer3][: stage + 1]:
        y = layer[0].conv2(layer[0].conv1(y))  # without norms, which read the whole map
    cell = [n // 2 - 1 for n in y.shape[2:]]
    (gradient,) = torch.autograd.grad(y[0, :, *cell].sum(), x)
    for axis, number in enumerate(cell):
        others = [a for a in range(3) if a != axis]
        reached = np.flatnonzero(gradient[0, 0].abs().amax(dim=others).numpy())
        assert (reached[0] + reached[-1]) / 2 == number * net.gradcam_stride


def test_a_token_is_an_octant():
    net = build(lambda: CTResNet(crop(64), 8, 0.0, widths=(8, 8, 8, 8))).eval()
    x = torch.zeros(1, 1, 64, 64, 64, requires_grad=True)
    maps = []
    net.trunk.layer4.register_forward_hook(lambda module, inputs, output: maps.append(output))
    tokens = net(x)
    (gradient,) = torch.autograd.grad(tokens[0, 1].sum(), maps[0])  # z low, y low, x high
    assert gradient[0, :, :2, :2, 2:].any()
    assert (
        not gradient[0, :, 2:].any()
        and not gradient[0, :, :, 2:].any()
        and not gradient[0, :, :, :, :2].any()
    )
