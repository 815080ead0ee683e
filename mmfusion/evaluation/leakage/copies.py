"""Demonstrations of leaks by copies: augmented copies in the test folds, and one patient in two data sets.

A copy of a training patient in the test set has the label that was learned for the patient. A model can
predict it without knowing anything about new patients.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mmfusion.errors import DataError
from mmfusion.evaluation.leakage.demos import PROTOCOLS, demo_rows, repeats
from mmfusion.evaluation.leakage.registry import register_demo
from mmfusion.evaluation.leakage.tables import SIGNALS
from mmfusion.synthetic.radiomics import radiomics_phantom

AUGMENT, SHARED = "augmentation", "patients"
_BEST = 0.85  # of the phantom
_JITTER = 0.1  # standard deviation of what differs between copies, in standard deviations of the feature


@register_demo(
    "D5",
    AUGMENT,
    title="augmentation before the split",
    leaky="Each patient is augmented, then all copies are split at random.",
    honest="Patients are split, then the training patients are augmented.",
    rows=("L-9",),
    best=_BEST,
)
def augmentation_demo(
    seed: int = 0, n_rep: int = 3, *, n: int = 100, copies: int = 4, folds: int = 5
) -> pd.DataFrame:
    """Augment features of patients before the split (leaky), and after it in the training folds (honest).

    Parameters
    ----------
    seed, n_rep : int
        Seed, and number of repeats, each with its own patients.
    n : int
        Number of patients of a repeat.
    copies : int
        Number of augmented copies of each patient.
    folds : int
        Number of folds.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metric `auc`, the mean over the folds, of a support vector machine. The leaky
        protocol is scored on all copies, the honest one on the patients themselves.

    Examples
    --------
    >>> rows = augmentation_demo(n_rep=1, n=40, folds=2)
    >>> bool(rows.query("cohort == 'null' and protocol == 'leaky'")["value"].item() > 0.8)
    True
    """
    runs: list[pd.DataFrame] = []
    for rep, signal, X, y, rng in _phantoms(n, seed, n_rep):
        owner = np.tile(np.arange(n), copies + 1)
        every = np.concatenate([X] + [_again(X, rng) for _ in range(copies)])
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed + rep)
        for protocol in PROTOCOLS:
            aucs = []
            for train, test in (
                splitter.split(every, y[owner]) if protocol == "leaky" else splitter.split(X, y)
            ):
                rows = train if protocol == "leaky" else np.flatnonzero(np.isin(owner, train))
                aucs.append(_auc(_model(), every[rows], y[owner[rows]], every[test], y[owner[test]]))
            runs.append(demo_rows(AUGMENT, protocol, signal, rep, auc=np.mean(aucs)))
    return pd.concat(runs, ignore_index=True)


@register_demo(
    "D8",
    SHARED,
    title="the same patients in the training set and in the external one",
    leaky="Half of the external patients are training patients under other ids.",
    honest="These patients are left out of the external set.",
    rows=("L-3",),
    n_rep=5,
    best=_BEST,
)
def shared_patients_demo(
    seed: int = 0, n_rep: int = 5, *, n: int = 160, external: int = 80, shared: float = 0.5
) -> pd.DataFrame:
    """Test a model on an external set that has training patients in it (leaky), and without them (honest).

    The scans of a shared patient were processed again, so that the features are similar and not equal.

    Parameters
    ----------
    seed, n_rep : int
        Seed, and number of repeats, each with its own patients.
    n : int
        Number of training patients.
    external : int
        Number of patients of the external set.
    shared : float
        Share of the external patients who are training patients too, between 0 and 1.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metric `auc` on the external set.

    Raises
    ------
    DataError
        If everybody or nobody is shared.

    References
    ----------
    The lung scans of the Medical Segmentation Decathlon are from NSCLC-Radiogenomics (Antonelli et al. 2022,
    Nat Commun 13:4128). A model trained on one and tested on the other has seen its test patients.

    Examples
    --------
    >>> rows = shared_patients_demo(n_rep=1, n=60, external=40)
    >>> sorted(rows["cohort"].unique())
    ['null', 'planted']
    """
    n_shared = round(shared * external)
    if not 0 < n_shared < external:
        raise DataError("a share without effect", parameter="shared", expected="between 0 and 1", got=shared)
    runs: list[pd.DataFrame] = []
    for rep, signal, X, y, rng in _phantoms(n + external - n_shared, seed, n_rep):
        test = np.r_[np.arange(n_shared), np.arange(n, len(X))]  # the first patients are in both sets
        again = _again(X, rng)
        for protocol in PROTOCOLS:
            rows = test if protocol == "leaky" else test[n_shared:]
            auc = _auc(_model(), X[:n], y[:n], again[rows], y[rows])
            runs.append(demo_rows(SHARED, protocol, signal, rep, auc=auc))
    return pd.concat(runs, ignore_index=True)


def _phantoms(
    n: int, seed: int, n_rep: int
) -> Iterator[tuple[int, str, np.ndarray, np.ndarray, np.random.Generator]]:
    """Yield repeat, signal, features, labels and random numbers of each cohort."""
    for rep in repeats(n_rep):
        for number, signal in enumerate(SIGNALS):
            cohort = radiomics_phantom(n, 1000 * seed + rep, signal, mutants=0.4)
            y = (cohort.y == "mutant").to_numpy().astype(int)
            yield rep, signal, cohort.X["ct"].to_numpy(), y, np.random.default_rng([seed, rep, number])


def _again(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the same patients as after an augmentation or another measurement."""
    return X + _JITTER * X.std(axis=0) * rng.standard_normal(X.shape)


def _model() -> BaseEstimator:
    return make_pipeline(StandardScaler(), SVC(C=10.0))


def _auc(model: BaseEstimator, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, y_test: np.ndarray) -> float:
    return roc_auc_score(y_test, model.fit(X, y).decision_function(X_test))
