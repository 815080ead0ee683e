"""Selective prediction: how good a model is on the patients it is most certain about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.checks import check_number
from mmfusion.metrics.folds import one_model
from mmfusion.metrics.intervals import interval, metric_named
from mmfusion.metrics.weighted import Weighted

COVERAGES = tuple(np.round(np.arange(0.1, 1.001, 0.05), 2).tolist())
METRICS = ("risk", "macro_f1")
_LEAST = 10  # patients that must be left


@dataclass(frozen=True)
class Selective:
    """Result of leaving out the least certain patients.

    Parameters
    ----------
    table : DataFrame
        Columns metric, coverage (share of predictions that are kept, 0 to 1), value, lo, hi, random, oracle.
        `random` is the value if patients are left out at random. `oracle` is the value if the wrong
        predictions are left out first. The metric "risk" is the share of wrong predictions among those kept.
    aurc, lo, hi : float
        Area under the risk-coverage curve with its interval over patients: the mean risk over all
        coverages, 0 to 1. Smaller is better.
    aurc_random, aurc_oracle : float
        The same area if patients are left out at random, and by the oracle.
    n : int
        Number of patients (persons); a patient with predictions in several repeats counts once.
    least : float
        Smallest coverage that is shown; below it, fewer than 10 patients can be left.
    """

    table: pd.DataFrame
    aurc: float
    lo: float
    hi: float
    aurc_random: float
    aurc_oracle: float
    n: int
    least: float

    @property
    def by_certainty(self) -> bool:
        """True if the interval of the AURC lies below that of leaving patients out at random."""
        return self.hi < self.aurc_random

    def to_metrics(self) -> dict[str, object]:
        """Return the numbers as JSON values for `metrics.json`."""
        names = ("aurc_random", "aurc_oracle", "n", "least")
        rows = self.table.round(6).to_dict("records")
        return {
            "aurc": {"mean": self.aurc, "ci": [self.lo, self.hi]},
            **{name: getattr(self, name) for name in names},
            "curve": rows,
        }


def selective_prediction(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    model: str,
    *,
    metrics: Sequence[str] = METRICS,
    coverages: Sequence[float] = COVERAGES,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> Selective:
    """Compute a metric of the most certain patients, for several shares of patients that are kept.

    The certainty of a prediction is its largest probability. Patients with the same certainty are kept in
    equal parts, so the order of rows does not matter. Folds and repeats are pooled.

    Parameters
    ----------
    predictions, classes
        As for `score_table`. A prediction is wrong if `y_pred`, the class that the model decided on, is not
        the true class.
    model : str
        Model to judge.
    metrics : sequence of str
        "risk" (1 - accuracy), or names in `mmfusion.metrics.METRICS`.
    coverages : sequence of float
        Shares of predictions to keep, in (0, 1]. Those that could leave fewer than 10 patients are left out.
        A patient with predictions in several repeats is one patient.
    n_boot, level, random_state
        Number of resamples, level of the intervals (0 to 1), seed.

    Raises
    ------
    DataError
        If the model has no predictions, a metric is unknown, a coverage is out of range, or there are fewer
        than 10 patients.

    References
    ----------
    Geifman and El-Yaniv 2017, Selective classification for deep neural networks, NeurIPS. The area:
    Geifman et al. 2019, Bias-reduced uncertainty estimation for deep neural classifiers, ICLR.

    Examples
    --------
    >>> sure = np.linspace(0.55, 0.95, 20)
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": range(20), "p_I": sure})
    >>> table = table.assign(p_II=1 - sure, y_true=["II"] * 5 + ["I"] * 15)  # the uncertain ones are wrong
    >>> found = selective_prediction(table, ["I", "II"], "m", coverages=[0.75, 1.0], n_boot=20)
    >>> found.table.query("metric == 'risk'")[["coverage", "value", "random"]].to_numpy().tolist()
    [[0.75, 0.0, 0.25], [1.0, 0.25, 0.25]]
    >>> found.aurc == found.aurc_oracle < found.aurc_random
    True
    """
    judged = one_model(predictions, classes, model)
    patient = judged.rows["patient"].to_numpy()
    per_person = np.bincount(judged.person_ids[patient])
    kept = _coverages(coverages, per_person)
    # the risk depends on the shares of the classes, which the resamples therefore vary
    weights = judged.weights(n_boot, random_state, vary_shares=True)[patient]
    whole = judged.weighted(np.arange(len(patient)), weights)
    decided = whole.proba.argmax(axis=1) if whole.decided is None else whole.decided
    wrong = (decided != whole.codes).astype(float)
    certain, by_oracle = _ranks(whole.proba.max(axis=1)), _ranks(1 - wrong)
    rows = []
    for metric in metrics:
        everybody = _value(metric, whole)[0]
        for share in kept:
            part = _value(metric, _of_most_certain(whole, certain, share))
            best = _value(metric, _of_most_certain(whole, by_oracle, share, 1))[0]
            rows.append((metric, share, part[0], *interval(part[1:], level), everybody, best))
    areas = _aurc(wrong, certain, weights)
    return Selective(
        table=pd.DataFrame(rows, columns=["metric", "coverage", "value", "lo", "hi", "random", "oracle"]),
        aurc=float(areas[0]),
        **dict(zip(("lo", "hi"), interval(areas[1:], level), strict=True)),
        aurc_random=float(wrong.mean()),
        aurc_oracle=float(_aurc(wrong, by_oracle, weights[:, :1])[0]),
        n=len(per_person),
        least=float(kept[0]),
    )


def _coverages(coverages: Sequence[float], per_person: np.ndarray) -> list[float]:
    """Return the coverages that leave enough persons, whichever predictions are kept."""
    for one in coverages:
        check_number("coverages", one)
    wanted = sorted({float(c) for c in coverages})
    if not wanted or not all(0 < c <= 1 for c in wanted):
        expected = "shares above 0, at most 1"
        raise DataError("unusable coverages", parameter="coverages", expected=expected, got=list(coverages))
    n, needed = len(per_person), np.sort(per_person)[-_LEAST:].sum()  # all rows of the persons with most rows
    kept = [c for c in wanted if n >= _LEAST and c * per_person.sum() >= needed - 1e-9]
    if not kept:
        expected = f"at least {_LEAST} patients at a coverage"
        raise DataError("too few patients for selective prediction", expected=expected, got=n)
    return kept


def _ranks(certainty: np.ndarray) -> np.ndarray:
    """Return the rank of each row, 0 for the most certain; equal certainties share a rank."""
    return np.unique(-np.round(certainty, 12), return_inverse=True)[1]


def _of_most_certain(whole: Weighted, ranks: np.ndarray, share: float, n: int | None = None) -> Weighted:
    """Return the predictions with weights that keep a share of the patients, the first ranks first."""
    weights = whole.weights[:, :n]
    groups = np.zeros((ranks.max() + 1, weights.shape[1]))
    np.add.at(groups, ranks, weights)
    before = np.cumsum(groups, axis=0) - groups
    room = np.clip(share * weights.sum(axis=0) - before, 0.0, groups)
    part = np.divide(room, groups, out=np.zeros_like(groups), where=groups > 0)
    return Weighted(whole.codes, whole.proba, weights * part[ranks], whole.decided)


def _value(metric: str, part: Weighted) -> np.ndarray:
    return 1 - metric_named("accuracy")(part) if metric == "risk" else metric_named(metric)(part)


def _aurc(wrong: np.ndarray, ranks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean risk over all coverages, shape (B,); rows of one rank count with their mean error."""
    shape = (ranks.max() + 1, weights.shape[1])
    total, errors = np.zeros(shape), np.zeros(shape)
    np.add.at(total, ranks, weights)
    np.add.at(errors, ranks, weights * wrong[:, None])
    rate = np.divide(errors, total, out=np.zeros(shape), where=total > 0)
    order = np.argsort(ranks, kind="stable")
    w = weights[order]
    kept, missed = np.cumsum(w, axis=0), np.cumsum(w * rate[ranks[order]], axis=0)
    risk = np.divide(missed, kept, out=np.zeros_like(missed), where=kept > 0)
    return (w * risk).sum(axis=0) / w.sum(axis=0)
