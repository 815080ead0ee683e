import torch

from mmfusion.nn.layers.slice_interaction import SliceConcatenation, SliceInteraction


def maps(b=2, slices=3, channels=4, side=5):
    return torch.randn(b, slices, channels, side, side, generator=torch.Generator().manual_seed(0))


def test_the_middle_slice_to_the_bit():
    for layer in (SliceInteraction(4, 5), SliceConcatenation(4, 5)):
        x = maps(slices=5)
        assert torch.equal(layer.train()(x), x[:, 2]) and torch.equal(layer.eval()(x), x[:, 2])


def test_it_can_leave_the_start():
    for layer in (SliceInteraction(4, 3), SliceConcatenation(4, 3)):
        layer(maps()).square().sum().backward()
        moving = {name for name, one in layer.named_parameters() if one.grad is not None and one.grad.any()}
        assert moving & {"weight", "mix.weight"}
        assert "norm.weight" in moving or isinstance(layer, SliceConcatenation)


def test_the_equations_for_one_channel():
    """With all weights known, the result is computed by hand."""
    layer = SliceInteraction(1, 3).eval()
    with torch.no_grad():
        for name, one in layer.named_parameters():
            one.zero_() if not name.startswith("norm") else one.fill_(0.5)
        layer.weight.fill_(2.0)
    x = maps(channels=1)
    # the convolution gives 0, the norm its bias, and each gate, whose inputs have no weight, one half
    u = torch.nn.functional.gelu(torch.tensor(0.5))
    v = x + u
    torch.testing.assert_close(layer.refine(x), v)
    torch.testing.assert_close(layer(x), v[:, 1] + 2 * v.mean(1))
    with torch.no_grad():
        layer.query.fill_(3.0)
    share = (3 * v.mean((3, 4))).softmax(1)[..., None, None]
    torch.testing.assert_close(layer(x), v[:, 1] + 2 * (share * v).sum(1))


def test_all_slices_count_after_a_step():
    torch.manual_seed(0)
    layer, x = SliceInteraction(4, 3), maps()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(x).square().sum().backward()
    optimizer.step()
    for k in range(3):
        other = x.clone()
        other[:, k] += 1
        assert not torch.allclose(layer.eval()(other), layer(x))
