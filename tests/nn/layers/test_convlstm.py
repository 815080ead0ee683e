import pytest
import torch

from mmfusion.nn.layers.convlstm import ConvLSTM, ConvLSTMLayer
from tests.nn.streams import build

both_ways = pytest.mark.parametrize("both", [False, True], ids=["ahead", "both ways"])


def series(t: int = 5, channels: int = 3, side: int = 6, b: int = 2) -> torch.Tensor:
    return torch.randn(b, t, channels, side, side, generator=torch.Generator().manual_seed(0))


@both_ways
def test_one_pixel_and_a_kernel_of_one_is_torchs_lstm(both):
    ours = build(lambda: ConvLSTM(3, 4, layers=2, kernel=1, bidirectional=both))
    theirs = torch.nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=both)
    weights = theirs.state_dict()
    for end, layers in [("", ours.ahead), *([("_reverse", ours.back)] if both else [])]:
        for k, layer in enumerate(layers):
            weights[f"weight_ih_l{k}{end}"] = layer.of_input.weight.flatten(1)
            weights[f"weight_hh_l{k}{end}"] = layer.of_state.weight.flatten(1)
            weights[f"bias_ih_l{k}{end}"] = layer.of_input.bias
            weights[f"bias_hh_l{k}{end}"] = torch.zeros_like(layer.of_input.bias)
    theirs.load_state_dict(weights)
    x = series(side=1)
    torch.testing.assert_close(ours(x).flatten(2), theirs(x.flatten(2))[0])


@both_ways
def test_which_maps_an_output_depends_on(both):
    """In one direction, the output at a map depends on this map and the earlier ones only."""
    network = build(lambda: ConvLSTM(3, 4, layers=2, bidirectional=both))
    x = series().requires_grad_()
    out = network(x)
    assert out.shape == (2, 5, 8 if both else 4, 6, 6) and network.out_channels == out.shape[2]
    out[0, 2].sum().backward()
    reached = x.grad.abs().amax(dim=(2, 3, 4)) > 0
    assert reached[0].tolist() == [True, True, True, both, both]
    assert not reached[1].any()  # the other patient


def test_the_two_directions_mirror_each_other():
    network = build(lambda: ConvLSTM(3, 4, bidirectional=True))
    network.back.load_state_dict(network.ahead.state_dict())
    x = series()
    ahead, back = network(x).chunk(2, dim=2)
    torch.testing.assert_close(network(x.flip(1)).chunk(2, dim=2)[1], ahead.flip(1))
    assert not torch.allclose(ahead, back)


def test_moved_maps_give_moved_states():
    layer = build(lambda: ConvLSTMLayer(3, 4))
    x = torch.zeros(1, 3, 3, 16, 16)
    x[..., 5:8, 5:8] = series(3, 3, 3, 1)
    moved = x.roll((2, 3), dims=(3, 4))
    torch.testing.assert_close(
        layer(moved)[..., 6:12, 7:13], layer(x).roll((2, 3), dims=(3, 4))[..., 6:12, 7:13]
    )


def test_states_are_bounded():
    states = build(lambda: ConvLSTM(3, 4))(1e3 * series(9))
    assert states.abs().max() <= 1


@both_ways
def test_a_series_of_one_map(both):
    network = build(lambda: ConvLSTM(3, 4, bidirectional=both))
    torch.testing.assert_close(network(series())[:, :1, :4], network(series()[:, :1])[:, :, :4])


def test_gradients_are_those_of_differences():
    layer = build(lambda: ConvLSTMLayer(1, 1)).double()
    assert torch.autograd.gradcheck(layer, series(3, 1, 3, 1).double().requires_grad_())


def test_the_weights_of_one_convolution_of_input_and_state():
    with torch.device("meta"):
        network = ConvLSTM(512, 512, layers=3)
    assert sum(p.numel() for p in network.parameters()) == 3 * (9 * 1024 * 2048 + 2048)
