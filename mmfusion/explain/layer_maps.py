"""Grad-CAM at one layer of any network, interpolated to the size of the input."""

from __future__ import annotations

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

    The channels of the layer are weighted by the mean gradient of the output, and added. Positive values are
    kept: there, more of what the layer has found raises the output.

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
    from captum.attr import LayerAttribution, LayerGradCam

    with torch.enable_grad():
        small = LayerGradCam(function, layer).attribute(
            x, targets, additional_forward_args=extra, relu_attributions=True
        )
    return LayerAttribution.interpolate(small.detach(), x.shape[2:], _MODES[x.ndim - 2])[:, 0]
