"""Loss functions for masks, deep supervision, and the criterion that trains a segmentation network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from monai.losses import DiceCELoss, DiceFocalLoss, DiceLoss
from torch import nn
from torch.nn import functional as F

from mmfusion.errors import DataError, MMFusionError, did_you_mean
from mmfusion.nn.training.labels import JointLoss, KnownOnly

SMOOTH = 1e-5
Joint = Callable[[Mapping[str, nn.Module]], nn.Module]


def dice(*, smooth: float = SMOOTH, batch: bool = False) -> nn.Module:
    """Return the soft Dice loss, 1 - Dice (Milletari et al. 2016, 3DV).

    Parameters
    ----------
    smooth : float
        Added to the numerator and the denominator. For a patch without a lesion, the gradient is small if
        `smooth` is near 0, and large if it is near 1.
    batch : bool
        Compute one Dice over all voxels of the batch, instead of the mean over the patches.

    Examples
    --------
    >>> loss = dice(smooth=1.0)(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]]))
    >>> round(loss.item(), 4)  # 1 - (2 * 0.5 + 1) / (1 + 1 + 1)
    0.3333
    """
    return DiceLoss(sigmoid=True, smooth_nr=smooth, smooth_dr=smooth, batch=batch)


def dice_ce(*, dice: float = 1.0, ce: float = 1.0, smooth: float = SMOOTH, batch: bool = False) -> nn.Module:
    """Return `dice` * soft Dice loss + `ce` * binary cross-entropy (Isensee et al. 2021, Nature Methods).

    Examples
    --------
    >>> loss = dice_ce(dice=0.0)(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]]))
    >>> round(loss.item(), 4)  # log 2
    0.6931
    """
    return DiceCELoss(
        sigmoid=True, smooth_nr=smooth, smooth_dr=smooth, batch=batch, lambda_dice=dice, lambda_ce=ce
    )


def dice_focal(
    *,
    dice: float = 1.0,
    focal: float = 1.0,
    gamma: float = 2.0,
    alpha: float | None = None,
    smooth: float = SMOOTH,
    batch: bool = False,
) -> nn.Module:
    """Return `dice` * soft Dice loss + `focal` * focal loss (Lin et al. 2017, ICCV).

    `gamma` is the focusing parameter. `alpha` is the weight of the voxels of the lesion, and 1 - `alpha` that
    of the others; None: all voxels have the same weight.

    Examples
    --------
    >>> loss = dice_focal(dice=0.0)(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]]))
    >>> round(loss.item(), 4)  # (1 - 1/2)^2 log 2
    0.1733
    """
    return DiceFocalLoss(
        sigmoid=True, smooth_nr=smooth, smooth_dr=smooth, batch=batch,
        lambda_dice=dice, lambda_focal=focal, gamma=gamma, alpha=alpha,
    )  # fmt: skip


def bce_dice(
    *,
    alpha: float = 0.5,
    gamma: float = 0.5,
    focal: bool = False,
    focal_gamma: float = 2.0,
    focal_alpha: float = 0.75,
    smooth: float = SMOOTH,
) -> nn.Module:
    """Return `alpha` * cross-entropy + `gamma` * soft Dice loss, as in RAEMD-Net (equation 3.13).

    With `focal`, the focal loss with `focal_gamma` and `focal_alpha` replaces the cross-entropy.

    Examples
    --------
    >>> loss = bce_dice(gamma=0.0)(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]]))
    >>> round(loss.item(), 4)  # log(2) / 2
    0.3466
    """
    if focal:
        return dice_focal(dice=gamma, focal=alpha, gamma=focal_gamma, alpha=focal_alpha, smooth=smooth)
    return dice_ce(dice=gamma, ce=alpha, smooth=smooth)


def bce_soft_dice(*, smooth: float = 1.0) -> nn.Module:
    """Return cross-entropy + soft Dice loss with a smoothing of 1, as in CIPA (arXiv 2503.17261).

    Examples
    --------
    >>> round(bce_soft_dice()(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]])).item(), 4)  # log 2 + 1 / 3
    1.0265
    """
    return dice_ce(smooth=smooth)


MASK_LOSSES: dict[str, Callable[..., nn.Module]] = {
    one.__name__: one for one in (dice, dice_ce, dice_focal, bce_dice, bce_soft_dice)
}


def mask_loss(name: str, **options: object) -> nn.Module:
    """Return a loss by its name; `loss(logits, masks)` takes two tensors of shape (b, 1, *space).

    Parameters
    ----------
    name : {"dice", "dice_ce", "dice_focal", "bce_dice", "bce_soft_dice"}
        Name of a function of this module.
    **options
        Options of that function.

    Raises
    ------
    MMFusionError
        If there is no such loss, or if it does not take an option.

    Examples
    --------
    >>> mask_loss("dice_focal", gamma=1.5)(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4)) > 0
    tensor(True)
    """
    if name not in MASK_LOSSES:
        known, hint = ", ".join(MASK_LOSSES), did_you_mean(name, MASK_LOSSES)
        raise MMFusionError(f"no mask loss called {name!r}", expected=known, hint=hint)
    try:
        return MASK_LOSSES[name](**options)
    except TypeError as error:
        raise MMFusionError(f"the loss {name!r} does not take these options", got=options) from error


class DeepSupervision(nn.Module):
    """Weighted sum of a loss over masks at several resolutions (Lee et al. 2015, AISTATS).

    Parameters
    ----------
    loss : nn.Module
        `loss(logits, masks)` for one resolution.
    weights : sequence of float, optional
        Weight of each resolution, the full one first. Default: 1, 1/2, 1/4, ..., divided by their sum, as in
        nnU-Net.

    Examples
    --------
    >>> loss = DeepSupervision(nn.MSELoss())
    >>> fine, coarse = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2, 2)
    >>> round(loss([fine, coarse], torch.ones(1, 1, 4, 4)).item(), 4)
    1.0
    """

    def __init__(self, loss: nn.Module, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss, self.weights = loss, None if weights is None else tuple(weights)

    def forward(self, logits: torch.Tensor | Sequence[torch.Tensor], masks: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar.

        Parameters
        ----------
        logits : Tensor, shape (b, 1, *space), or a sequence of them
            Logits, those at full resolution first. One tensor has the weight 1.
        masks : Tensor, shape (b, 1, *space)
            Masks at full resolution. A coarse voxel belongs to the lesion if any of its voxels does, so that
            small lesions do not vanish.

        Raises
        ------
        DataError
            If the weights and the logits differ in number.
        """
        if isinstance(logits, torch.Tensor):
            return self.loss(logits, masks)
        weights = self.weights
        if weights is None:
            total = sum(0.5**level for level in range(len(logits)))
            weights = [0.5**level / total for level in range(len(logits))]
        if len(weights) != len(logits):
            raise DataError("deep supervision needs one weight each", expected=len(logits), got=len(weights))
        terms = [w * self.loss(one, _shrunk(masks, one)) for w, one in zip(weights, logits, strict=True)]
        return torch.stack(terms).sum()


