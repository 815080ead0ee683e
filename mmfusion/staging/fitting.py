"""Fitting of the networks of a StageClassifier, and their calibration on rows that they did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from sklearn.model_selection import train_test_split
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.calibration import fit_calibration
from mmfusion.nn.losses import make_loss
from mmfusion.nn.net import FusionNet
from mmfusion.nn.network import NetworkPlan
from mmfusion.nn.training import (
    StreamDataset,
    TrainingPlan,
    fit_network,
    predict_in_batches,
    reproducible,
)
from mmfusion.nn.training.row_balance import WeightedRows, balanced_rows
from mmfusion.preprocessing.augmentation import CropAugmentation, augment_batch
from mmfusion.streams import CUBE, StreamInputs, StreamSpec

_PARTS = 8  # each of several networks leaves out one of at least so many parts


@dataclass(frozen=True, eq=False)
class Fitted:
    """Trained and calibrated networks.

    Attributes
    ----------
    members : list of FusionNet
        Networks in evaluation mode, on the CPU.
    history : list of list of dict
        One row per member and epoch, see `mmfusion.nn.training.fit_network`.
    held_out : ndarray, shape (n, K)
        Calibrated probabilities of each row by the members that were not trained on it; NaN if all were.
    """

    members: list[FusionNet]
    history: list[list[dict[str, float]]]
    held_out: np.ndarray


def fit_members(
    inputs: StreamInputs,
    codes: np.ndarray,
    specs: Sequence[StreamSpec],
    network: NetworkPlan,
    plan: TrainingPlan,
    *,
    fusion: str,
    n_members: int,
    seed: int,
    persons: Sequence[object] | None = None,
    groups: np.ndarray | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> Fitted:
    """Train several networks, and calibrate them on the rows that each was not trained on.

    With two or more members, each leaves out another eighth of the rows (with more than 8 members, a smaller
    part). Rows that early stopping watches are left out too. The left-out rows give the slope and the biases
    of `Calibration`, which all members share.

    Parameters
    ----------
    inputs : StreamInputs
        All rows given to `fit`.
    codes : ndarray of int, shape (n,)
        Their classes.
    specs : sequence of StreamSpec
        Streams of the network.
    network, plan : NetworkPlan, TrainingPlan
        Settings of the network and of its training.
    fusion : str
        Registered fusion.
    n_members : int
        Number of networks.
    seed : int
        Seed of all random numbers.
    persons : sequence, shape (n,), optional
        Person of each row. The rows of a person are left out together.
    groups : ndarray of int, shape (n,), optional
        Group of each row for `plan.balance`. Default: the classes.
    device : str
        torch device.
    progress : bool
        Show a bar over epochs.

    Raises
    ------
    DataError
        If too few rows are left for training, or the loss does not take an option.
    """
    n_classes = int(codes.max()) + 1
    part = left_out_part(codes, n_members, seed, persons)
    members, history, logits = [], [], []
    for member in range(n_members):
        own = int(seed) + 1000 * member
        rows = np.flatnonzero(part != member)
        with reproducible(own, device):
            module = network.build(specs, n_classes, fusion)
            module, trained, losses = fit_member(
                module, inputs, codes, plan, own, rows=rows, groups=groups, device=device, progress=progress
            )
        members.append(module)
        history.append(losses)
        logits.append(_held_out_logits(module, inputs, trained, device))
    # the mean over the members that held a row out; most rows are held out by one member
    with np.errstate(all="ignore"):
        log_p = logsumexp(np.nan_to_num(logits, nan=-np.inf), axis=0)
    has = np.isfinite(logits).all(axis=2).any(axis=0)
    slope, bias = fit_calibration(log_p[has], codes[has])
    for module in members:
        module.calibration.set(slope, bias)
    held_out = np.full((len(codes), n_classes), np.nan)
    held_out[has] = softmax(slope * log_p[has] + bias, axis=1)
    return Fitted(members, history, held_out)


def left_out_part(
    codes: np.ndarray, n_members: int, seed: int, persons: Sequence[object] | None = None
) -> np.ndarray:
    """Return the number of the member that leaves each row out, shape (n,); -1 if all members see it.

    Every part has about the same share of each class, and the rows of a person are in one part.

    Examples
    --------
    >>> part = left_out_part(np.repeat([0, 1], 8), 2, seed=0)
    >>> sorted(part[:8].tolist())  # an eighth of the first class is left out by each of two members
    [-1, -1, -1, -1, -1, -1, 0, 1]
    """
    if n_members < 2:
        return np.full(len(codes), -1)
    _, first, person = np.unique(
        np.arange(len(codes)) if persons is None else np.asarray(persons).astype(str),
        return_index=True,
        return_inverse=True,
    )
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(codes[first][order], kind="stable")]  # person by person, class after class
    part = np.empty(len(first), dtype=int)
    part[order] = np.arange(len(first)) % max(_PARTS, n_members)
    return np.where(part < n_members, part, -1)[person]


def fit_member(
    module: FusionNet,
    inputs: StreamInputs,
    codes: np.ndarray,
    plan: TrainingPlan,
    seed: int,
    *,
    rows: np.ndarray,
    groups: np.ndarray | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[FusionNet, np.ndarray, list[dict[str, float]]]:
    """Train a network on some rows, without the validation rows of early stopping.

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
    rows : ndarray of int
        Rows to train on and to validate on.
    groups : ndarray of int, shape (n,), optional
        Group of each row for `plan.balance`. Default: the classes.
    device : str
        torch device.
    progress : bool
        Show a bar over epochs.

    Returns
    -------
    module : FusionNet
        Trained network in evaluation mode, on the CPU, which undoes the weights of the loss.
    trained : ndarray of int
        Rows that the network was trained on.
    history : list of dict
        One row per epoch, see `mmfusion.nn.training.fit_network`.
    """
    n_classes = int(codes.max()) + 1
    trained, valid = _early_stopping_rows(rows, codes, plan, n_classes, seed)
    volumes = [spec.name for spec in module.specs if spec.fits(CUBE)]
    augment = partial(augment_batch, config=CropAugmentation()) if plan.augment and volumes else None

    groups = codes if groups is None else groups
    drawn, weights = balanced_rows(trained, groups, plan.balance, seed)

    def dataset(rows: np.ndarray, augment: partial | None = None) -> StreamDataset:
        part = inputs.rows(rows)
        y = codes[rows] if weights is None else {"y": codes[rows], "weight": weights[rows]}
        return StreamDataset(part.arrays, part.present, y, augment, volumes)

    own = np.bincount(codes[trained], minlength=n_classes)
    counts = np.bincount(codes[drawn], None if weights is None else weights[drawn], minlength=n_classes)
    criterion = _criterion(plan, counts)
    module, history = fit_network(
        module,
        criterion if weights is None else WeightedRows(criterion),
        dataset(drawn, augment),
        None if valid is None else dataset(valid),
        plan.replace(batch_size=plan.rows_per_batch(len(codes)), balance=None),
        device=device,
        progress=progress,
    )
    factors = torch.as_tensor(counts / np.maximum(own, 1), dtype=torch.float32)
    module.calibration.undo(criterion.to("cpu"), factors / factors.mean() if plan.balance else None)
    return module, trained, history


def _criterion(plan: TrainingPlan, counts: np.ndarray) -> nn.Module:
    loss = plan.loss or "cross_entropy"
    try:
        return make_loss(loss, counts, **plan.loss_options)
    except TypeError as error:
        got = ", ".join(plan.loss_options)
        expected = "gamma, class_weight"
        raise DataError(f"{loss} does not take these options", expected=expected, got=got) from error


def _early_stopping_rows(
    rows: np.ndarray, codes: np.ndarray, plan: TrainingPlan, n_classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows to train on, and those that early stopping watches, if any."""
    if not plan.validation_fraction:
        return rows, None
    n = max(round(plan.validation_fraction * len(rows)), n_classes)
    if len(rows) - n < n_classes:
        raise DataError(
            "too few rows are left for training",
            parameter="validation_fraction",
            expected=f"at least {n_classes} of {len(rows)} rows, one per class",
            got=f"{plan.validation_fraction}, which leaves {len(rows) - n}",
        )
    trained, valid = train_test_split(rows, test_size=n, stratify=codes[rows], random_state=seed)
    return trained, valid


def _held_out_logits(module: FusionNet, inputs: StreamInputs, trained: np.ndarray, device: str) -> np.ndarray:
    """Return log-probabilities of the rows that the network was not trained on, shape (n, K); else NaN."""
    out = np.full((len(inputs.present), module.n_classes), np.nan)
    rows = np.setdiff1d(np.arange(len(out)), trained)
    if len(rows):
        part = inputs.rows(rows)
        arrays = {"present": part.present, **part.arrays}
        out[rows] = predict_in_batches(module, arrays, device=device).log_softmax(1).double().numpy()
    return out
