"""Balance of unequal groups of training rows: by weights in the loss, or by repeated rows.

Kamiran & Calders 2012, "Data preprocessing techniques for classification without discrimination", Knowledge
and Information Systems 33(1), describe both: reweighing and sampling.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import nn

from mmfusion.data.checks import MOST_GROUPS
from mmfusion.errors import DataError, TableWarning, did_you_mean, warn
from mmfusion.nn.losses import FocalLoss

CLASS = "class"  # `balance_by` for the classes themselves
_UNEQUAL = 5  # rows; a single row that counts as much as so many is said


def row_groups(X: pd.DataFrame, codes: np.ndarray, by: str) -> np.ndarray:
    """Return the number of the group of each row, shape (n,).

    Parameters
    ----------
    X : DataFrame, shape (n, n_columns)
        Training rows, with the column levels (modality, feature).
    codes : ndarray of int, shape (n,)
        Class of each row.
    by : str
        "class", or a column as "modality.feature", such as "ehr.sex" or "meta.site". The column need not be
        an input of the model. Rows without a value are a group of their own.

    Raises
    ------
    DataError
        If there is no such column, or if it has more than 12 different values, or only one.

    Warns
    -----
    TableWarning
        If a group has a single row, and another one has 5 or more.

    Examples
    --------
    >>> X = pd.DataFrame({("ehr", "sex"): ["female", "male", None, "male", "female", None]})
    >>> row_groups(X, np.array([0, 1, 0, 1, 0, 1]), "ehr.sex").tolist()
    [0, 1, 2, 1, 0, 2]
    """
    if by == CLASS:
        return codes
    column = tuple(by.split(".", 1))
    if len(column) != 2 or column not in X.columns:
        known = [f"{m}.{f}" for m, f in X.columns if m in ("ehr", "meta")]
        raise DataError(
            "no such column to balance by",
            parameter="balance_by",
            expected=f"{CLASS}, or a column such as {', '.join(known[:8])}",
            got=by,
            hint=did_you_mean(by, known),
        )
    values = (
        X[column].astype(object).where(X[column].notna(), "")
    )  # "" sorts first as text, so number it last
    names = [*sorted({str(value) for value in values} - {""}), ""]
    found = pd.Categorical(values.astype(str), categories=names).codes.astype(int)
    n = len(np.unique(found))
    if not 2 <= n <= MOST_GROUPS:
        raise DataError(
            "a column to balance by needs a few groups",
            parameter="balance_by",
            column=by,
            expected=f"2 to {MOST_GROUPS} different values",
            got=n,
        )
    counts = pd.Series(found).value_counts()
    alone = sorted(names[k] or "no value" for k in counts.index[counts == 1])
    if alone and counts.max() >= _UNEQUAL:
        text = f"balance_by {by}: one training row of {', '.join(alone)}"
        warn(f"{text}; it counts as much as all {counts.max()} rows of the largest group", TableWarning)
    return np.unique(found, return_inverse=True)[1]


def group_weights(groups: np.ndarray) -> np.ndarray:
    """Return weights of rows with which all groups count the same, shape (n,); their mean is 1.

    >>> group_weights(np.array([0, 0, 0, 1])).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    counts = np.bincount(groups)
    return len(groups) / ((counts > 0).sum() * counts[groups])


def oversampled(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return positions of rows in which all groups are as large as the largest, by repeating rows.

    Every row is there at least once. The rows that are repeated once more than others are drawn at random.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        Group of each row.
    seed : int
        Seed of the draw.

    Examples
    --------
    >>> rows = oversampled(np.array([0, 0, 0, 1]), seed=0)
    >>> sorted(rows.tolist())
    [0, 1, 2, 3, 3, 3]
    """
    rng = np.random.default_rng(seed)
    size = np.bincount(groups).max()
    parts = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        times, rest = divmod(size, len(members))
        parts += [np.tile(members, times), rng.choice(members, rest, replace=False)]
    return np.concatenate(parts)


def balanced_rows(
    trained: np.ndarray, groups: np.ndarray, balance: str | None, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows of an epoch, and the weight of each row in the loss.

    Parameters
    ----------
    trained : ndarray of int
        Rows that the network is trained on.
    groups : ndarray of int, shape (n,)
        Group of each of all rows. Groups are counted on the rows of `trained` only.
    balance : {"reweight", "oversample"} or None
        See `TrainingPlan`.
    seed : int
        Seed of the rows that are repeated.

    Returns
    -------
    rows : ndarray of int
        `trained`, or for "oversample" with some rows repeated.
    weights : ndarray of float, shape (n,), or None
        For "reweight" the weights of all rows. A group without a row in `trained` has the weight 1.

    Examples
    --------
    >>> rows, weights = balanced_rows(np.arange(4), np.array([0, 0, 0, 1, 1]), "reweight", seed=0)
    >>> rows.tolist(), weights.round(2).tolist()
    ([0, 1, 2, 3], [0.67, 0.67, 0.67, 2.0, 2.0])
    """
    if balance == "oversample":
        return trained[oversampled(groups[trained], seed)], None
    if balance == "reweight":
        of_group = np.ones(groups.max() + 1)
        of_group[groups[trained]] = group_weights(groups[trained])
        return trained, of_group[groups]
    return trained, None


class WeightedRows(nn.Module):
    """Loss with a weight for each row.

    Parameters
    ----------
    criterion : CrossEntropyLoss or FocalLoss
        Loss without weights of rows.

    Notes
    -----
    The labels are a dict of `y`, class codes (b,), and `weight`, float (b,).

    Examples
    --------
    >>> loss, logits = WeightedRows(nn.CrossEntropyLoss()), torch.tensor([[0.0, 2.0], [0.0, 2.0]])
    >>> labels = {"y": torch.tensor([0, 1]), "weight": torch.tensor([0.0, 1.0])}
    >>> round(loss(logits, labels).item(), 3)  # the first row does not count
    0.127
    """

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__()
        self.criterion = criterion

    def forward(self, logits: torch.Tensor, labels: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted mean of the losses of the rows, a scalar."""
        y, weight = labels["y"], labels["weight"]
        if isinstance(self.criterion, FocalLoss):
            return (weight * self.criterion.of_rows(logits, y)).sum() / weight.sum()
        of_class = self.criterion.weight
        losses = nn.functional.cross_entropy(logits, y, of_class, reduction="none")
        total = weight if of_class is None else weight * of_class[y]
        return (weight * losses).sum() / total.sum()
