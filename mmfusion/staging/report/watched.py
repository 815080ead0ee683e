"""Loss by epoch on rows that are not learned from, also of models that learn from all they are given."""

from __future__ import annotations

import warnings

import pandas as pd

from mmfusion import compute
from mmfusion.data.cohort import Cohort
from mmfusion.evaluation.leakage import probed
from mmfusion.evaluation.result import NestedResult
from mmfusion.staging import StageClassifier


def watched_histories(
    result: NestedResult,
    model: StageClassifier,
    cohort: Cohort,
    *,
    fraction: float = 0.2,
    where: str = "auto",
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Train and validation loss of each outer fold's setting, by epoch.

    A model that stops early has them from its folds. Of one that learns from all its rows, one network a fold
    is
    trained again on four fifths of the fold's training rows, and watched on the rest: nothing is chosen by
    it.

    Parameters
    ----------
    result : NestedResult
        Of `model` on `cohort`; its first repeat is taken.
    model : StageClassifier
        As it was given to `nested_cv`.
    cohort : Cohort
        Likewise.
    fraction : float in (0, 1)
        Share of a fold's training rows that is watched.
    where, n_jobs
        See `mmfusion.compute.backend`.

    Returns
    -------
    DataFrame
        Columns repeat, fold, member, epoch, train_loss, valid_loss, lr.
    """
    found = result.histories()
    if "valid_loss" in found:
        return found
    watched = model.get_params(deep=False)
    watched |= {"validation_fraction": fraction, "patience": model.max_epochs, "n_members": 1}
    rows = result.of([result.main])
    rows = rows[rows["repeat"] == 0]
    tasks = []
    for fold in result.folds:
        if (fold.model, fold.repeat, fold.train_fraction) == (result.main, 0, 1):
            patients = rows.loc[rows["fold"] != fold.fold, "patient_id"]
            settings = {**watched, **fold.params}
            tasks.append((fold.fold, settings, cohort.X.loc[patients], cohort.y.loc[patients]))
    histories = compute.run(_history, tasks, where=where, n_jobs=n_jobs, description="loss by epoch")
    return pd.concat(histories).sort_values(["fold", "epoch"], ignore_index=True)


def _history(fold: int, settings: dict[str, object], X: pd.DataFrame, y: pd.Series) -> pd.DataFrame:
    with probed(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # given when the fold was fitted: `result.warnings()`
        history = StageClassifier(**settings).fit(X, y).history_[0]
    return pd.DataFrame(history).assign(repeat=0, fold=fold, member=0)
