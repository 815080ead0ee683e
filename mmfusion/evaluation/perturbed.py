"""Performance of fitted models on held-out patients whose inputs are changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError, check_list, check_seed, did_you_mean, gathered
from mmfusion.evaluation.perturbations import PERTURBATIONS, Perturbation
from mmfusion.evaluation.perturbations.reach import patients_reached, warn_of_features
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.tasks import check_classes, check_cohort, task_for
from mmfusion.evaluation.unseen import check_unseen
from mmfusion.metrics import paired_table, score_table

COLUMNS = ("perturbation", "unit", "modality", "strength", "n", "metric", "value", "lo", "hi", "change",
           "change_lo", "change_hi", "other_class")  # fmt: skip
_HELD_OUT = "give held-out patients, or a result of nested_cv"


@dataclass(frozen=True, eq=False)
class _Judge:
    """A fitted model with the held-out rows that it predicts."""

    repeat: int
    fold: int
    model: object
    X: pd.DataFrame
    y: pd.Series


def robustness(
    model: object,
    cohort: Cohort,
    perturbations: Sequence[str] | None = None,
    strengths: Mapping[str, Sequence[float]] | None = None,
    *,
    metrics: Sequence[str] = ("macro_auc", "balanced_accuracy"),
    n_boot: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the performance of fitted models on held-out patients, for changes of rising strength.

    The models are not fitted again. Only the modality of a perturbation is changed. Every strength is
    compared with the unchanged inputs on the same patients. If a CT is changed, features that were measured
    from it stay as they are; a warning names them.

    Parameters
    ----------
    model : NestedResult or estimator
        A result of `nested_cv` whose models were saved (`out=`): each fold's main model predicts its test
        patients. Or a fitted model, for patients that it was not fitted on.
    cohort : Cohort
        The cohort of the result, or held-out patients with a class.
    perturbations : sequence of str, optional
        Names in `PERTURBATIONS`. Default: all that change a modality which the models read.
    strengths : mapping, optional
        Perturbation -> strengths, instead of the usual ones.
    metrics : sequence of str
        Metrics of classes; they are averaged over folds.
    n_boot, random_state : int
        Number of resamples of patients; seed of the resamples and of the changes.

    Returns
    -------
    DataFrame
        A row per perturbation, strength and metric; the first strength of each perturbation is the one that
        changes nothing. `n` is the number of patients who have the modality, or for a CT the scan itself.
        `value`, `lo`, `hi`: the metric with its 95 % interval over patients. `change`, `change_lo`,
        `change_hi`: difference to the unchanged inputs. A metric that these patients do not allow, such as
        the macro-AUC of one class, is NaN, and so is its change. `other_class`: share of patients for whom
        another class is named. Warnings of the models are in `attrs["warnings"]`.

    Raises
    ------
    DataError
        If a perturbation is unknown, the models do not read its modality, the target has no classes, or no
        model of the result was saved.
    LeakageError
        If a model was fitted on a patient of the cohort.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> ids = pd.Index([f"p{i}" for i in range(8)], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [50.0 + i for i in range(8)]}, ids)
    >>> cohort = Cohort("example", table, pd.DataFrame({"stage": ["IA", "IIIB"] * 4}, ids), "stage2")
    >>> model = DummyClassifier().fit(cohort.X, cohort.y.astype(str))
    >>> options = {"metrics": ["macro_auc"], "n_boot": 10}
    >>> found = robustness(model, cohort, ["missing fields"], {"missing fields": [0.5]}, **options)
    >>> found[["strength", "value", "change"]].values.tolist()
    [[0.0, 0.5, 0.0], [0.5, 0.5, 0.0]]
    """
    check_seed(random_state)
    check_list(perturbations=perturbations, metrics=metrics)
    judges = list(_judges(model, cohort))
    classes = task_for(cohort).for_model(judges[0].model, judges[0].y).classes
    chosen = _chosen(perturbations, strengths, judges[0])
    warn_of_features(cohort.X, [one.modality for one in chosen])
    plain = _predict(judges, cohort, None, 0.0, random_state, given := {})
    parts = []
    for one in chosen:
        tables = {one.none: plain}
        for strength in _strengths(one, strengths):
            tables[strength] = _predict(judges, cohort, one, strength, random_state, given)
        parts.append(_rows(one, tables, classes, metrics, n_boot, random_state, judges))
    found = pd.concat(parts, ignore_index=True)[list(COLUMNS)]
    found.attrs["warnings"] = list(given)
    return found


def _judges(model: object, cohort: Cohort) -> Iterator[_Judge]:
    check_cohort(cohort)
    check_classes(task_for(cohort), cohort.target, "robustness is measured for classes")
    if not isinstance(model, NestedResult) and not hasattr(model, "classes_"):
        expected, got = "a NestedResult or a fitted classifier", type(model).__name__
        raise DataError("nothing to judge", parameter="model", expected=expected, got=got)
    if not isinstance(model, NestedResult):
        check_unseen(model, cohort, cohort.X.index, _HELD_OUT)
        yield _Judge(0, 0, model, cohort.X, cohort.y)
        return
    from mmfusion.bundle import load

    bundles = model.bundles()
    if not bundles:
        problem, hint = "no model of the result was saved", "nested_cv(..., out=folder) saves them"
        raise DataError(problem, got=model.main, hint=hint)
    rows = model.of([model.main])
    for (repeat, fold), path in bundles.items():
        patients = rows.loc[(rows["repeat"] == repeat) & (rows["fold"] == fold), "patient_id"]
        fitted = load(path)
        check_unseen(fitted, cohort, patients, _HELD_OUT)
        yield _Judge(repeat, fold, fitted, cohort.X.loc[patients], cohort.y.loc[patients])


