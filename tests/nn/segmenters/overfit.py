"""Training of a segmentation network on one batch, to see that it can learn a mask at all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.utils.data import Dataset

from mmfusion.nn.mask_losses import segmentation_criterion
from mmfusion.nn.segmenters import Segmenter
from mmfusion.nn.training import TrainingPlan, fit_network, reproducible

PLAN = TrainingPlan(
    lr=1e-2, weight_decay=0.0, schedule="constant", max_epochs=10, batch_size=2, patience=None
)


class OneBatch(Dataset):
    """A few patches with one round lesion each, among noise; the same batch in every epoch.

    `further` are labels beside the mask, by name.
    """

    def __init__(self, network: Segmenter, size: Sequence[int], rows: int = 2, **further: torch.Tensor):
        generator = torch.Generator().manual_seed(3)
        sides = (network.slab, *size) if network.slab else tuple(size)
        axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in sides), indexing="ij")
        flat = min(size)
        distances = []
        for _ in range(rows):
            centre = [n / 2 + flat * (torch.rand((), generator=generator) - 0.5) / 4 for n in sides]
            if network.slab:
                centre[0] = torch.tensor(network.slab // 2)
            distances.append(sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)).sqrt())
        lesion = (torch.stack(distances) < flat / 4)[:, None]
        noise = torch.randn(rows, network.in_channels, *sides, generator=generator)
        self.x = 0.3 + 0.3 * lesion + 0.1 * noise
        mask = lesion[:, :, network.slab // 2] if network.slab else lesion
        self.labels = {"mask": mask.to(torch.uint8), **further}

    def __len__(self) -> int:
        return len(self.x)

    def __getitems__(self, items: list[int]):
        return {"x": self.x[items]}, {name: one[items] for name, one in self.labels.items()}


def dice_after_overfitting(
    network: Segmenter,
    size: Sequence[int],
    *,
    target: float = 0.95,
    rounds: int = 24,
    plan: TrainingPlan = PLAN,
    criterion: torch.nn.Module | None = None,
    **further: torch.Tensor,
) -> float:
    """Train on one batch, and return the Dice on it in evaluation mode.

    Parameters
    ----------
    network : Segmenter
        Network that is trained in place.
    size : sequence of int
        Sides of a patch, without the slab.
    target, rounds
        The training stops after a round of `plan.max_epochs` steps at this Dice, or after these rounds.
    plan, criterion
        As for `fit_network`. Default of `criterion`: the network's own loss.
    **further : Tensor, first axis 2
        Labels of further outputs, by name.
    """
    data = OneBatch(network, size, **further)
    truth = data.labels["mask"].bool()
    dice = 0.0
    with reproducible(0):
        for _ in range(rounds):
            fit_network(network, criterion or segmentation_criterion(network), data, None, plan)
            with torch.no_grad():
                found = network(data.x)["mask"] > 0
            dice = 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())
            if dice >= target:
                break
    return dice
