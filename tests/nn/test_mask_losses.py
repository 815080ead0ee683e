"""Losses of masks by hand, deep supervision, and the criterion of a segmentation network."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmfusion.errors import DataError, MMFusionError
from mmfusion.nn.mask_losses import MASK_LOSSES, DeepSupervision, mask_loss, segmentation_criterion
from mmfusion.nn.segmenters.base import Segmenter
from mmfusion.nn.training import JointLoss

LOGITS = torch.tensor([[[[2.0, -1.0], [0.5, -3.0]]], [[[0.0, 1.0], [-2.0, 0.3]]]])
MASKS = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]], [[[0.0, 0.0], [1.0, 0.0]]]])
P = LOGITS.sigmoid()


def soft_dice(smooth=1e-5):
    """The mean over patches of 1 - (2 |p y| + s) / (|p| + |y| + s)."""
    both, sums = (P * MASKS).flatten(1).sum(1), P.flatten(1).sum(1) + MASKS.flatten(1).sum(1)
    return (1 - (2 * both + smooth) / (sums + smooth)).mean()


def focal(gamma, alpha=None):
    of_truth = torch.where(MASKS == 1, P, 1 - P)
    weight = 1.0 if alpha is None else torch.where(MASKS == 1, alpha, 1 - alpha)
    return (-weight * (1 - of_truth) ** gamma * of_truth.log()).mean()


BCE = F.binary_cross_entropy(P, MASKS)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("dice", {}, soft_dice()),
        ("dice", {"smooth": 1.0}, soft_dice(1.0)),
        ("dice_ce", {}, soft_dice() + BCE),
        ("dice_ce", {"dice": 0.3, "ce": 2.0}, 0.3 * soft_dice() + 2 * BCE),
        ("dice_focal", {}, soft_dice() + focal(2.0)),
        ("dice_focal", {"gamma": 1.0, "alpha": 0.25, "focal": 3.0}, soft_dice() + 3 * focal(1.0, 0.25)),
        ("bce_dice", {}, 0.5 * BCE + 0.5 * soft_dice()),
        ("bce_dice", {"alpha": 0.2, "gamma": 0.8}, 0.2 * BCE + 0.8 * soft_dice()),
        ("bce_dice", {"focal": True}, 0.5 * focal(2.0, 0.75) + 0.5 * soft_dice()),
        ("bce_soft_dice", {}, BCE + soft_dice(1.0)),
    ],
)
def test_by_hand(name, options, expected):
    torch.testing.assert_close(mask_loss(name, **options)(LOGITS, MASKS), expected)


def test_dice_of_the_whole_batch():
    both, sums = (P * MASKS).sum(), P.sum() + MASKS.sum()
    expected = 1 - (2 * both + 1e-5) / (sums + 1e-5)
    torch.testing.assert_close(mask_loss("dice", batch=True)(LOGITS, MASKS), expected)


@pytest.mark.parametrize("name", MASK_LOSSES)
def test_a_perfect_mask_has_almost_no_loss_and_certainty_no_infinite_one(name):
    logits = (200 * (2 * MASKS - 1)).requires_grad_()
    assert mask_loss(name)(logits, MASKS).item() < 1e-4
    loss = mask_loss(name)(-logits, MASKS)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", MASK_LOSSES)
def test_a_step_along_the_gradient_lowers_the_loss(name):
    logits = LOGITS.clone().requires_grad_()
    before = mask_loss(name)(logits, MASKS)
    (gradient,) = torch.autograd.grad(before, logits)
    assert mask_loss(name)(logits - 0.1 * gradient, MASKS) < before


@pytest.mark.parametrize("name", MASK_LOSSES)
def test_a_patch_without_lesion(name):
    logits = torch.full((1, 1, 4, 4), -20.0, requires_grad=True)
    loss = mask_loss(name)(logits, torch.zeros(1, 1, 4, 4))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


def test_unknown_names_and_options():
    with pytest.raises(MMFusionError, match=r"no mask loss called 'hinge' .*dice_ce"):
        mask_loss("hinge")
    with pytest.raises(MMFusionError, match="does not take these options"):
        mask_loss("dice", gamma=2.0)


def test_deep_supervision_is_a_weighted_mean_over_resolutions():
    torch.manual_seed(0)
    masks = (torch.rand(2, 1, 8, 8) > 0.8).float()
    logits = [torch.randn(2, 1, n, n) for n in (8, 4, 2)]
    loss = mask_loss("dice_ce")
    shrunk = [masks, F.max_pool2d(masks, 2), F.max_pool2d(masks, 4)]
    terms = torch.stack([loss(one, truth) for one, truth in zip(logits, shrunk, strict=True)])
    weights = torch.tensor([4 / 7, 2 / 7, 1 / 7])
    torch.testing.assert_close(DeepSupervision(loss)(logits, masks), (weights * terms).sum())
    torch.testing.assert_close(DeepSupervision(loss, (1, 0, 0))(logits, masks), loss(logits[0], masks))
    torch.testing.assert_close(DeepSupervision(loss)(logits[0], masks), loss(logits[0], masks))
    with pytest.raises(DataError, match=r"one weight each .*expected 3; got 2"):
        DeepSupervision(loss, (1, 0.5))(logits, masks)


def test_a_lesion_of_one_voxel_stays_in_coarse_masks():
    masks = torch.zeros(1, 1, 8, 8, 8)
    masks[..., 5, 2, 7] = 1
    coarse = torch.full((1, 1, 2, 2, 2), -30.0)
    coarse[..., 1, 0, 1] = 30.0  # the coarse voxel that has it
    assert DeepSupervision(mask_loss("dice"), (0, 1))([masks, coarse], masks).item() < 1e-3


class Fixed(Segmenter):
    """Returns what it is given; only its attributes are of interest."""

    loss = "dice_focal"


NETWORK = Fixed(spatial_dims=2)


def outputs(*, deep=True):
    generator = torch.Generator().manual_seed(0)
    mask, coarse, vector = (torch.randn(3, *s, generator=generator) for s in [(1, 8, 8), (1, 4, 4), (5,)])
    out = {"mask": mask, "expression": vector} | ({"deep": [coarse]} if deep else {})
    for one in (mask, coarse, vector):
        one.requires_grad_()
    return out


def labels():
    generator = torch.Generator().manual_seed(1)
    mask = (torch.rand(3, 1, 8, 8, generator=generator) > 0.7).to(torch.uint8)
    return {"mask": mask, "expression": torch.randn(3, 5, generator=generator)}


def test_the_criterion_takes_the_networks_own_loss():
    out, y = outputs(deep=False), labels()
    own = mask_loss("dice_focal")(out["mask"], y["mask"].float())
    torch.testing.assert_close(segmentation_criterion(NETWORK)(out, y), own)
    other = mask_loss("dice", smooth=1.0)(out["mask"], y["mask"].float())
    criterion = segmentation_criterion(NETWORK, loss="dice", loss_options={"smooth": 1.0})
    torch.testing.assert_close(criterion(out, y), other)


def test_the_other_slices_of_a_slab_have_their_weight():
    network = Fixed(spatial_dims=2)
    network.around = 0.25
    criterion, own = segmentation_criterion(network), mask_loss("dice_focal")
    out, y = outputs(deep=False), labels()
    out["around"] = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    y["around"] = (out["around"] > 1).to(torch.uint8)
    y["around"][0, 1] = 255  # of one slice, the mask is not known
    keep = [(b, s) for b in range(3) for s in range(2) if (b, s) != (0, 1)]
    logits, masks = (torch.stack([one["around"][b, s] for b, s in keep])[:, None] for one in (out, y))
    expected = own(out["mask"], y["mask"].float()) + 0.25 * own(logits, masks.float())
    torch.testing.assert_close(criterion(out, y), expected)
    del out["around"]  # in evaluation mode
    torch.testing.assert_close(criterion(out, y), own(out["mask"], y["mask"].float()))


def test_unknown_masks_are_left_out_at_every_resolution():
    out, y = outputs(), labels()
    y["mask"][1] = 255
    criterion = segmentation_criterion(NETWORK)
    loss = criterion(out, y)
    loss.backward()
    for one in (out["mask"], *out["deep"]):
        assert not one.grad[1].any() and one.grad[[0, 2]].flatten(1).any(dim=1).all()
    kept = [0, 2]
    alone = {"mask": out["mask"][kept], "deep": [out["deep"][0][kept]]}
    torch.testing.assert_close(loss, criterion(alone, {"mask": y["mask"][kept]}))


def test_a_batch_without_a_known_mask_has_no_gradient():
    out, y = outputs(), labels()
    y["mask"][:] = 255
    loss = segmentation_criterion(NETWORK)(out, y)
    loss.backward()
    assert loss == 0 and not out["mask"].grad.any() and not out["deep"][0].grad.any()


def test_further_tasks_and_another_way_to_join_them():
    out, y = outputs(), labels()
    y["expression"][0] = math.nan
    mask = segmentation_criterion(NETWORK)(out, y)
    mse = F.mse_loss(out["expression"][1:], y["expression"][1:])
    tasks = {"expression": nn.MSELoss()}
    torch.testing.assert_close(segmentation_criterion(NETWORK, tasks=tasks)(out, y), mask + mse)
    weighted = segmentation_criterion(
        NETWORK, tasks=tasks, joint=lambda losses: JointLoss(losses, {"expression": 0.1})
    )
    torch.testing.assert_close(weighted(out, y), mask + 0.1 * mse)
