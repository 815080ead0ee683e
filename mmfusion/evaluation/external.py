"""External validation: a frozen model meets another cohort once, and that is written down."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.store import write_json
from mmfusion.metrics import score_table
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
        If the cohort's classes are not the model's.
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
    _check_strangers(model, cohort)
    unknown = sorted(set(y.astype(str)) - set(model.classes_))
    if unknown:
        raise DataError(
            "the cohort has classes that the model does not know", got=unknown, expected=list(model.classes_)
        )
    proba = pd.DataFrame(model.predict_proba(X), columns=[f"p_{c}" for c in model.classes_])
    people = cohort.groups.loc[X.index, "patient"].astype(str)
    keys = {"model": "external", "repeat": 0, "fold": 0, "patient_id": list(X.index), "person": list(people)}
    predictions = proba.assign(**keys, y_true=list(y.astype(str)))
    scores = score_table(predictions, tuple(model.classes_))
    looks.append({"when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "n": len(X),
                  "macro_auc": float(scores.loc["external", ("macro_auc", "mean")])})  # fmt: skip
    write_json(file, looks)
    return predictions, scores


def fitted_on(model: object, cohort: Cohort, patients: Iterable[object]) -> list[object]:
    """Those of a cohort's patients who, or whom their row is derived from, were among the training patients."""
    people = cohort.groups["patient"].loc[list(patients)].astype(str)
    trained_on = set(model.patients_)
    pairs = zip(hash_each_id(people.index), hash_each_id(people))
    return [p for p, pair in zip(people.index, pairs) if not trained_on.isdisjoint(pair)]


def _check_strangers(model: object, cohort: Cohort) -> None:
    """Nobody in the cohort, nor anybody whom a row of it is derived from, was among the training patients."""
    known = fitted_on(model, cohort, cohort.X.index)
    if known:
        raise LeakageError(
            f"the model was fitted on {len(known)} of the cohort's {len(cohort.X)} patients",
            patient=", ".join(map(str, known[:5])),
            file=cohort.name,
            hint="leave them out; if they are other people with the same ids, give the ids a prefix",
        )
