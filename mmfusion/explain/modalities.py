"""Contribution of each modality: exact Shapley values, and the fall of the macro-AUC without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
from scipy.stats import t

from mmfusion.errors import DataError
from mmfusion.explain.conditional import (
    FittedModel,
    as_inputs,
    evaluation_mode,
    labels_of,
    presence_function,
)
from mmfusion.metrics.classification import macro_auc
from mmfusion.streams import StreamInputs


@dataclass(frozen=True, repr=False)
class ModalityAttribution:
    """Shapley value of each modality for the probability of each class, per patient.

    Parameters
    ----------
    values : ndarray, shape (n, M, K)
        Contributions to the probability of n patients, M modalities and K classes. Their sum over modalities
        is `output - base`. 0 if the patient does not have the modality.
    present : ndarray of bool, shape (n, M)
        True if the patient has the modality.
    output : ndarray, shape (n, K)
        Probabilities with all modalities of the patient.
    base : ndarray, shape (K,)
        Probabilities without any modality.
    patients, modalities, classes : tuple of str
        Names along the axes: n patients, M modalities, K classes.

    Examples
    --------
    >>> values, present = np.array([[[0.2], [-0.1]]]), np.array([[True, True]])
    >>> output, base = np.array([[0.6]]), np.array([0.5])
    >>> found = ModalityAttribution(values, present, output, base, ("P1",), ("ct", "rna"), ("I",))
    >>> found.mean_abs()["I"].to_dict()
    {'ct': 0.2, 'rna': 0.1}
    >>> found.gain(["I"])["gain"].to_dict()  # of the true class
    {'ct': 0.2, 'rna': -0.1}
    """

    values: np.ndarray
    present: np.ndarray
    output: np.ndarray
    base: np.ndarray
    patients: tuple[str, ...]
    modalities: tuple[str, ...]
    classes: tuple[str, ...]

    def values_of(self, class_: str) -> pd.DataFrame:
        """Return the contributions to one class: one row per patient, one column per modality.

        Raises
        ------
        DataError
            If there is no such class.
        """
        if class_ not in self.classes:
            raise DataError(f"no attribution to class {class_!r}", expected=", ".join(self.classes))
        values = self.values[:, :, self.classes.index(class_)]
        return pd.DataFrame(values, pd.Index(self.patients, name="patient_id"), self.modalities)

    def mean_abs(self) -> pd.DataFrame:
        """Return the mean absolute contribution: one row per modality, one column per class.

        The mean is over the patients who have the modality.
        """
        rows = {}
        for j, modality in enumerate(self.modalities):
            has = self.present[:, j]
            rows[modality] = (
                np.abs(self.values[has, j]).mean(axis=0) if has.any() else np.full(len(self.classes), np.nan)
            )
        return pd.DataFrame.from_dict(rows, orient="index", columns=self.classes).rename_axis("modality")

    def gain(self, y: Sequence[object]) -> pd.DataFrame:
        """Return how much each modality raises the probability of the true class.

        A modality without information can still move the prediction, so that its mean absolute contribution
        is above 0. Its gain is then about 0, or below.

        Parameters
        ----------
        y : sequence, shape (n,)
            True classes of the patients.

        Returns
        -------
        DataFrame
            One row per modality. Columns: `n` (patients who have it); `mean_abs` (mean absolute contribution
            over classes); `gain` (mean contribution to the probability of the true class); `lower`, `upper`
            (95 % interval of `gain`, by the t-distribution over patients; NaN with fewer than two patients).
            If a patient has several rows, as in repeated cross-validation, their mean is one value.

        Raises
        ------
        DataError
            If `y` has another length or the index of other patients, or a label that is not one of the
            classes.

        References
        ----------
        Covert et al. 2020, "Understanding global feature contributions with additive importance measures",
        NeurIPS, with the probability of the true class as the gain.
        """
        labels = labels_of(self.patients, y).astype(str)
        truth = pd.Index(self.classes).get_indexer(labels)
        if (truth < 0).any():
            got = ", ".join(sorted(set(labels[truth < 0])))
            raise DataError("not a class of the model", expected=", ".join(self.classes), got=got)
        own = self.values[np.arange(len(truth)), :, truth]
        patients = np.array(self.patients, dtype=object)
        rows = {}
        for j, modality in enumerate(self.modalities):
            has = self.present[:, j]
            some = pd.Series(own[has, j]).groupby(patients[has]).mean().to_numpy()
            n = len(some)
            mean = some.mean() if n else np.nan
            half = t.ppf(0.975, n - 1) * some.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
            rows[modality] = {"n": n, "gain": mean, "lower": mean - half, "upper": mean + half}
        out = pd.DataFrame.from_dict(rows, orient="index").rename_axis("modality").astype({"n": int})
        out.insert(1, "mean_abs", self.mean_abs().mean(axis=1))
        return out

    def __repr__(self) -> str:
        size = self.mean_abs().mean(axis=1).round(3).to_dict()
        return f"ModalityAttribution: {len(self.patients)} patients, mean |value| {size}"


def modality_shapley(model: FittedModel, X: object) -> ModalityAttribution:
    """Return exact Shapley values, from predictions for every subset of a patient's modalities.

    Streams of one modality are always present or hidden together. Without any modality the prediction is the
    model's `prior_`; if the model has none, it is the mean prediction over the background.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or StreamInputs
        Patients to explain.

    Returns
    -------
    ModalityAttribution
        Contributions of n patients, M modalities and K classes, in units of probability.

    Raises
    ------
    DataError
        If there is no patient to explain, or the model is not fitted.

    References
    ----------
    Shapley 1953. All 2^M subsets are summed; nothing is sampled.
    """
    inputs = as_inputs(model, X)
    names, membership = _modalities(model)
    has = np.stack([inputs.present[:, columns].any(axis=1) for columns in membership.values()], axis=1)
    with evaluation_mode(model) as members:
        base = _base(model, members)
        value = _coalitions(presence_function(members, inputs), inputs, membership, base)
    M = len(names)
    phi = np.zeros((len(has), M, len(base)))
    for j in range(M):
        others = [i for i in range(M) if i != j]
        for size in range(M):
            weight = factorial(size) * factorial(M - size - 1) / factorial(M)
            for S in combinations(others, size):
                phi[:, j] += weight * (value[frozenset((*S, j))] - value[frozenset(S)])
    phi[~has] = 0.0
    return ModalityAttribution(
        values=phi,
        present=has,
        output=value[frozenset(range(M))],
        base=base,
        patients=tuple(map(str, inputs.index)),
        modalities=names,
        classes=tuple(map(str, model.classes_)),
    )


def leave_one_modality_out(model: FittedModel, X: object, y: Sequence[object]) -> pd.DataFrame:
    """Return the macro-AUC of the fitted model with and without each modality.

    For each modality, only patients who have it and at least one other modality are used. Nothing is fitted
    again: a model trained without the modality could reach a higher AUC than the column `without`.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or StreamInputs
        n held-out patients.
    y : sequence, shape (n,)
        Their labels.

    Returns
    -------
    DataFrame
        One row per modality. Columns: `n` (patients); `macro_auc` (with the modality); `without` (macro-AUC
        without it); `drop` (the difference); `changed` (share of patients whose predicted class changes).

    Raises
    ------
    DataError
        If there is no patient, `y` has another length or the index of other patients, or a label is not one
        of the model's classes.
    """
    inputs = as_inputs(model, X)
    labels = labels_of(inputs.index, y).astype(str)
    classes = [str(c) for c in model.classes_]
    decide = getattr(model, "decide", lambda p: p.argmax(axis=1))
    _, membership = _modalities(model)
    rows = {}
    with evaluation_mode(model) as members:
        proba = presence_function(members, inputs)
        for modality, columns in membership.items():
            hidden = inputs.present.copy()
            hidden[:, columns] = False
            some = np.flatnonzero(inputs.present[:, columns].any(axis=1) & hidden.any(axis=1))
            row = {"n": len(some), "macro_auc": np.nan, "without": np.nan, "changed": np.nan}
            if len(some):
                full, less = proba(inputs.present, some), proba(hidden, some)
                row |= {
                    "macro_auc": macro_auc(labels[some], full, classes),
                    "without": macro_auc(labels[some], less, classes),
                    "changed": float((decide(full) != decide(less)).mean()),
                }
            rows[modality] = row
    out = pd.DataFrame.from_dict(rows, orient="index").rename_axis("modality")
    out.insert(3, "drop", out["macro_auc"] - out["without"])
    return out


def _modalities(model: FittedModel) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Return the names of the modalities, and modality -> positions of its streams."""
    membership: dict[str, list[int]] = {}
    for i, spec in enumerate(model.transformer_.specs_):
        membership.setdefault(spec.modality, []).append(i)
    return tuple(membership), membership


def _base(model: FittedModel, members: Sequence[object]) -> np.ndarray:
    if getattr(model, "prior_", None) is not None:
        return np.asarray(model.prior_, dtype=float)
    rows = np.arange(len(model.background_.present))
    return presence_function(members, model.background_)(model.background_.present, rows).mean(axis=0)


def _coalitions(
    proba: object, inputs: StreamInputs, membership: Mapping[str, Sequence[int]], base: np.ndarray
) -> dict[frozenset[int], np.ndarray]:
    """Return subset of modalities -> probabilities (n, K); `base` if a patient has none of the subset."""
    value = {}
    columns = list(membership.values())
    for size in range(len(columns) + 1):
        for S in combinations(range(len(columns)), size):
            present = np.zeros_like(inputs.present)
            for j in S:
                present[:, columns[j]] = inputs.present[:, columns[j]]
            out = np.tile(base, (len(present), 1))
            rows = np.flatnonzero(present.any(axis=1))
            if len(rows):
                out[rows] = proba(present, rows)
            value[frozenset(S)] = out
    return value
