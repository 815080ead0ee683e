"""Demonstrations of choices made by the test set: the best epoch, and the best of many settings.

Each epoch and each setting has a score that is partly luck. The largest of many scores is therefore too high.
The score of the same epoch or setting on other patients is not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.stats import norm, rankdata
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier

from mmfusion.evaluation.leakage.demos import PROTOCOLS, demo_rows, repeats
from mmfusion.evaluation.leakage.registry import register_demo
from mmfusion.evaluation.leakage.tables import SIGNALS, gaussian_table

EPOCHS, TUNING = "checkpoint", "tuning"
_AUC = 0.75  # best possible, in the planted cohorts
SIMULATED = "simulated epochs"


def best_of_epochs(epochs: int, positives: int, negatives: int, correlation: float = 0.0) -> float:
    """Return the expected AUC of the best of many epochs of a network that knows nothing.

    The AUC of a score without information has the mean 1/2 and the variance (m + n + 1) / (12 m n) for m and
    n patients of the two classes (Mann and Whitney 1947), and is nearly normal. If the scores of two epochs
    have the correlation r, their AUCs have the correlation 6 / pi * asin(r / 2). The maximum of E equally
    correlated normal values follows from the maximum of E independent ones, which is an integral.

    Parameters
    ----------
    epochs : int
        Number of epochs, of which the best on the test set is reported.
    positives, negatives : int
        Number of test patients of each class.
    correlation : float
        Correlation of the scores of two epochs, 0 to 1.

    Examples
    --------
    >>> round(best_of_epochs(1, 20, 20), 6)  # without a choice
    0.5
    >>> round(best_of_epochs(50, 20, 20), 2), round(best_of_epochs(50, 20, 20, correlation=0.8), 2)
    (0.71, 0.6)
    """
    sd = np.sqrt((positives + negatives + 1) / (12 * positives * negatives))
    between = 6 / np.pi * np.arcsin(correlation / 2)
    largest, _ = quad(lambda z: z * epochs * norm.pdf(z) * norm.cdf(z) ** (epochs - 1), -10, 10)
    return float(0.5 + sd * np.sqrt(1 - between) * largest)


@register_demo(
    "D6",
    EPOCHS,
    title="the epoch that is best on the test set is reported",
    leaky="The epoch with the best test AUC is reported.",
    honest="The epoch with the best AUC on validation patients is reported, with its test AUC.",
    rows=("L-10", "L-15"),
    n_rep=8,
    best=_AUC,
)
def checkpoint_demo(
    seed: int = 0, n_rep: int = 8, *, epochs: int = 50, n: int = 40, correlation: float = 0.8
) -> pd.DataFrame:
    """Report the epoch that is best on the test set (leaky), or on validation patients (honest).

    In the cohorts "null" and "planted" a small network is trained. In the cohort "simulated epochs" the
    scores of the epochs are random numbers with a given correlation, so that the expected result is known.

    Parameters
    ----------
    seed, n_rep : int
        Seed, and number of repeats, each with its own patients.
    epochs : int
        Number of epochs.
    n : int
        Number of test patients, and of validation patients; half of them are of each class. There are twice
        as many training patients.
    correlation : float
        Correlation of the scores of two simulated epochs.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metric `auc`; for the simulated epochs also `auc_expected`, by
        `best_of_epochs`.

    Examples
    --------
    >>> rows = checkpoint_demo(n_rep=1, epochs=5)
    >>> rows["cohort"].unique().tolist()
    ['null', 'planted', 'simulated epochs']
    """
    runs: list[pd.DataFrame] = []
    for rep in repeats(n_rep):
        rng = np.random.default_rng([seed, rep])
        for signal in SIGNALS:
            informative = 5 if signal == "planted" else 0
            X, y = gaussian_table(4 * n, 20, rng, positives=2 * n, informative=informative, auc=_AUC)
            runs += _picked(*_trained(X, y, n, epochs, seed + rep), signal, rep)
        y = np.repeat([0, 1], n // 2)
        own, shared = rng.standard_normal((2, epochs, len(y))), rng.standard_normal((2, 1, len(y)))
        scores = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
        runs += _picked(*([roc_auc_score(y, s) for s in part] for part in scores), SIMULATED, rep)
        expected = {"leaky": best_of_epochs(epochs, n // 2, n // 2, correlation), "honest": 0.5}
        runs += [demo_rows(EPOCHS, p, SIMULATED, rep, auc_expected=expected[p]) for p in PROTOCOLS]
    return pd.concat(runs, ignore_index=True)


def _trained(X: np.ndarray, y: np.ndarray, n: int, epochs: int, seed: int) -> tuple[list[float], list[float]]:
    """Return the AUC of each epoch on validation patients and on test patients."""
    order = np.concatenate([np.flatnonzero(y == c)[i::4] for i in range(4) for c in (0, 1)])
    valid, test, train = order[:n], order[n : 2 * n], order[2 * n :]
    network = MLPClassifier((16,), learning_rate_init=0.01, batch_size=20, random_state=seed)
    aucs: tuple[list[float], list[float]] = ([], [])
    for _ in range(epochs):
        network.partial_fit(X[train], y[train], classes=[0, 1])
        for rows, found in zip((valid, test), aucs):
            found.append(roc_auc_score(y[rows], network.predict_proba(X[rows])[:, 1]))
    return aucs


def _picked(valid: list[float], test: list[float], cohort: str, rep: int) -> list[pd.DataFrame]:
    chosen = {"leaky": int(np.argmax(test)), "honest": int(np.argmax(valid))}
    return [demo_rows(EPOCHS, p, cohort, rep, auc=test[chosen[p]]) for p in PROTOCOLS]


@register_demo(
    "D10",
    TUNING,
    title="the best of 200 settings is reported on the folds that chose it",
    leaky="The best cross-validated AUC of 200 settings is reported.",
    honest="Inner folds choose the setting; the outer folds that are reported did not choose it.",
    rows=("L-4", "L-15"),
    n_rep=2,
    best=_AUC,
)
def tuning_demo(
    seed: int = 0, n_rep: int = 2, *, n: int = 80, settings: int = 200, folds: int = 5, inner: int = 3
) -> pd.DataFrame:
    """Choose among settings on the folds that are reported (leaky), or on inner folds (honest).

    A setting is a set of 10 of 100 features and the penalty of a ridge regression on the labels.

    Parameters
    ----------
    seed, n_rep : int
        Seed, and number of repeats, each with its own patients and settings.
    n : int
        Number of patients, half of each class.
    settings : int
        Number of settings.
    folds, inner : int
        Number of folds that are reported, and of inner folds.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metric `auc`, the mean over the folds.

    References
    ----------
    Cawley and Talbot 2010, J Mach Learn Res 11:2079-2107.

    Examples
    --------
    >>> rows = tuning_demo(n_rep=1, settings=4, folds=3, inner=2)
    >>> len(rows)
    4
    """
    runs: list[pd.DataFrame] = []
    for rep in repeats(n_rep):
        for number, signal in enumerate(SIGNALS):
            rng = np.random.default_rng([seed, rep, number])
            informative = 5 if signal == "planted" else 0
            X, y = gaussian_table(n, 100, rng, positives=n // 2, informative=informative, auc=_AUC)
            grid = [(rng.choice(100, 10, replace=False), 10 ** rng.uniform(-1, 3)) for _ in range(settings)]
            leaky = _table(X, y, grid, folds, seed + rep).mean(axis=0).max()
            runs.append(demo_rows(TUNING, "leaky", signal, rep, auc=leaky))
            honest = _nested(X, y, grid, folds, inner, seed + rep)
            runs.append(demo_rows(TUNING, "honest", signal, rep, auc=honest))
    return pd.concat(runs, ignore_index=True)


def _table(X: np.ndarray, y: np.ndarray, grid: list, folds: int, seed: int) -> np.ndarray:
    """Return the AUC of each setting on each fold, shape (folds, settings)."""
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return np.array([_aucs(X, y, grid, *fold) for fold in splitter.split(X, y)])


def _nested(X: np.ndarray, y: np.ndarray, grid: list, folds: int, inner: int, seed: int) -> float:
    aucs = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, y):
        best = int(_table(X[train], y[train], grid, inner, seed).mean(axis=0).argmax())
        aucs.append(_aucs(X, y, [grid[best]], train, test).item())
    return float(np.mean(aucs))


def _aucs(X: np.ndarray, y: np.ndarray, grid: list, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the AUC of each setting on the test patients, by the ranks of the scores."""
    scores = [
        Ridge(alpha, solver="cholesky").fit(X[np.ix_(train, f)], y[train]).predict(X[np.ix_(test, f)])
        for f, alpha in grid
    ]
    positive = y[test] == 1
    m, n = positive.sum(), (~positive).sum()
    return (rankdata(scores, axis=1)[:, positive].sum(axis=1) - m * (m + 1) / 2) / (m * n)
