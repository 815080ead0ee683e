import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.gates import ChannelGate, CueGate, MultiScaleGate, ResidualGate, SpatialGate
from tests.nn.streams import build

SIDES = {2: (6, 5), 3: (4, 5, 6)}
dims = pytest.mark.parametrize("dims", [2, 3])


def a_map(dims: int, channels: int = 8, b: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(b, channels, *SIDES[dims], generator=torch.Generator().manual_seed(seed))


def turned(x: torch.Tensor) -> torch.Tensor:
    """Voxels of each map in another order."""
    order = torch.randperm(x[0, 0].numel(), generator=torch.Generator().manual_seed(1))
    return x.flatten(2)[:, :, order].reshape(x.shape)


@dims
def test_channel_weights_do_not_depend_on_where_voxels_are(dims):
    gate = build(lambda: ChannelGate(8, spatial_dims=dims))
    x = a_map(dims)
    assert gate(x).shape == (2, 8) + (1,) * dims and ((gate(x) > 0) & (gate(x) < 1)).all()
    torch.testing.assert_close(gate(x), gate(turned(x)))
    assert (gate(x) - gate(2 * x)).abs().max() > 1e-3


def test_channel_weights_by_hand():
    """One unit that passes the sum of its inputs on: sigmoid(relu(sum of means) + relu(sum of maxima))."""
    gate = ChannelGate(2, reduction=1, spatial_dims=2)
    with torch.no_grad():
        for conv in (gate.mlp[0], gate.mlp[2]):
            conv.weight.zero_(), conv.bias.zero_()
        gate.mlp[0].weight[0], gate.mlp[2].weight[:, 0] = 1.0, 1.0
    x = torch.tensor([[[[0.0, 2.0]], [[-1.0, 1.0]]]])  # means 1 and 0, maxima 2 and 1
    torch.testing.assert_close(gate(x), torch.sigmoid(torch.tensor(1.0 + 3.0)).expand(1, 2, 1, 1))


@dims
def test_spatial_weights_do_not_depend_on_the_order_of_channels(dims):
    gate = build(lambda: SpatialGate(3, dims))
    x = a_map(dims)
    assert gate(x).shape == (2, 1, *SIDES[dims])
    torch.testing.assert_close(gate(x), gate(x.flip(1)))
    far = x.clone()
    far[..., -1] += 9.0  # the kernel reaches one voxel
    torch.testing.assert_close(gate(far)[..., :-2], gate(x)[..., :-2])
    assert not torch.allclose(gate(far)[..., -2], gate(x)[..., -2])


@dims
def test_the_largest_kernel_bounds_what_a_multi_scale_gate_sees(dims):
    for kernels in [(3,), (3, 5), (3, 5, 7)]:
        gate = build(lambda kernels=kernels: MultiScaleGate(8, kernels, spatial_dims=dims))
        for part in [gate.squeeze, *gate.scales]:
            torch.nn.init.constant_(part.bias, 9.0)  # no ReLU is shut
        x = torch.randn(1, 8, *(11,) * dims, generator=torch.Generator().manual_seed(0)).requires_grad_()
        weights = gate(x)
        assert weights.shape == (1, 1, *(11,) * dims) and ((weights > 0) & (weights < 1)).all()
        weights[(0, 0, *(5,) * dims)].backward()
        seen = x.grad[0].abs().sum(0).nonzero() - 5
        assert (seen.min(), seen.max()) == (-(kernels[-1] // 2), kernels[-1] // 2)


@dims
@pytest.mark.parametrize("combine", ["sum", "product"])
def test_residual_gate_is_its_formula(dims, combine):
    gate = build(lambda: ResidualGate(8, combine, spatial_dims=dims))
    x = a_map(dims)
    c, s = gate.channel(x), gate.spatial(x)
    expected = x + s * x + c * x if combine == "sum" else x + (c * s) * x
    torch.testing.assert_close(gate(x), expected)


def test_a_gate_that_is_shut_leaves_the_map():
    gate = ResidualGate(4, "product", spatial_dims=2)
    torch.nn.init.constant_(gate.channel.mlp[2].bias, -60.0)
    x = a_map(2, 4)
    torch.testing.assert_close(gate(x), x)


@dims
def test_the_condition_steers_both_gates(dims):
    gate = build(lambda: ResidualGate(8, "product", spatial_dims=dims, condition_channels=3))
    x, condition = a_map(dims), a_map(dims, 3, seed=2).requires_grad_()
    gate(x, condition).sum().backward()
    assert condition.grad.any()
    smaller = ChannelGate(8, spatial_dims=dims, condition_channels=3)
    # the MLP reads only means and maxima, so the condition may lie on another grid
    assert smaller(x, condition[..., :2]).shape == (2, 8) + (1,) * dims


@dims
def test_a_cue_gate_weighs_where_the_cue_is(dims):
    gate = build(lambda: CueGate(8, dims)).eval()
    x, cue = torch.ones_like(a_map(dims)), torch.zeros(2, 1, *(2 * side for side in SIDES[dims]))
    everywhere = gate(x, cue + 1)  # one value gives one weight for each channel, also at the border
    torch.testing.assert_close(
        everywhere, everywhere.flatten(2)[:, :, :1].unflatten(2, (1,) * dims).expand_as(x)
    )
    assert ((everywhere > 1) & (everywhere < 2)).all()
    cue[1, ..., :4] = 1
    half = gate(x, cue)
    torch.testing.assert_close(half[..., -1], gate(x, 0 * cue)[..., -1])
    torch.testing.assert_close(half[1, ..., 0], everywhere[1, ..., 0])
    assert not torch.allclose(half[0, ..., 0], half[1, ..., 0])


def test_gates_stay_within_the_patient():
    gate = build(lambda: ResidualGate(4, spatial_dims=2))
    x = a_map(2, 4, b=3)
    torch.testing.assert_close(gate(x)[1:2], gate(x[1:2]))


def test_gradients_are_those_of_differences():
    gate = build(lambda: ResidualGate(2, "product", kernel=3, spatial_dims=2)).double()
    x = a_map(2, 2, 1).double().requires_grad_()
    assert torch.autograd.gradcheck(gate, x)


def test_wrong_options():
    with pytest.raises(MMFusionError, match=r"join two gates.*sum, product"):
        ResidualGate(4, "mean")
    with pytest.raises(MMFusionError, match=r"cannot read this condition.*3 channels"):
        ResidualGate(4, spatial_dims=2, condition_channels=3)(a_map(2, 4))
    with pytest.raises(MMFusionError, match=r"cannot read this condition.*0 channels"):
        ResidualGate(4, spatial_dims=2)(a_map(2, 4), a_map(2, 4))