def check_perturbations(names: Iterable[str]) -> None:
    """Raise a `DataError` if there is no perturbation of a name; nothing is fitted.

    Examples
    --------
    >>> check_perturbations(["noise"])
    """
    for name in names:
        if name not in PERTURBATIONS:
            raise DataError("no such perturbation", expected=", ".join(PERTURBATIONS), got=name,
                            hint=did_you_mean(name, PERTURBATIONS))  # fmt: skip


def _chosen(
    names: Sequence[str] | None, strengths: Mapping[str, Sequence[float]] | None, judge: _Judge
) -> list[Perturbation]:
    read = (
        {spec.modality for spec in judge.model.transformer_.specs_}
        if hasattr(judge.model, "transformer_")
        else set(judge.X.columns.unique(0))
    )
    check_perturbations([*(names or ()), *(strengths or {})])
    if names is None:
        usable = [p for p in PERTURBATIONS.values() if p.modality in read and p.reads(judge.X)]
        if not usable:
            raise DataError("nothing to perturb", expected="ct, rna or ehr", got=", ".join(sorted(read)))
        return usable
    if not len(names):
        raise DataError("no perturbation", parameter="perturbations", expected="one name or more", got="none")
    for name in names:
        one = PERTURBATIONS[name]
        if one.modality not in read or not one.reads(judge.X):
            raise DataError("the models do not read this", parameter=name, expected=one.modality,
                            got=", ".join(sorted(read)))  # fmt: skip
    return [PERTURBATIONS[name] for name in names]


def _strengths(one: Perturbation, given: Mapping[str, Sequence[float]] | None) -> list[float]:
    """Return the strengths of a perturbation that were asked for, or the usual ones."""
    wanted = (given or {}).get(one.name, one.strengths)
    try:
        found = [float(strength) for strength in wanted]
    except (TypeError, ValueError):
        found = []
    if not found or not np.isfinite(found).all():
        raise DataError(
            "not the strengths of a perturbation",
            parameter=f"strengths[{one.name!r}]",
            expected="a list of numbers",
            got=wanted,
        )
    return found


def _predict(
    judges: Sequence[_Judge],
    cohort: Cohort,
    one: Perturbation | None,
    strength: float,
    random_state: int,
    given: dict[str, None],
) -> pd.DataFrame:
    """Return the predictions of all held-out rows, without the name of the model."""
    parts = []
    for judge in judges:
        X = judge.X if one is None else one.apply(judge.X, strength, random_state)
        with gathered() as found:
            task = task_for(cohort).for_model(judge.model, judge.y)
            frame = task.frame(task.predict(judge.model, X, judge.y))
        label = "unchanged" if one is None else one.name
        given |= dict.fromkeys(f"{label}: {text}" for text in map(str, found))
        frame["patient_id"] = list(judge.X.index)
        frame["person"] = list(cohort.groups.loc[judge.X.index, "patient"].astype(str))
        parts.append(frame.assign(repeat=judge.repeat, fold=judge.fold))
    return pd.concat(parts, ignore_index=True)


def _rows(
    one: Perturbation,
    tables: Mapping[float, pd.DataFrame],
    classes: Sequence[str],
    metrics: Sequence[str],
    n_boot: int,
    random_state: int,
    judges: Sequence[_Judge],
) -> pd.DataFrame:
    names = {strength: f"{strength:g}" for strength in tables}
    together = pd.concat([t.assign(model=names[s]) for s, t in tables.items()], ignore_index=True)
    options = {"n_boot": n_boot, "random_state": random_state}
    scores = score_table(together, classes, metrics=metrics, **options)
    plain = tables[one.none]
    reached = pd.concat([patients_reached(j.X, one.modality) for j in judges])
    n = int(reached[~reached.index.duplicated()].sum())
    rows = []
    for metric in metrics:
        # the same fitted models on changed inputs: no overlap of training sets
        compared = {"metric": metric, "overlap": False, **options}
        differences = paired_table(together, classes, names[one.none], **compared)
        for strength, table in tables.items():
            own = {"perturbation": one.name, "unit": one.unit, "modality": one.modality, "strength": strength}
            own |= {
                "n": n,
                "metric": metric,
                "other_class": float((table["y_pred"] != plain["y_pred"]).mean()),
            }
            own |= dict(zip(("value", "lo", "hi"), scores.loc[names[strength], metric], strict=True))
            # the change to itself is 0, unless the metric cannot be estimated
            change = (0.0 if np.isfinite(own["value"]) else np.nan,) * 3
            if strength != one.none:
                change = differences.loc[names[strength], ["diff", "lo", "hi"]]
            rows.append(
                own | dict(zip(("change", "change_lo", "change_hi"), map(float, change), strict=True))
            )
    return pd.DataFrame(rows)
