"""Recalibration: correction of probabilities, learned on the training patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from mmfusion.errors import DataError
from mmfusion.metrics.folds import one_model
from mmfusion.nn.calibration import fit_calibration

_FLOOR = 1e-6  # smallest probability; the logarithm of 0 is not finite
_EQUAL = 1e-9


@dataclass(frozen=True)
class Recalibration:
    """A slope of the log-probabilities, and a bias for each class.

    Parameters
    ----------
    slope : float
        Factor of the log-probabilities, above 0. Below 1, the model was too sure.
    bias : tuple of float, length K
        Bias of each class.
    classes : tuple of str, length K
        Names of the classes.
    n : int
        Number of patients that it was fitted on.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["m"], "p_I": [0.8], "p_II": [0.2]})
    >>> Recalibration(1.0, (0.0, 0.0), ("I", "II"), 10).apply(table).to_dict("records")
    [{'model': 'm', 'p_I': 0.8, 'p_II': 0.2}]
    """

    slope: float
    bias: tuple[float, ...]
    classes: tuple[str, ...]
    n: int

    def apply(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Return the predictions with corrected probabilities; the decided class `y_pred` stays.

        Parameters
        ----------
        predictions : DataFrame
            Predictions of one model with columns `p_<class>`.

        Raises
        ------
        DataError
            If the predictions lack a class.
        """
        columns = [f"p_{c}" for c in self.classes]
        if absent := [c for c in columns if c not in predictions]:
            got = ", ".join(str(c) for c in predictions if str(c).startswith("p_"))
            raise DataError("the predictions lack a class", column=absent[0], got=got or "no probabilities")
        proba = softmax(self.slope * _log(predictions[columns]) + np.array(self.bias), axis=1)
        return predictions.assign(**dict(zip(columns, proba.T, strict=True)))


def fit_recalibration(predictions: pd.DataFrame, classes: Sequence[object], model: str) -> Recalibration:
    """Learn slope and biases from out-of-fold predictions of the training patients.

    No patient of another cohort is used, so the corrected probabilities of that cohort can be judged. The
    method is logistic recalibration for several classes. A prior keeps the correction small if there are few
    patients (`mmfusion.nn.calibration.fit_calibration`). Of several repeats, only the first is used, because
    further repeats have the same patients: as more rows, they would weaken the prior without more
    information.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold predictions of the training cohort, as in `NestedResult.predictions`.
    classes : sequence
        Classes in order.
    model : str
        Model to recalibrate.

    Raises
    ------
    DataError
        If the model predicts the same for all patients of a fold, as the majority class does, or all patients
        are of one class: a slope cannot be estimated.

    References
    ----------
    Steyerberg et al. 2004, Validation and updating of predictive logistic regression models, Statistics in
    Medicine 23, 2567-2586. Van Calster et al. 2016, A calibration hierarchy for risk models, Journal of
    Clinical Epidemiology 74, 167-176.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(0.05, 0.95, 400)
    >>> sharp = p**3 / (p**3 + (1 - p) ** 3)  # three times too sure
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": range(400), "p_I": sharp})
    >>> table = table.assign(p_II=1 - sharp, y_true=np.where(rng.uniform(size=400) < p, "I", "II"))
    >>> 0.25 < fit_recalibration(table, ["I", "II"], "m").slope < 0.45
    True
    """
    judged = one_model(predictions, classes, model)
    repeat = judged.rows["repeat"].min()
    folds = {key: rows for key, rows in judged.members("brier").items() if key[0] == repeat}
    if all(is_constant(judged.proba[rows]) for rows in folds.values()):
        raise DataError(
            f"the recalibration of {model} cannot be estimated",
            expected="predictions that differ between the patients of a fold",
            got="the same for all patients of a fold",
        )
    first = np.flatnonzero(judged.rows["repeat"] == repeat)
    codes = judged.codes[judged.rows["patient"].to_numpy()[first]]
    if len(np.unique(codes)) < 2:
        raise DataError(
            f"the recalibration of {model} cannot be estimated",
            expected="patients of two classes",
            got=f"{len(codes)} patients of class {classes[codes[0]]}",
        )
    slope, bias = fit_calibration(_log(judged.proba[first]), codes)
    return Recalibration(slope, tuple(map(float, bias)), tuple(map(str, classes)), len(codes))


def is_constant(proba: np.ndarray) -> bool:
    """Return True if all rows of probabilities, shape (n, K), are the same.

    Examples
    --------
    >>> is_constant(np.array([[0.7, 0.3], [0.7, 0.3]]))
    True
    """
    return bool(np.ptp(np.asarray(proba, dtype=float), axis=0).max() <= _EQUAL)


def _log(proba: object) -> np.ndarray:
    return np.log(np.clip(np.asarray(proba, dtype=float), _FLOOR, 1.0))
