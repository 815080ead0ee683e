"""External validation: a frozen model meets another cohort once, and that is written down."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.errors import LeakageError
from mmfusion.evaluation.store import write_json
from mmfusion.evaluation.tasks import task_for
from mmfusion.storage.hashing import hash_each_id


def external_validation(
    bundle: str | Path, cohort: Cohort, *, again: bool = False, record: str | Path | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge a saved model on a cohort that it has never seen; refuses to do so twice.

    Parameters
    ----------
    bundle : path
        The saved model; frozen, since a bundle is checked against its hashes.
    cohort : Cohort
        The external cohort, under the model's target.
    again : bool
        Allow a second look, which is logged beside the first.
    record : path, optional
        Where looks are written down; default `<bundle>.external/<cohort>.json`.

    Returns
    -------
    predictions : DataFrame
        As in `NestedResult.predictions`, model "external".
    scores : DataFrame
        As in `NestedResult.scores`.

    Raises
    ------
    LeakageError
        If the model was fitted on one of the cohort's patients, or at the second look, without `again`.
    DataError
        If the cohort's classes are not the model's, or the model's predictions do not fit the target.
    """
    from mmfusion.bundle import load

    model, X, y = load(bundle), cohort.X, cohort.y
    file = Path(record) if record else Path(f"{Path(bundle)}.external") / f"{cohort.name}.json"
    looks = pd.read_json(file).to_dict("records") if file.is_file() else []
    if looks and not again:
        raise LeakageError(
            "this model was already judged on this cohort",
            file=file,
            got=f"first look {looks[0]['when']}",
            hint="report that look; a second one (again=True) is logged",
        )
    _check_unseen(model, cohort)
    task = task_for(cohort).for_model(model, y)
    predicted = task.frame(task.predict(model, X, y))
    person_ids = cohort.groups.loc[X.index, "patient"].astype(str)
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
    looks.append(
        {"when": when, "n": len(X), task.primary: float(scores.loc["external", (task.primary, "mean")])}
    )
    write_json(file, looks)
    return predictions, scores


def fitted_on(model: object, cohort: Cohort, patients: Iterable[object]) -> list[object]:
    """Return the patients who were trained on, or whose row is of a person who was."""
    person_ids = cohort.groups["patient"].loc[list(patients)].astype(str)
    trained_on = set(model.patients_)
    pairs = zip(hash_each_id(person_ids.index), hash_each_id(person_ids))
    return [p for p, pair in zip(person_ids.index, pairs) if not trained_on.isdisjoint(pair)]


def _check_unseen(model: object, cohort: Cohort) -> None:
    """Refuse a cohort of which a patient, or the person whom a row is derived from, was among the training patients."""
    known = fitted_on(model, cohort, cohort.X.index)
    if known:
        raise LeakageError(
            f"the model was fitted on {len(known)} of the cohort's {len(cohort.X)} patients",
            patient=", ".join(map(str, known[:5])),
            file=cohort.name,
            hint="leave them out; if they are other people with the same ids, give the ids a prefix",
        )
