"""External validation: judge one saved model on another cohort, and record each look at it."""

from __future__ import annotations

import datetime
import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.duplicates import check_no_copied_profiles, check_no_duplicates
from mmfusion.errors import DataError, LeakageError, warn
from mmfusion.evaluation.store import write_json
from mmfusion.evaluation.tasks import ClassificationTask, check_cohort, task_for
from mmfusion.evaluation.transfer import transfer_table
from mmfusion.evaluation.unseen import check_trained_on, check_unseen
from mmfusion.metrics.few import FEWEST, few_of
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.storage.hashing import hash_each_id
from mmfusion.storage.strict_json import parse_json

_SHOWN = 5


class SecondLookWarning(UserWarning):
    """Warning that an external cohort has been used before, so that it is no longer independent."""


class FewPatientsWarning(UserWarning):
    """Warning that an external cohort has few patients of a class, so that intervals are too narrow."""


def external_validation(
    bundle: str | Path,
    cohort: Cohort,
    *,
    again: bool = False,
    record: str | Path | None = None,
    trained_on: Cohort | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge a saved model on a cohort that it was not fitted on; a second validation is an error.

    Parameters
    ----------
    bundle : path
        Folder of the saved model. Its files are checked against their hashes, so changes are found.
    cohort : Cohort
        External cohort, with the target of the model.
    again : bool
        Allow a further validation, which is added to the record.
    record : path, optional
        JSON file that records every validation. Default: `<bundle>.external/<cohort>.json`.
    trained_on : Cohort, optional
        The cohort on which the model was fitted. Scans and expression profiles of both cohorts are compared,
        so that a patient who has another id in each is found (`mmfusion.data.check_no_duplicates`). This
        reads every scan once.

    Returns
    -------
    predictions : DataFrame
        As in `NestedResult.predictions`, model "external".
    scores : DataFrame
        As in `NestedResult.scores`.

    Raises
    ------
    LeakageError
        If the model was fitted on a patient of the cohort, if a scan or an expression profile of the cohort
        is in `trained_on` under another id, or if the model was judged on this cohort before, or on some of
        its patients in a cohort of another name, and `again` is False;
        or if two persons of the cohort have the same values of all genes.
    DataError
        If the model was fitted on another target, does not know a class of the cohort, or its predictions do
        not fit the target; if `trained_on` is not the cohort on which it was fitted; or if the record is
        damaged.

    Warns
    -----
    FewPatientsWarning
        If a class has one to four patients.
    OutOfRangeWarning
        If values are far from those of the training patients, as in another unit (`transfer_table`).
    SecondLookWarning
        If this model, or other models in the same folder, were judged on this cohort before. If a model is
        chosen by its result on this cohort, this result is too good.
    """
    from mmfusion.bundle import load

    check_cohort(cohort)
    if not isinstance(bundle, (str, Path)):
        got = type(bundle).__name__
        raise DataError("not a saved model", parameter="bundle", expected="its folder", got=got)
    model, X, y = load(bundle), cohort.X, cohort.y
    file = Path(record) if record else Path(f"{Path(bundle)}.external") / f"{cohort.name}.json"
    person_ids = cohort.groups.loc[X.index, "patient"].astype(str)
    hashes = sorted(set(hash_each_id(person_ids)))
    looks = read_looks(file)
    elsewhere = {} if record else _looks_at(hashes, file)
    if (looks or elsewhere) and not again:
        where, first = (file, looks[0]) if looks else next(iter(elsewhere.items()))
        raise LeakageError(
            "this model was already judged on this cohort, or on some of its patients",
            file=where,
            got=f"first validation {first['when']}",
            hint="report that result; a second validation (again=True) is recorded",
        )
    check_target(model, cohort)
    check_unseen(model, cohort, list(X.index))
    check_no_copied_profiles(cohort)
    if trained_on is not None:
        check_trained_on(model, trained_on, all_of_them=False)
        check_no_duplicates(trained_on, cohort)
    if isinstance(getattr(model, "transformer_", None), CohortTransformer):
        transfer_table(model.transformer_, cohort)  # warns of other units
    task = task_for(cohort).for_model(model, y)
    predicted = task.frame(task.predict(model, X, y))
    keys = {
        "model": "external",
        "repeat": 0,
        "fold": 0,
        "patient_id": list(X.index),
        "person": list(person_ids),
    }
    predictions = pd.concat([pd.DataFrame(keys), predicted], axis=1)
    scores = task.scores(predictions)
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    value = float(scores.loc["external", (task.primary, "mean")])
    looks.append(
        {"when": when, "n": len(X), task.primary: value if np.isfinite(value) else None, "patients": hashes}
    )
    write_json(file, looks)
    if isinstance(task, ClassificationTask):
        _tell_of_few(predictions, task.classes, cohort.name)
    _tell_of_looks(file, cohort.name, len(looks) + len(elsewhere), Path(bundle))
    return predictions, scores


def read_looks(file: Path) -> list[dict[str, object]]:
    """Return the evaluations that a record lists; none if there is no file.

    Raises
    ------
    DataError
        If the file is no record of evaluations.
    """
    if not file.is_file():
        return []
    try:
        looks = parse_json(file.read_bytes(), nan=True)
    except ValueError as error:
        looks, why = None, str(error)[:60]
    else:
        why = "other JSON"
    if not isinstance(looks, list) or not all(isinstance(one, dict) and "when" in one for one in looks):
        hint = "restore the file: it says how often the model was judged on these patients"
        raise DataError("not a record of evaluations", file=file, expected="a list", got=why, hint=hint)
    return looks


def _tell_of_few(predictions: pd.DataFrame, classes: Sequence[object], cohort: str) -> None:
    """Warn if a class of the external cohort has so few patients that intervals are too narrow."""
    people = predictions.drop_duplicates("person")["y_true"].astype(str)
    counts = [int((people == str(c)).sum()) for c in classes]
    if few := few_of(counts, classes, 1, FEWEST):
        text = f"{cohort}: fewer than {FEWEST} patients in a class ({few}): intervals are much too narrow"
        warn(text, FewPatientsWarning)


def _looks_at(hashes: Sequence[str], own: Path) -> dict[Path, dict[str, object]]:
    """Return the first look at some of these persons in each of the other records beside `own`."""
    wanted, found = set(hashes), {}
    for file in sorted(own.parent.glob("*.json")):
        if file != own:
            looks = [look for look in read_looks(file) if not wanted.isdisjoint(look.get("patients", ()))]
            found |= {file: looks[0]} if looks else {}
    return found


def check_target(model: object, cohort: Cohort) -> None:
    """Raise an error if a model was fitted on another target: its classes may have the same names."""
    target = getattr(model, "target_", "")
    if target and target != cohort.target:
        hint = f"cohort.with_target({target!r})"
        raise DataError("the model was fitted on another target", file=cohort.name, expected=target,
                        got=cohort.target, hint=hint)  # fmt: skip


def _tell_of_looks(file: Path, cohort: str, looks: int, bundle: Path) -> None:
    """Warn if this model, or other models in its folder, were judged on the cohort before."""
    if looks > 1:
        warn(f"look {looks} of this model at {cohort}; all looks are in {file.name}", SecondLookWarning)
    records = sorted(bundle.absolute().parent.glob(f"*.external/{glob.escape(cohort)}.json"))
    others = [one.parent.name.removesuffix(".external") for one in records]
    others = [name for name in others if name != bundle.name]
    if others:
        named = ", ".join(others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
        text = (
            f"{len(others)} other models in this folder were judged on {cohort}: {named}; report all results"
        )
        warn(text, SecondLookWarning)
