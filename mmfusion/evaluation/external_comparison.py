"""Comparison of a saved model with the majority class and the ridge on the patients of another cohort.

`mmfusion.evaluation.external` judges one saved model and keeps the record of all looks at a cohort. This
module uses it, and adds simple models that are fitted on the same training patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from mmfusion.data.cohort import Cohort
from mmfusion.data.profiles import can_compare_profiles
from mmfusion.errors import DataError, check_seed, check_whole, gathered
from mmfusion.evaluation.baselines import standard_baselines
from mmfusion.evaluation.external import FewPatientsWarning, external_validation
from mmfusion.evaluation.folds import fit_by_person
from mmfusion.evaluation.leakage import probed
from mmfusion.evaluation.recalibration import is_constant
from mmfusion.evaluation.tasks import ClassificationTask, check_classes, check_cohort, task_for
from mmfusion.evaluation.unseen import check_trained_on
from mmfusion.metrics import paired_table, score_table
from mmfusion.metrics.few import FEW, FEWEST, few_of
from mmfusion.modalities import IMAGING

ALWAYS = ("majority", "ridge")  # models that are always judged too


@dataclass(frozen=True, repr=False)
class ExternalComparison:
    """Predictions of several models, all fitted on one cohort, for the patients of another one.

    Parameters
    ----------
    predictions : DataFrame
        As in `NestedResult.predictions`; all models have the same patients.
    classes : tuple of str
        Classes of the model, in order.
    main : str
        Name of the saved model.
    notes : tuple of str
        Sentences about what cannot be estimated.
    warnings : tuple of str
        Warnings about the external patients, each once, as "Kind: text".
    """

    predictions: pd.DataFrame
    classes: tuple[str, ...]
    main: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of external patients."""
        return int(self.predictions["patient_id"].nunique())

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Metrics of every model with 95 % intervals over the external patients."""
        return score_table(self.predictions, self.classes)

    def paired(self, reference: str = "ridge", metric: str = "macro_auc") -> pd.DataFrame:
        """Return the differences to `reference`, on the same resamples of the external patients."""
        return paired_table(self.predictions, self.classes, reference, metric=metric)


def judge_outside(
    bundle: str | Path,
    trained_on: Cohort,
    external: Cohort,
    *,
    name: str = "fusion",
    baselines: Mapping[str, BaseEstimator] | None = None,
    inner: int = 3,
    random_state: int = 0,
    again: bool = False,
    record: str | Path | None = None,
    check_scans: bool = True,
) -> ExternalComparison:
    """Judge a saved model once on another cohort, beside simple models of the same training patients.

    The majority class and the ridge are always judged too. They are fitted here on all patients of
    `trained_on`, and predict the same external patients.

    Parameters
    ----------
    bundle : path
        Folder of the saved model, fitted on all labelled patients of `trained_on`.
    trained_on, external : Cohort
        The two cohorts, with the same target.
    name : str
        Name of the saved model in the result.
    baselines : mapping of str to estimator, optional
        Further models, unfitted, by name.
    inner : int
        Number of inner folds that choose C of the ridge.
    random_state : int
        Seed of the inner folds.
    again, record
        See `external_validation`.
    check_scans : bool
        Compare scans and expression profiles of the two cohorts, to find a patient who has two ids. This
        reads every scan once.

    Raises
    ------
    LeakageError
        If the cohorts share a patient, or the model was judged on this cohort before and `again` is False.
    DataError
        If the target has no classes, the external patients are all of one class, or of a class without
        training patients, a training class has fewer patients than there are inner folds, the model was not
        fitted on all patients of `trained_on` and on no others, or it cannot read the cohort.

    Examples
    --------
    >>> outside = judge_outside("models/stage", cohort, other)  # doctest: +SKIP
    >>> outside.paired("ridge")  # doctest: +SKIP
    """
    from mmfusion.bundle import load

    check_seed(random_state)
    check_pair(trained_on, external, inner)
    if not isinstance(name, str) or not name:
        raise DataError("not a name", parameter="name", expected="text", got=repr(name))
    simple = standard_baselines(trained_on.modalities, inner=inner, random_state=random_state)
    simple = {one: simple[one] for one in ALWAYS} | dict(baselines or {})
    if name in simple:
        raise DataError("two models have one name", parameter="name", got=name)
    check_trained_on(load(bundle), trained_on)
    with gathered() as caught:
        mine, _ = external_validation(
            bundle,
            external,
            again=again,
            record=record,
            trained_on=trained_on if check_scans else None,
        )
        columns = [c for c in mine if str(c).startswith("p_")]
        classes = tuple(str(c).removeprefix("p_") for c in columns)
        parts = [mine.assign(model=name)]
        for one, estimator in simple.items():
            fitted = _fitted(estimator, trained_on)
            found = ClassificationTask(classes)
            table = found.frame(found.predict(fitted, external.X, external.y))
            parts.append(mine[["repeat", "fold", "patient_id", "person"]].assign(model=one, **table))
    predictions = pd.concat(parts, ignore_index=True)[list(mine.columns)]
    caught = [one for one in caught if one.category is not FewPatientsWarning]  # it is among the notes
    given = dict.fromkeys(f"{one.category.__name__}: {one.text}" for one in caught)
    notes = _not_estimable(predictions, classes) + (
        _not_compared(trained_on, external) if check_scans else []
    )
    return ExternalComparison(predictions, classes, name, tuple(notes), tuple(given))


def _fitted(estimator: BaseEstimator, cohort: Cohort) -> BaseEstimator:
    """Return a fitted clone; simple models make inner folds by row, so each person has one row."""
    people = cohort.groups.loc[cohort.X.index, "patient"].astype(str)
    first = (~people.duplicated()).to_numpy()
    with probed():  # the saved model has probed these patients for leaks
        return fit_by_person(clone(estimator), cohort.X[first], cohort.y[first], people[first].to_numpy())


def check_pair(trained_on: Cohort, external: Cohort, inner: int = 3) -> None:
    """Raise a `DataError` if two cohorts cannot be compared by `judge_outside`; nothing is fitted.

    Parameters
    ----------
    trained_on, external, inner
        As for `judge_outside`, which also lists the errors.
    """
    for parameter, one in (("trained_on", trained_on), ("external", external)):
        check_cohort(one, parameter)
    check_whole("inner", inner, 2)
    check_classes(task_for(trained_on), trained_on.target, "models are compared by classes")
    if trained_on.target != external.target:
        raise DataError("the cohorts have different targets", expected=trained_on.target, got=external.target)
    if external.y.nunique() < 2:
        got = ", ".join(map(str, external.y.unique())) or "no patient with a label"
        raise DataError(
            "discrimination cannot be estimated",
            file=external.name,
            expected="patients of two classes",
            got=got,
        )
    counts = trained_on.y.value_counts()
    known = set(counts.index[counts > 0].astype(str))
    if unknown := sorted(set(external.y.astype(str)) - known):
        raise DataError(
            "no training patient of a class of the external cohort",
            file=external.name,
            expected=", ".join(sorted(known)),
            got=", ".join(unknown),
            hint="choose a coarser target, or leave these patients out",
        )
    few = counts[(counts > 0) & (counts < inner)]
    if len(few):
        got = ", ".join(f"{one} {n}" for one, n in few.items())
        hint = "choose a coarser target, or fewer inner folds"
        raise DataError(
            "too few training patients for the inner folds",
            file=trained_on.name,
            expected=f"{inner} or more of each class",
            got=got,
            hint=hint,
        )


def _not_estimable(predictions: pd.DataFrame, classes: tuple[str, ...]) -> list[str]:
    """Return sentences about classes without patients, and models that predict the same for everybody."""
    columns = [f"p_{c}" for c in classes]
    absent = [c for c in classes if c not in set(predictions["y_true"])]
    lines = []
    if absent:
        lines.append(
            f"The external cohort has no patient of {', '.join(absent)}: the results for this class are not "
            "estimable, and the means over classes leave it out."
        )
    for model, rows in predictions.groupby("model", sort=False):
        if is_constant(rows[columns].to_numpy()):
            lines.append(
                f"{model} predicts the same for every patient: its AUC is 0.5 by definition, and a "
                "calibration slope is not estimable."
            )
    counts = [_count(predictions, c) for c in classes]
    if too_few := few_of(counts, classes, 1, FEWEST):
        lines.append(
            f"Fewer than {FEWEST} external patients in a class ({too_few}): intervals hardly include the "
            "variation of this class, and are much too narrow."
        )
    if few := few_of(counts, classes, FEWEST, FEW):
        lines.append(f"Few external patients in a class ({few}): results for it are uncertain.")
    return lines


def _not_compared(trained_on: Cohort, external: Cohort) -> list[str]:
    """Return a sentence if neither scans nor expression can show that a patient is in both cohorts."""
    scans = [m for m in IMAGING if all((m, "volume") in c.table for c in (trained_on, external))]
    if scans or can_compare_profiles(trained_on, external):
        return []
    return [
        "The cohorts share neither scans nor enough expression profiles (50 genes of 10 patients). A patient "
        "who has another id in each was not searched for."
    ]


def _count(predictions: pd.DataFrame, name: str) -> int:
    one_each = predictions.drop_duplicates("patient_id")
    return int(np.sum(one_each["y_true"] == name))
