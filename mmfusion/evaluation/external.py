"""External validation: judge one saved model on another cohort, and record each look at it."""

from __future__ import annotations

import datetime
import glob
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.duplicates import check_no_duplicates
from mmfusion.errors import LeakageError, warn
from mmfusion.evaluation.store import write_json
from mmfusion.evaluation.tasks import task_for
from mmfusion.evaluation.unseen import check_unseen

_SHOWN = 5


class SecondLookWarning(UserWarning):
    """Warning that an external cohort has been used before, so that it is no longer independent."""


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
        is in `trained_on` under another id, or if the model was judged on this cohort before and `again` is
        False.
    DataError
        If the model does not know a class of the cohort, or if its predictions do not fit the target.

    Warns
    -----
    SecondLookWarning
        If this model, or other models in the same folder, were judged on this cohort before. If a model is
        chosen by its result on this cohort, this result is too good.
    """
    from mmfusion.bundle import load

    model, X, y = load(bundle), cohort.X, cohort.y
    file = Path(record) if record else Path(f"{Path(bundle)}.external") / f"{cohort.name}.json"
    looks = pd.read_json(file).to_dict("records") if file.is_file() else []
    if looks and not again:
        raise LeakageError(
            "this model was already judged on this cohort",
            file=file,
            got=f"first validation {looks[0]['when']}",
            hint="report that result; a second validation (again=True) is recorded",
        )
    check_unseen(model, cohort, list(X.index))
    if trained_on is not None:
        check_no_duplicates(trained_on, cohort)
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
    _tell_of_looks(file, cohort.name, len(looks), Path(bundle))
    return predictions, scores


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
