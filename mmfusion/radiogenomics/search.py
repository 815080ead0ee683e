"""Choice of reducer, classifier, their settings and the threshold of the probability on inner folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from mmfusion.errors import DataError
from mmfusion.radiogenomics.pipeline import Setting, classifier, head, quiet
from mmfusion.radiogenomics.threshold import best_threshold

METRICS = ("macro_auc", "macro_f1")
_LEAST = 3  # patients of a class in the training rows of every inner fold


@dataclass(frozen=True, eq=False)
class Search:
    """Result of the search on inner folds.

    Attributes
    ----------
    best : Setting
        Setting with the highest score; of several, the first.
    threshold : float
        Threshold of the probability of the second class with the highest macro-F1 on the inner folds.
    table : DataFrame
        One row per setting: reducer, classifier, params, score; NaN if the setting is not estimable.
    """

    best: Setting
    threshold: float
    table: pd.DataFrame


def search(
    settings: Sequence[Setting],
    parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    codes: np.ndarray,
    *,
    metric: str = "macro_auc",
    seed: int = 0,
) -> Search:
    """Try every setting on inner folds.

    Parameters
    ----------
    settings : sequence of Setting
        Settings to try. Those with the same reducer share its fit if they follow each other.
    parts : sequence of (train, test, features of train, features of test)
        One tuple per inner fold: positions in `codes`, and arrays of shape (n, d). The features of the test
        rows come from an extractor that was not fitted on them.
    codes : ndarray of int, shape (n,)
        Classes of all rows, 0 or 1. Each is in the test rows of one inner fold.
    metric : {"macro_auc", "macro_f1"}
        "macro_auc": mean over the inner folds. "macro_f1": of all inner test rows, at the threshold that
        makes it largest.
    seed : int
        Seed of all estimators.

    Raises
    ------
    DataError
        If no setting is estimable.

    Examples
    --------
    >>> from mmfusion.radiogenomics.pipeline import all_settings
    >>> x, codes = np.arange(12.0)[:, None], np.repeat([0, 1], 6)
    >>> folds = [(np.arange(k, 12, 2), np.arange(1 - k, 12, 2)) for k in (0, 1)]
    >>> parts = [(train, test, x[train], x[test]) for train, test in folds]
    >>> found = search(all_settings(["none"], ["dt"], "demo", None), parts, codes)
    >>> found.best.label, found.threshold
    ('none + dt', 0.5)
    """
    chances = np.full((len(settings), len(codes)), np.nan)
    for train, test, seen, unseen in parts:
        reduced, last = None, None
        for row, setting in enumerate(settings):
            key = (setting.reducer, repr(setting.reducer_params))
            if key != last:
                reduced, last = _reduced(setting, seen, unseen, codes[train], seed), key
            if reduced is not None:
                chances[row, test] = _chances(setting, *reduced, codes[train], seed)
    scores = [_score(chance, codes, parts, metric) for chance in chances]
    table = pd.DataFrame(
        {
            "reducer": [s.reducer for s in settings],
            "classifier": [s.classifier for s in settings],
            "params": [{**s.reducer_params, **s.classifier_params} for s in settings],
            "score": scores,
        }
    )
    if table["score"].isna().all():
        raise DataError("not estimable: the covariance of a class is singular in every setting",
                        got=", ".join(dict.fromkeys(s.label for s in settings)),
                        hint="use shrinkage, or fewer features")  # fmt: skip
    best = int(np.nanargmax(scores))
    return Search(settings[best], best_threshold(codes, chances[best])[0], table)


def _score(chance: np.ndarray, codes: np.ndarray, parts: Sequence[tuple], metric: str) -> float:
    if np.isnan(chance).any():
        return np.nan
    if metric == "macro_f1":
        return best_threshold(codes, chance)[1]
    return float(np.mean([roc_auc_score(codes[test], chance[test]) for _, test, *_ in parts]))


def _reduced(
    setting: Setting, seen: np.ndarray, unseen: np.ndarray, codes: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the reduced features of training and test rows; None if the reducer is not estimable."""
    try:
        with quiet():
            fitted = head(setting, seed).fit(seen, codes)
            return fitted.transform(seen), fitted.transform(unseen)
    except np.linalg.LinAlgError:
        return None


def _chances(
    setting: Setting, seen: np.ndarray, unseen: np.ndarray, codes: np.ndarray, seed: int
) -> np.ndarray | float:
    """Return the probability of class 1 of the test rows; NaN if the classifier is not estimable."""
    try:
        with quiet():
            return classifier(setting, seed).fit(seen, codes).predict_proba(unseen)[:, 1]
    except np.linalg.LinAlgError:
        return np.nan


def check_classes(codes: np.ndarray, classes: np.ndarray, persons: Sequence[str], inner: int) -> None:
    """Raise a `DataError` unless there are two classes with enough persons for the inner folds.

    Examples
    --------
    >>> check_classes(np.array([0, 1] * 6), np.array(["wildtype", "mutant"]), list("abcdefghijkl"), 2)
    """
    if len(classes) != 2:
        raise DataError(
            "not two classes", expected="two, such as wildtype and mutant", got=", ".join(classes)
        )
    by_class = pd.Series(persons).groupby(codes).nunique()
    least = int(by_class.min())
    largest_fold = -(-least // inner)
    if least < inner or least - largest_fold < _LEAST:
        needed = max(inner, next(n for n in range(4, 4 * inner + 8) if n - -(-n // inner) >= _LEAST))
        problem = f"too few patients of the class {str(classes[by_class.idxmin()])!r} for {inner} inner folds"
        hint = "use fewer inner or outer folds, or more patients"
        raise DataError(problem, expected=f"{needed} or more", got=least, hint=hint)
