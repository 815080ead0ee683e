"""Grad-CAM and HiResCAM at one layer of any network, interpolated to the size of the input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def layer_gradcam(
    function: nn.Module,
    layer: nn.Module,
    x: torch.Tensor,
    targets: torch.Tensor | int,
    *,
    extra: object = None,
) -> torch.Tensor:
    """Return Grad-CAM maps of one output of a network for each input.

    The channels of the layer are weighted by the mean gradient of the output, and added. Only positive values
    are kept: at these places, a stronger response of the layer raises the output.

    Parameters
    ----------
    function : nn.Module
        Network that returns its outputs, shape (b, k). It contains the layer.
    layer : nn.Module
        Layer that returns one map, shape (b, channels, *smaller space).
    x : Tensor, shape (b, c, *space)
        Inputs, with one to three axes in space.
    targets : Tensor of int, shape (b,), or int
        Output that is explained, one for each input or the same for all.
    extra : object, optional
        Further argument of `function`.

    Returns
    -------
    Tensor, shape (b, *space)
        Values of 0 or above, not scaled.

    References
    ----------
    Selvaraju et al. 2017, ICCV.

    Examples
    --------
    >>> network = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> x = torch.tensor([[[[0.0, 4.0], [-8.0, 0.0]]]])
    >>> layer_gradcam(network, network[0], x, 0).tolist()  # the gradient is 1/4 everywhere
    [[[0.0, 1.0], [0.0, 0.0]]]
    """
    from captum.attr import LayerGradCam

    with torch.enable_grad():
        small = LayerGradCam(function, layer).attribute(
            x, targets, additional_forward_args=extra, relu_attributions=True
        )
    return on_input_grid(small.detach(), x.shape[2:])[:, 0]


def layer_hirescam(
    function: nn.Module,
    layer: nn.Module,
    x: torch.Tensor,
    targets: torch.Tensor | int,
    *,
    extra: object = None,
    stride: int | None = None,
) -> torch.Tensor:
    """Return HiResCAM maps of one output of a network for each input, with their signs.

    Each value of the layer is multiplied by its own gradient, and the channels are added. Grad-CAM uses the
    mean gradient of a channel instead. Its map can be wrong if a network treats places differently, for
    example if it has a token per octant.

    Parameters
    ----------
    function, layer, x, targets, extra
        As for `layer_gradcam`.
    stride : int, optional
        As for `on_input_grid`.

    Returns
    -------
    Tensor, shape (b, *space)
        Not scaled. Above 0, the place raises the output; below 0, it lowers the output.

    References
    ----------
    Draelos & Carin 2020, arXiv 2011.08891.

    Examples
    --------
    >>> network = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(4, 1, bias=False))
    >>> _ = network[2].weight.data.copy_(torch.tensor([[1.0, 0.0, -1.0, 0.0]]))
    >>> layer_hirescam(network, network[0], torch.tensor([[[2.0, 2.0, 2.0, 2.0]]]), 0).tolist()
    [[2.0, 0.0, -2.0, 0.0]]
    """
    from captum.attr import LayerGradientXActivation

    with torch.enable_grad():
        small = LayerGradientXActivation(function, layer).attribute(x, targets, additional_forward_args=extra)
    return on_input_grid(small.detach().sum(dim=1, keepdim=True), x.shape[2:], stride)[:, 0]


def on_input_grid(small: torch.Tensor, space: Sequence[int], stride: int | None = None) -> torch.Tensor:
    """Interpolate the map of a layer linearly to the voxels of the input.

    Parameters
    ----------
    small : Tensor, shape (b, c, *smaller space)
        Map of the layer.
    space : sequence of int
        Size of the input.
    stride : int, optional
        Voxels between the middles of neighbouring cells, where the first cell has its middle on the first
        voxel. This is so for convolutions with a stride that are padded by half their size. Default: the
        cells divide the input into equal parts.

    Returns
    -------
    Tensor, shape (b, c, *space)

    Examples
    --------
    >>> small = torch.tensor([[[0.0, 4.0]]])
    >>> on_input_grid(small, [4]).tolist()  # the cells are voxels 0 and 1, and 2 and 3
    [[[0.0, 1.0, 3.0, 4.0]]]
    >>> on_input_grid(small, [4], stride=2).tolist()  # the cells have their middles on voxels 0 and 2
    [[[0.0, 2.0, 4.0, 4.0]]]
    """
    mode = _MODES[small.ndim - 2]
    if stride is None:
        return nn.functional.interpolate(small, size=tuple(space), mode=mode)
    reached = [stride * (n - 1) + 1 for n in small.shape[2:]]
    out = nn.functional.interpolate(small, size=reached, mode=mode, align_corners=True)
    beyond = [side for n, m in zip(space[::-1], reached[::-1], strict=True) for side in (0, n - m)]
    return nn.functional.pad(out, beyond, mode="replicate")
