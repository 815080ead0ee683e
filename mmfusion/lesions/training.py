"""Training of a segmenter's network on patches of scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from mmfusion.errors import DataError, MMFusionError
from mmfusion.imaging.boxes import Box, jitter_box
from mmfusion.lesions.cases import Case
from mmfusion.lesions.objective import Objective
from mmfusion.lesions.settings import SegmenterSettings
from mmfusion.nn.segmenters import Segmenter
from mmfusion.nn.training import TrainingPlan, fit_network, reproducible
from mmfusion.nn.training.patches import Boxes, PatchDataset
from mmfusion.preprocessing.augmentation import augment_pair

_LESION_SHARE = 0.7  # share of the patches that are centred on a lesion
DROP = 0.2  # share of the patches that have no boxes


def train(
    module: Segmenter | Callable[[], Segmenter],
    cases: Sequence[Case],
    held_out: Sequence[Case],
    settings: SegmenterSettings,
    plan: TrainingPlan,
    *,
    objective: Objective,
    expression: np.ndarray | None = None,
    box_mode: str,
    seed: int,
    device: str,
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> tuple[Segmenter, list[dict[str, float]]]:
    """Train a network on patches of the cases.

    Parameters
    ----------
    module : Segmenter or callable
        Network to train in place, or a function that makes a new one, which is called after seeding.
    cases : sequence of Case
        Patients to learn from.
    held_out : sequence of Case
        Patients whose loss stops the training early, if `plan.validation_fraction` is above 0.
    settings : SegmenterSettings
        Size of the patches, augmentation.
    plan : TrainingPlan
        Training plan.
    objective : Objective
        Loss and balance of the tasks.
    expression : ndarray, optional
        Expression of all patients by their `row`, z-scores, shape (n, genes); NaN where it is not known.
    box_mode : str
        Boxes that the network gets: see `LesionSegmenter`.
    seed, device, progress, checkpoint
        As for `mmfusion.nn.training.fit_network`.

    Returns
    -------
    module : Segmenter
        The network in evaluation mode.
    history : list of dict
        One dict per epoch.

    Raises
    ------
    DataError
        If the loss is not finite, or the patches are too small for the levels of the network.
    """
    with reproducible(seed, device):
        network = module if isinstance(module, nn.Module) else module()

        def patches(some: Sequence[Case], **options: object) -> PatchDataset:
            return PatchDataset(
                [case.scans.image for case in some],
                [case.mask for case in some],
                settings.size,
                per_image=settings.per_image,
                jitter=min(settings.size) // 4,
                slab=network.slab,
                around=network.around > 0,
                boxes=training_boxes(some, box_mode),
                centres=[case.centre for case in some],
                labels={} if expression is None else {"expression": expression[[case.row for case in some]]},
                lesion_only=() if expression is None else ("expression",),
                **options,
            )

        augmentation = settings.augmentation if plan.augment else None
        augment = None if augmentation is None else partial(augment_pair, config=augmentation)
        valid = patches(held_out, lesion_share=_LESION_SHARE, seed=seed) if _stops(plan, held_out) else None
        criterion, callbacks = objective.build(network, plan)
        with _large_enough(network, settings):
            return fit_network(
                network,
                criterion,
                patches(cases, lesion_share=_LESION_SHARE, augment=augment),
                valid,
                plan,
                device=device,
                callbacks=callbacks,
                progress=progress,
                checkpoint=checkpoint,
            )


@contextmanager
def _large_enough(network: Segmenter, settings: SegmenterSettings) -> Iterator[None]:
    """Turn the error of torch for a level of one voxel, which it cannot normalise, into one of size."""
    try:
        yield
    except MMFusionError:
        raise
    except ValueError as error:
        if "Expected more than 1" not in str(error):
            raise
        raise DataError(
            f"{type(network).__name__} cannot normalise a single voxel at its lowest level",
            parameter="size",
            expected=f"a side above {max(network.divisor)} voxels",
            got=settings.size,
            hint="give a larger size, or fewer levels in options",
        ) from error


def training_boxes(cases: Sequence[Case], box_mode: str) -> Boxes | None:
    """Return the function that gives the boxes of each patch; None for the mode "none".

    In the mode "oracle" these are the boxes of the true mask. In the modes "jittered" and "detector" they are
    changed at random, and a fifth of the patches has none, so that the network also learns to work without.
    A patient without a lesion has a cue of 0 in the mode "oracle", and of 1 in the others, as at prediction.
    """
    if box_mode == "none":
        return None
    boxes = [case.boxes for case in cases]
    if box_mode == "oracle":
        return lambda k, rng: boxes[k]

    def changed(k: int, rng: np.random.RandomState) -> list[Box] | None:
        if not boxes[k] or rng.random_sample() < DROP:
            return None
        return [jitter_box(box, cases[k].mask.shape, rng) for box in boxes[k]]

    return changed


def _stops(plan: TrainingPlan, held_out: Sequence[Case]) -> bool:
    return plan.validation_fraction > 0 and bool(held_out)
