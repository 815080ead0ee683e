import pytest
import torch

from mmfusion.nn.layers.cross_scan import cross_merge, cross_scan
from mmfusion.nn.layers.norms import BatchNorm2d
from mmfusion.nn.layers.ssm import SS1D, SS2D, SelectiveSSM
from mmfusion.nn.layers.vss import ChannelVSSBlock, LinearUpsample, PatchExpand, PatchMerging, VSSBlock

SIDES = pytest.mark.parametrize(("h", "w"), [(4, 6), (5, 3), (1, 7), (1, 1)])


def image(h, w, b=2, d=3, dtype=torch.float32):
    return torch.randn(b, h, w, d, generator=torch.Generator().manual_seed(0), dtype=dtype)


@SIDES
def test_a_turned_image_exchanges_the_directions(h, w):
    x = image(h, w)
    read = cross_scan(x)
    assert torch.equal(read[:, :, [1, 0, 3, 2]], cross_scan(x.transpose(1, 2)))
    assert torch.equal(read[:, :, [2, 3, 0, 1]], cross_scan(x.flip(1, 2)))
    assert torch.equal(read.flip(1), cross_scan(x.flip(1, 2)))


@SIDES
def test_each_direction_goes_back_to_its_place(h, w):
    x = image(h, w)
    read = cross_scan(x)
    for direction in range(4):
        alone = torch.zeros_like(read)
        alone[:, :, direction] = read[:, :, direction]
        assert torch.equal(cross_merge(alone, h, w), x)
    # merging is the transpose of scanning
    y = torch.randn(read.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close((read * y).sum(), (x * cross_merge(y, h, w)).sum())


@SIDES
def test_a_layer_with_equal_directions_turns_with_the_image(h, w):
    torch.manual_seed(0)
    layer = SS2D(3, n_states=2).double()
    with torch.no_grad():
        for one in layer.ssm.parameters():
            one.copy_(one[:1].expand_as(one))
        kernel = layer.conv.weight
        kernel.copy_(kernel + kernel.transpose(2, 3) + (kernel + kernel.transpose(2, 3)).flip(2, 3))
        x = image(h, w, dtype=torch.float64)
        y = layer(x)
        torch.testing.assert_close(layer(x.transpose(1, 2)), y.transpose(1, 2))
        torch.testing.assert_close(layer(x.flip(1, 2)), y.flip(1, 2))
        assert not torch.allclose(layer(torch.zeros_like(x)), y)


def test_every_pixel_sees_every_pixel():
    torch.manual_seed(0)
    layer, x = SS2D(3), image(5, 4).requires_grad_()
    for place in ((0, 0), (2, 3), (4, 1)):
        (grad,) = torch.autograd.grad(layer(x)[0, place[0], place[1]].sum(), x)
        assert (grad[0].abs().sum(-1) > 0).all() and not grad[1].any()


def test_a_sequence_does_not_see_what_is_later():
    torch.manual_seed(0)
    layer, x = SS1D(6), torch.randn(2, 9, 6)
    changed = x.clone()
    changed[:, 5:] += 1
    same = (layer(x) == layer(changed)).all(-1).all(0)
    assert same.tolist() == [True] * 5 + [False] * 4


def test_the_start_of_mamba():
    ssm = SelectiveSSM(2, 5, 3, 1)
    torch.testing.assert_close(-ssm.A_log.exp()[1, 4], torch.tensor([-1.0, -2.0, -3.0]))
    step = torch.nn.functional.softplus(ssm.dt_bias)
    assert (step > 0.999e-3).all() and (step < 0.1001).all() and (ssm.D == 1).all()


@pytest.mark.parametrize("block", [VSSBlock, ChannelVSSBlock])
def test_a_skipped_block_is_the_identity(block):
    torch.manual_seed(0)
    layer, x = block(6, n_states=2, drop_path=1.0), image(4, 5, d=6)
    if block is ChannelVSSBlock:
        torch.nn.init.zeros_(layer.conv[-1].weight)
        torch.nn.init.zeros_(layer.conv[-1].bias)
    assert torch.equal(layer.train()(x), x)
    assert not torch.allclose(layer.eval()(x), x)


def test_merging_reads_two_by_two_pixels():
    torch.manual_seed(0)
    layer, x = PatchMerging(3), image(5, 3)
    y = layer(x)
    assert y.shape == (2, 3, 2, 6)
    torch.testing.assert_close(y[:, :1, :1], layer(x[:, :2, :2]))
    torch.testing.assert_close(y[:, 2:, 1:], layer(x[:, 4:, 2:].expand(-1, 2, 2, -1)))  # the edge is repeated


def test_expanding_writes_two_by_two_pixels():
    torch.manual_seed(0)
    layer, x = PatchExpand(4), image(3, 2, d=4)
    torch.testing.assert_close(layer(x)[:, 2:4, 2:4], layer(x[:, 1:2, 1:2]))
    flat = LinearUpsample(4, 2)(x[:, :1, :1].expand(-1, 3, 3, -1))
    torch.testing.assert_close(flat, flat[:, :1, :1].expand_as(flat))


def test_batch_norm_of_one_value():
    layer = BatchNorm2d(3).train()
    x = torch.randn(1, 3, 1, 1)
    torch.testing.assert_close(layer(x), x, rtol=1e-4, atol=1e-4)  # mean 0 and variance 1
    assert torch.equal(layer.running_mean, torch.zeros(3))
    layer(torch.randn(2, 3, 1, 1))
    assert layer.running_mean.any()
