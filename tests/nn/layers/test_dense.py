import pytest
import torch

from mmfusion.nn.layers.dense import ResidualDenseBlock
from tests.nn.streams import build

SIDES = {2: (6, 5), 3: (4, 5, 6)}


@pytest.mark.parametrize("dims", [2, 3])
def test_every_layer_reads_the_input_and_all_layers_before(dims):
    block = build(lambda: ResidualDenseBlock(6, growth=3, layers=4, spatial_dims=dims)).eval()
    inputs = []
    for layer in block.dense.children():
        layer.register_forward_hook(lambda _, args, out: inputs.append((args[0], out)))
    x = torch.randn(2, 6, *SIDES[dims], generator=torch.Generator().manual_seed(0))
    out = block(x)
    assert out.shape == (2, 18, *SIDES[dims]) and block.out_channels == 18
    for k, (read, _) in enumerate(inputs):
        assert torch.equal(read, torch.cat([x, *(made for _, made in inputs[:k])], 1))
    torch.testing.assert_close(out - block.shortcut(x), torch.cat([x, *(made for _, made in inputs)], 1))


def test_the_number_of_weights():
    """DenseNet-B: C x 4g for the convolution of side 1, 4g x g x 9 for the other, two norms; one shortcut."""
    block = ResidualDenseBlock(16, growth=8, layers=2, spatial_dims=2)
    layers = [2 * c + c * 32 + 2 * 32 + 32 * 8 * 9 for c in (16, 24)]
    assert sum(p.numel() for p in block.parameters()) == sum(layers) + 16 * 32


def test_the_shortcut_takes_the_gradient_past_the_layers():
    block = build(lambda: ResidualDenseBlock(4, growth=2, layers=2, spatial_dims=2))
    x = torch.zeros(1, 4, 6, 6, requires_grad=True)  # the ReLU of the layers is shut
    block.eval()(x)[:, 4:].sum().backward()
    torch.testing.assert_close(
        x.grad[0, :, 2, 2], block.shortcut.weight[4:, :, 0, 0].sum(0), rtol=1e-4, atol=1e-5
    )
