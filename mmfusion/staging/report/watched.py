"""Training and validation loss by epoch, also for models without early stopping."""

from __future__ import annotations

import pandas as pd
from sklearn.base import clone

from mmfusion import compute
from mmfusion.data.cohort import Cohort
from mmfusion.errors import gathered
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
    """Return training and validation loss by epoch, for the setting of each outer fold.

    A model with early stopping has these losses already. Other models learn from all training rows of the
    fold. For these, one network per fold is trained again on four fifths of the rows, and its loss is
    measured on the others. This loss is not used to choose anything.

    Parameters
    ----------
    result : NestedResult
        Result of `model` on `cohort`; its first repeat is used.
    model : StageClassifier
        The model that was given to `nested_cv`.
    cohort : Cohort
        The cohort that was given to `nested_cv`.
    fraction : float in (0, 1)
        Share of a fold's training rows on which the loss is measured.
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
    changes = {
        "n_members": 1,
        "training__validation_fraction": fraction,
        "training__patience": model.settings.training.max_epochs,
    }
    rows = result.of([result.main])
    rows = rows[rows["repeat"] == 0]
    tasks = []
    for fold in result.folds:
        if (fold.model, fold.repeat, fold.train_fraction) == (result.main, 0, 1):
            patients = rows.loc[rows["fold"] != fold.fold, "patient_id"]
            watched = clone(model).set_params(**changes, **fold.params)
            tasks.append((fold.fold, watched, cohort.X.loc[patients], cohort.y.loc[patients]))
    histories = compute.run(_history, tasks, where=where, n_jobs=n_jobs, description="loss by epoch")
    return pd.concat(histories).sort_values(["fold", "epoch"], ignore_index=True)


def _history(fold: int, model: StageClassifier, X: pd.DataFrame, y: pd.Series) -> pd.DataFrame:
    with probed(), gathered():  # `result.warnings()` has the warnings already
        history = model.fit(X, y).history_[0]
    return pd.DataFrame(history).assign(repeat=0, fold=fold, member=0)
