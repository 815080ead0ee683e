"""Grad-CAM at a layer: known maps in two and three dimensions, with gradients off around the call."""

import pytest
import torch
from torch import nn

from mmfusion.explain import layer_gradcam


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
