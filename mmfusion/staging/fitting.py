"""Fitting of one network of a StageClassifier."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.model_selection import train_test_split

from mmfusion.errors import DataError
from mmfusion.nn.losses import make_loss
from mmfusion.nn.net import FusionNet
from mmfusion.nn.training import StreamDataset, TrainingPlan, fit_network
from mmfusion.preprocessing.augmentation import CropAugmentation, augment_batch
from mmfusion.streams import CUBE, StreamInputs


def fit_member(
    module: FusionNet,
    inputs: StreamInputs,
    codes: np.ndarray,
    plan: TrainingPlan,
    seed: int,
    *,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[FusionNet, list[dict[str, float]]]:
    """Train a network on the rows of a fit, without the validation rows of early stopping.

    Parameters
    ----------
    module : FusionNet
        Untrained network.
    inputs : StreamInputs
        All rows given to `fit`.
    codes : ndarray of int, shape (n,)
        Their classes.
    plan : TrainingPlan
        Settings of the training. The default batch size depends on the number of all rows.
    seed : int
        Seed for the choice of the validation rows.
    device : str
        torch device.
    progress : bool
        Show a bar over epochs.

    Returns
    -------
    module : FusionNet
        Trained network in evaluation mode, on the CPU.
    history : list of dict
        One row per epoch, see `mmfusion.nn.training.fit_network`.
    """
    n_classes = int(codes.max()) + 1
    train_rows, valid_rows = np.arange(len(codes)), None
    if plan.validation_fraction:
        n = max(round(plan.validation_fraction * len(codes)), n_classes)
        if len(codes) - n < n_classes:
            raise DataError(
                "too few rows are left for training",
                column="validation_fraction",
                expected=f"at least {n_classes} of {len(codes)} rows, one per class",
                got=f"{plan.validation_fraction}, which leaves {len(codes) - n}",
            )
        train_rows, valid_rows = train_test_split(train_rows, test_size=n, stratify=codes, random_state=seed)
    volumes = [spec.name for spec in module.specs if spec.fits(CUBE)]
    augment = partial(augment_batch, config=CropAugmentation()) if plan.augment and volumes else None

    def dataset(rows: np.ndarray, augment: partial | None = None) -> StreamDataset:
        part = inputs.rows(rows)
        return StreamDataset(part.arrays, part.present, codes[rows], augment, volumes)

    counts = np.bincount(codes[train_rows], minlength=n_classes)
    loss = plan.loss or "cross_entropy"
    try:
        criterion = make_loss(loss, counts, **plan.loss_options)
    except TypeError as error:
        got = ", ".join(plan.loss_options)
        expected = "gamma, class_weight"
        raise DataError(f"{loss} does not take these options", expected=expected, got=got) from error
    return fit_network(
        module,
        criterion,
        dataset(train_rows, augment),
        None if valid_rows is None else dataset(valid_rows),
        plan.replace(batch_size=plan.rows_per_batch(len(codes))),
        device=device,
        progress=progress,
    )
