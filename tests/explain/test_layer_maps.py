"""Grad-CAM and HiResCAM at a layer: known maps, with gradients off around the call."""

import numpy as np
import pytest
import torch
from torch import nn

from mmfusion.explain import layer_gradcam, layer_hirescam
from mmfusion.explain.layer_maps import on_input_grid


class Sum(nn.Module):
    """Two outputs: the mean of the layer, and its negative."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, x, factor=1.0):
        mean = factor * self.layer(x).flatten(1).mean(1)
        return torch.stack([mean, -mean], 1)


@pytest.mark.parametrize("space", [(4,), (4, 3), (4, 3, 5)])
def test_the_map_is_the_positive_part_of_what_raises_the_output(space):
    torch.manual_seed(0)
    x, network = torch.randn(2, 1, *space), Sum()
    with torch.no_grad():
        up, down = (layer_gradcam(network, network.layer, x, k) for k in (0, 1))
    share = 1 / x[0].numel()
    torch.testing.assert_close(up, x[:, 0].clamp_min(0) * share)
    torch.testing.assert_close(down, (-x[:, 0]).clamp_min(0) * share)
    each = layer_gradcam(network, network.layer, x, torch.tensor([0, 1]), extra=2.0)
    torch.testing.assert_close(each, 2 * torch.stack([up[0], down[1]]))
    assert not up.requires_grad and not network.layer._forward_hooks


def test_maps_have_the_size_of_the_input():
    network = nn.Sequential(nn.Conv3d(1, 2, 2, stride=2), nn.Flatten(), nn.Linear(2 * 8, 3))
    assert layer_gradcam(network, network[0], torch.rand(1, 1, 4, 4, 4), 2).shape == (1, 4, 4, 4)


@pytest.mark.parametrize("space", [(4,), (4, 3), (4, 3, 5)])
def test_hirescam_has_the_sign_of_what_raises_the_output(space):
    torch.manual_seed(0)
    x, network = torch.randn(2, 1, *space), Sum()
    with torch.no_grad():
        up, down = (layer_hirescam(network, network.layer, x, k, extra=2.0) for k in (0, 1))
    torch.testing.assert_close(up, 2 * x[:, 0] / x[0].numel())
    torch.testing.assert_close(down, -up)
    assert not up.requires_grad and not network.layer._forward_hooks


def test_hirescam_keeps_the_place_where_gradcam_loses_it():
    # one half of the input raises the output, the other lowers it: the mean gradient of the channel is 0
    network = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(4, 1, bias=False))
    network[2].weight.data = torch.tensor([[1.0, 1.0, -1.0, -1.0]])
    x = torch.tensor([[[0.0, 3.0, 0.0, 3.0]]])
    assert layer_gradcam(network, network[0], x, 0).tolist() == [[0, 0, 0, 0]]
    assert layer_hirescam(network, network[0], x, 0).tolist() == [[0, 3, 0, -3]]


@pytest.mark.parametrize("side", [8, 9, 11])
@pytest.mark.parametrize("stride", [2, 4])
def test_the_grid_of_a_layer_with_a_stride(side, stride):
    """Padded convolutions with a stride read around voxels 0, stride, 2 * stride ..."""
    x = torch.zeros(1, 1, *[side] * 3)
    at = (stride, 0, stride)  # off centre
    x[0, 0][at] = 1
    small = x[:, :, ::stride, ::stride, ::stride]
    out = on_input_grid(small, x.shape[2:], stride)
    assert out.shape == x.shape and out[0, 0][at] == 1
    assert tuple(int(i) for i in np.unravel_index(int(out.argmax()), out.shape[2:])) == at
