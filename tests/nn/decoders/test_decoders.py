import pytest
import torch

from mmfusion.nn.decoders.light import LightDecoder
from mmfusion.nn.decoders.mask_head import MaskHead
from mmfusion.nn.decoders.ushaped import UShapedDecoder
from mmfusion.nn.layers.resize import resized


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("decoder", "channels"), [(LightDecoder, (6, 6, 6)), (UShapedDecoder, (4, 6, 8))])
def test_each_output_reads_its_own_and_coarser_maps(decoder, channels, dims):
    torch.manual_seed(0)
    net = decoder(channels, spatial_dims=dims).eval()
    maps = [torch.rand(1, c, *(s,) * dims) for c, s in zip(channels, (8, 4, 2), strict=True)]
    before = net(maps)
    assert [one.shape for one in before] == [one.shape for one in maps]
    assert net.channels == channels
    for level in range(3):
        other = [*maps]
        other[level] = torch.rand_like(maps[level])
        after = net(other)
        same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert same == [k > level for k in range(3)]


def test_the_head_has_the_grid_of_the_scan():
    head = MaskHead(8, spatial_dims=2)
    assert head(torch.rand(2, 8, 5, 4), (10, 8)).shape == (2, 1, 10, 8)


def test_a_linear_map_is_resized_without_error():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    half = resized(ramp, (4, 4))
    torch.testing.assert_close(half[0, 0, 0], torch.tensor([0.5, 2.5, 4.5, 6.5]))
    torch.testing.assert_close(resized(half, (8, 8))[..., 1:-1], ramp[..., 1:-1])
    assert resized(ramp, (8, 8)) is ramp
