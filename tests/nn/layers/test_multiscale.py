import pytest
import torch

from mmfusion.nn.layers.multiscale import MultiScaleStem
from tests.nn.streams import build


@pytest.mark.parametrize("dims", [2, 3])
def test_how_far_each_branch_sees(dims):
    """Gradient of one output voxel: 1, 2 and 3 voxels to each side; the pooled branch sees farther."""
    stem = build(lambda: MultiScaleStem(1, 4, spatial_dims=dims)).eval()
    reach = {}
    for name, part in zip(("fine", "middle", "coarse", "pooled"), range(4)):
        x = torch.rand(1, 1, *(16,) * dims, generator=torch.Generator().manual_seed(0)).requires_grad_()
        torch.nn.init.constant_(getattr(stem, name).adn.N.bias, 5.0)  # no ReLU is shut
        stem(x).chunk(4, dim=1)[part][(0, slice(None), *(8,) * dims)].sum().backward()
        seen = x.grad[0, 0].nonzero() - 8
        reach[name] = (int(seen.min()), int(seen.max()))
    assert reach == {"fine": (-1, 1), "middle": (-2, 2), "coarse": (-3, 3), "pooled": (-4, 3)}


def test_a_coarse_convolution_skips_voxels():
    stem = build(lambda: MultiScaleStem(1, 4, spatial_dims=2)).eval()
    x = torch.zeros(1, 1, 9, 9)
    neighbour = x.clone()
    neighbour[..., 4, 5] = 1
    assert torch.equal(stem.coarse(x)[..., 4, 4], stem.coarse(neighbour)[..., 4, 4])
    assert not torch.equal(stem.fine(x)[..., 4, 4], stem.fine(neighbour)[..., 4, 4])


def test_odd_sides():
    assert MultiScaleStem(2, 3, spatial_dims=3)(torch.rand(1, 2, 5, 7, 3)).shape == (1, 12, 5, 7, 3)
