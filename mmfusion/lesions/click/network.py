"""Network that segments the lesion in the middle of a cube, at any scale, and says how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from monai.networks.nets import DynUNet
from monai.networks.utils import pixelshuffle, pixelunshuffle
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from mmfusion.errors import WeightsUnavailable

SIZE = 48  # voxels along the side of a cube
CHANNELS = 4  # lung window, window of soft tissue, distance to the click, voxel size
_LUNG, _SOFT = (-1000.0, 1200.0), (-150.0, 350.0)  # HU: lower end and width of a window
_CLICK = 6.0, 20.0  # voxels: widths of the two parts of the map of the click
_MIDDLE = 0.4  # logarithm of a voxel size in the middle of those of training
SHIPPED = Path(__file__).with_name("click.safetensors")  # trained on the lesion phantom; see its model card
_HINT = "make them with: python -m mmfusion.lesions.click.training -o click.safetensors"
_FOLD = 2  # voxels along each axis that become channels, so that the network runs at half the resolution


class ClickNet(nn.Module):
    """Residual U-Net at half the resolution of the cube, with a head for its own Dice.

    Voxels of 2 x 2 x 2 become channels before the U-Net, and its output becomes voxels again (Shi et al.
    2016, CVPR), which makes it about six times as fast as a U-Net at full resolution. The second head reads
    the image and the predicted mask, and predicts their Dice with the whole lesion, also the part of it that
    lies outside the cube. This Dice is used to choose the scale.

    Parameters
    ----------
    widths : sequence of int
        Channels of each level, three levels or more.

    Examples
    --------
    >>> network = ClickNet((4, 8, 8)).eval()
    >>> out = network(inputs(torch.zeros(2, 16, 16, 16), torch.tensor([1.0, 2.0])))
    >>> out["mask"].shape, out["quality"].shape
    (torch.Size([2, 1, 16, 16, 16]), torch.Size([2]))
    """

    def __init__(self, widths: Sequence[int] = (24, 40, 72, 120)) -> None:
        super().__init__()
        levels, folded = len(widths), CHANNELS * _FOLD**3
        self.unet = DynUNet(
            spatial_dims=3,
            in_channels=folded,
            out_channels=_FOLD**3,
            kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1),
            upsample_kernel_size=[2] * (levels - 1),
            filters=list(widths),
            norm_name=("instance", {"affine": True}),
            res_block=True,
        )
        self.judge = nn.Sequential(
            nn.Conv3d(folded + 2 * _FOLD**3, 16, 3, stride=2),
            nn.ReLU(),
            nn.Conv3d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(32, 1),
        )

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the logits of the mask (b, 1, d, h, w), and the logit of its Dice (b,)."""
        folded = pixelunshuffle(x, 3, _FOLD)
        logits = self.unet(folded)
        share = logits.detach().sigmoid()
        quality = self.judge(torch.cat([folded, share, (2 * share - 1).abs()], dim=1))
        return {"mask": pixelshuffle(logits, 3, _FOLD), "quality": quality[:, 0]}


def inputs(hu: torch.Tensor, spacing: torch.Tensor) -> torch.Tensor:
    """Return the channels that the network reads.

    Parameters
    ----------
    hu : Tensor, shape (b, n, n, n)
        Cubes around a click, HU.
    spacing : Tensor, shape (b,)
        Voxel size of each cube, mm.

    Returns
    -------
    Tensor of float32, shape (b, 4, n, n, n)

    Examples
    --------
    >>> inputs(torch.full((1, 8, 8, 8), 40.0), torch.ones(1))[0, :2, 0, 0, 0]
    tensor([0.7333, 0.0857])
    """
    out = torch.empty(len(hu), CHANNELS, *hu.shape[1:])
    for channel, (low, width) in enumerate((_LUNG, _SOFT)):
        out[:, channel] = ((hu - low) / width).clamp(0, 1) * 2 - 1
    axis = torch.arange(hu.shape[-1]) - (hu.shape[-1] - 1) / 2
    away = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
    out[:, 2] = torch.exp(-((away / _CLICK[0]) ** 2)) + 0.5 * torch.exp(-away / _CLICK[1])
    out[:, 3] = (spacing.log() - _MIDDLE).view(-1, 1, 1, 1)
    return out


class ClickLoss(nn.Module):
    """Dice loss and cross-entropy of the mask, and cross-entropy of the predicted Dice.

    Labels are "mask" (b, 1, d, h, w) and "voxels" (b,), the number of voxels of the whole lesion.

    Examples
    --------
    >>> output = {"mask": torch.full((1, 1, 2, 2, 2), 9.0), "quality": torch.zeros(1)}
    >>> loss = ClickLoss()(output, {"mask": torch.ones(1, 1, 2, 2, 2), "voxels": torch.tensor([8.0])})
    >>> round(loss.item(), 2)  # the mask is right; the Dice of 1 was predicted as 0.5
    0.14
    """

    SMOOTH = 20.0  # voxels
    QUALITY = 0.2  # weight of the predicted Dice

    def forward(self, output: dict[str, torch.Tensor], labels: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss, a scalar."""
        logits, true = output["mask"].float(), labels["mask"].float()
        axes, share = (1, 2, 3, 4), logits.sigmoid()
        both = (share * true).sum(axes)
        dice = (2 * both + self.SMOOTH) / (share.sum(axes) + true.sum(axes) + self.SMOOTH)
        with torch.no_grad():
            found = (logits > 0).float()
            reached = 2 * (found * true).sum(axes) / (found.sum(axes) + labels["voxels"]).clamp(min=1)
        quality = F.binary_cross_entropy_with_logits(output["quality"].float(), reached.clamp(0, 1))
        return 1 - dice.mean() + 2 * F.binary_cross_entropy_with_logits(logits, true) + self.QUALITY * quality


def loaded(path: str | Path | None = None) -> ClickNet:
    """Return the network with the weights in a file, in evaluation mode.

    Parameters
    ----------
    path : path, optional
        Weights that `mmfusion.lesions.click.training` wrote. Default: those in the package, `SHIPPED`.

    Raises
    ------
    WeightsUnavailable
        If there is no such file, or it has the weights of another network.

    Examples
    --------
    >>> network = loaded()
    >>> sum(one.numel() for one in network.parameters()), network.training
    (1691385, False)
    """
    path, network = SHIPPED if path is None else Path(path), ClickNet()
    if not path.is_file():
        raise WeightsUnavailable("no weights of the network for clicks", file=path, hint=_HINT)
    wanted = dict(network.named_parameters())
    try:
        found = load_file(path)
    except SafetensorError as error:
        raise WeightsUnavailable("not a file of weights", file=path, got=error, hint=_HINT) from error
    if {k: v.shape for k, v in wanted.items()} != {k: v.shape for k, v in found.items()}:
        raise WeightsUnavailable("the weights of another network", file=path, hint=_HINT)
    with torch.no_grad():
        for name, one in wanted.items():
            one.copy_(found[name])
    return network.eval().requires_grad_(requires_grad=False)
