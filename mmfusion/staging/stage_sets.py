"""Sets of stages that contain the true one with a stated probability (conformal prediction)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from mmfusion.errors import DataError

COVERAGES, COVERAGE = (0.8, 0.9, 0.95), 0.9  # those that are learned, and the default


@dataclass(frozen=True)
class StageSets:
    """Least probability that a class needs to be in the set, by coverage.

    A set has every class whose probability is at or above the threshold of its coverage. The true class of
    a new patient is in the set with about this probability, on average over patients like those of the
    training. It is not a statement about one patient, or about patients of another kind.

    The coverage is measured (`benchmarks/phantom.py sets`), not guaranteed: a left-out row is predicted by
    the network that did not see it, but a new patient by the mean of all, and the calibration was fitted on
    the same rows. With few left-out rows the coverage of one training varies: with 160 rows, its standard
    deviation is 0.03 at a coverage of 0.8 (`benchmarks/set_coverage.py`).

    Parameters
    ----------
    thresholds : mapping of float to float
        Coverage -> threshold, both between 0 and 1. Coverages that the rows do not suffice for are left out.
    n : int
        Number of rows that the thresholds were learned on.

    References
    ----------
    Sadinle et al. 2019, "Least ambiguous set-valued classifiers with bounded error levels", Journal of the
    American Statistical Association 114, 223-234.

    Examples
    --------
    >>> sets = StageSets({0.9: 0.25}, n=100)
    >>> sets.members(np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), 0.9).tolist()
    [[True, True, False], [False, False, True]]
    """

    thresholds: dict[float, float]
    n: int

    def __post_init__(self) -> None:
        found = {float(level): float(value) for level, value in self.thresholds.items()}
        if not all(0 < level < 1 and 0 <= value <= 1 for level, value in found.items()):
            raise DataError("not thresholds of coverages", expected="numbers between 0 and 1", got=found)
        object.__setattr__(self, "thresholds", found)
        object.__setattr__(self, "n", int(self.n))

    def members(self, proba: np.ndarray, coverage: float) -> np.ndarray:
        """Return which classes are in the set of each patient, bool, shape (n, K).

        The most probable class is always in the set.

        Parameters
        ----------
        proba : ndarray, shape (n, K)
            Probabilities of the classes.
        coverage : float
            One of the coverages of `thresholds`.

        Raises
        ------
        DataError
            If the sets of this coverage were not learned. The error lists those that were.
        """
        if coverage not in self.thresholds:
            few = f"more than {self.n} left-out rows" if self.n else "a model of two networks or more"
            known = ", ".join(f"{level:g}" for level in self.thresholds) or few
            got = repr(coverage) if isinstance(coverage, str) else coverage
            raise DataError("no sets of this coverage", parameter="coverage", expected=known, got=got)
        proba = np.asarray(proba, dtype=float)
        inside = proba >= self.thresholds[coverage]
        inside[np.arange(len(proba)), proba.argmax(axis=1)] = True
        return inside


def fit_sets(proba: np.ndarray, codes: np.ndarray, coverages: Sequence[float] = COVERAGES) -> StageSets:
    """Learn the thresholds on rows that no network was trained on, by MAPIE.

    Parameters
    ----------
    proba : ndarray, shape (n, K)
        Calibrated probabilities of the rows; NaN in rows without held-out probabilities.
    codes : ndarray of int, shape (n,)
        Classes of all rows.
    coverages : sequence of float
        Wanted coverages. One of 0.95 needs 19 rows at least, one of 0.9 needs 9.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> proba = rng.dirichlet([1, 1, 1], 400)
    >>> codes = np.array([rng.choice(3, p=p) for p in proba])
    >>> sets = fit_sets(proba, codes)
    >>> sets.n, sorted(sets.thresholds) == [0.8, 0.9, 0.95]
    (400, True)
    """
    has = np.isfinite(proba).all(axis=1)
    known, truth = np.asarray(proba, dtype=float)[has], np.asarray(codes)[has]
    enough = [level for level in coverages if (len(truth) + 1) * (1 - level) >= 1]
    if not enough or len(np.unique(truth)) < known.shape[1]:  # MAPIE wants every class among the rows
        return StageSets({}, len(truth))
    from mapie.classification import SplitConformalClassifier  # takes seconds to import

    mapie = SplitConformalClassifier(
        _Given(known.shape[1]).fit(),
        confidence_level=enough,
        conformity_score="lac",
        prefit=True,
        random_state=0,  # nothing is random here, but without it MAPIE takes numpy's global numbers
    )
    _, sets = mapie.conformalize(known, truth).predict_set(known)
    rows = np.arange(len(truth))
    own = known[rows, truth]
    # the threshold is the least probability of a true class that is in its set
    found = {level: own[sets[rows, truth, k]].min() for k, level in enumerate(enough)}
    return StageSets(found, len(truth))


class _Given(ClassifierMixin, BaseEstimator):
    """Fitted classifier for MAPIE, whose input is the probabilities themselves."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def fit(self, X: object = None, y: object = None) -> _Given:
        self.classes_ = np.arange(self.n_classes)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(X).argmax(axis=1)