class SegmentationCriterion(nn.Module):
    """Loss of all outputs of a segmentation network; made by `segmentation_criterion`.

    Parameters
    ----------
    joint : nn.Module
        `joint(outputs, labels)` returns the loss of outputs by name. The output "mask" is a list if the
        network returns coarse logits as "deep".
    around : nn.Module, optional
        Loss of the other slices of a slab, for networks that return their logits as "around".
    weight : float
        Weight of that loss.

    Examples
    --------
    >>> criterion = SegmentationCriterion(JointLoss({"mask": DeepSupervision(dice())}))
    >>> mask = torch.ones(1, 1, 4, 4, dtype=torch.uint8)
    >>> criterion({"mask": 20 * mask.float()}, {"mask": mask}).item() < 1e-4
    True
    """

    def __init__(self, joint: nn.Module, around: nn.Module | None = None, weight: float = 0.0) -> None:
        super().__init__()
        self.joint, self.weight = joint, weight
        self.around = None if around is None else KnownOnly(around)

    def forward(self, outputs: Mapping[str, object], labels: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss, a scalar.

        Parameters
        ----------
        outputs : mapping of str to Tensor
            Outputs of a `Segmenter`.
        labels : mapping of str to Tensor
            Labels by the same names; unknown ones are left out (see `mmfusion.nn.training.labels`).
        """
        if coarse := outputs.get("deep", ()):
            outputs = {**outputs, "mask": [outputs["mask"], *coarse]}
        loss = self.joint(outputs, labels)
        if self.around is None or "around" not in outputs:
            return loss
        slices, masks = (one["around"].flatten(0, 1)[:, None] for one in (outputs, labels))
        return loss + self.weight * self.around(slices, masks)


def segmentation_criterion(
    network: nn.Module,
    *,
    loss: str | None = None,
    loss_options: Mapping[str, object] | None = None,
    deep_weights: Sequence[float] | None = None,
    tasks: Mapping[str, nn.Module] | None = None,
    joint: Joint = JointLoss,
) -> SegmentationCriterion:
    """Return the criterion that `fit_network` needs for a segmentation network.

    Parameters
    ----------
    network : Segmenter
        Network that is trained. If "mask" is not among its `tasks`, there is no loss of the mask.
    loss : str, optional
        Name of the loss of the mask (`mask_loss`). Default: that of the network, `network.loss`.
    loss_options : mapping of str to object, optional
        Options of the loss.
    deep_weights : sequence of float, optional
        Weights of the resolutions; see `DeepSupervision`.
    tasks : mapping of str to nn.Module, optional
        Losses of further outputs by name, such as "expression"; each as in `JointLoss`.
    joint : callable
        Function that gets the losses of all tasks by name and returns the loss of all outputs. Default:
        `JointLoss`, their sum over the known labels.

    Returns
    -------
    SegmentationCriterion

    Raises
    ------
    MMFusionError
        If there is no such loss, or if it does not take an option.

    Examples
    --------
    >>> from mmfusion.nn.segmenters.unet import UNet
    >>> network = UNet.from_preset("demo", spatial_dims=2)
    >>> labels = {"mask": torch.full((1, 1, 16, 16), 255, dtype=torch.uint8)}  # the mask is not known
    >>> segmentation_criterion(network)(network(torch.zeros(1, 1, 16, 16)), labels).item()
    0.0
    """
    own = DeepSupervision(mask_loss(loss or network.loss, **(loss_options or {})), deep_weights)
    losses = ({"mask": own} if "mask" in network.tasks else {}) | dict(tasks or {})
    return SegmentationCriterion(joint(losses), own if network.around else None, network.around)


def _shrunk(masks: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    sides = like.shape[2:]
    if masks.shape[2:] == sides:
        return masks
    return {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}[len(sides)](
        masks, sides
    )
