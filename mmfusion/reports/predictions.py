"""The predictions behind a report: write them as CSV, and compute the report's metrics again from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.errors import ReportError
from mmfusion.escaping import unguarded_cells, write_csv
from mmfusion.evaluation.tasks import task_of
from mmfusion.reports.record import METRICS, read_json

NAME = "predictions"
_TEXTS = ("patient_id", "person", "model", "y_true", "y_pred")
_FIRST = ("patient_id", "person", "repeat", "fold", "model", "y_true", "y_pred")


def write_predictions(predictions: pd.DataFrame, out_dir: str | Path, part: str = "") -> None:
    """Write `out_dir/predictions.csv`, from which `recompute` computes the metrics of the report again.

    The file has one row per model, repeat, fold and patient: the patient's id, the person's id, the true
    label `y_true`, the decided label `y_pred`, and a probability `p_<class>` per class with all digits.
    Predictions of other kinds keep their own columns (`NestedResult.predictions`).

    Parameters
    ----------
    predictions : DataFrame
        `NestedResult.predictions`. If it has no decided label, this is the most probable class.
    out_dir : path
        Folder of the report. If it is "", nothing is written.
    part : str
        The part of the report, such as "all_patients"; it is added to the name of the file.

    Examples
    --------
    >>> import tempfile
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["=a"], "y_true": ["I"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_predictions(table.assign(p_I=1 / 3, p_II=2 / 3), folder)
    ...     again = read_predictions(Path(folder) / "predictions.csv")
    >>> again["patient_id"].tolist(), again["y_pred"].tolist(), again["p_I"].tolist() == [1 / 3]
    (['=a'], ['II'], True)
    """
    if out_dir:
        table = predictions
        if "y_true" in table and "y_pred" not in table:
            chances = [c for c in table if str(c).startswith("p_")]
            likely = table[chances].to_numpy(dtype=float).argmax(axis=1)
            table = table.assign(y_pred=[chances[i][2:] for i in likely])
        first = [c for c in _FIRST if c in table]
        table = table[[*first, *(c for c in table if c not in first)]]
        write_csv(table, Path(out_dir) / _file(part), index=False)


def read_predictions(file: str | Path) -> pd.DataFrame:
    """Return the table that `write_predictions` wrote.

    Raises
    ------
    ReportError
        If the file is absent, or is not such a table.
    """
    try:
        table = unguarded_cells(pd.read_csv(file, dtype=str, keep_default_na=False))
    except (OSError, ValueError) as error:
        got = str(error).splitlines()[0]
        raise ReportError("no predictions that can be read", file=file, got=got) from error
    if absent := [c for c in ("patient_id", "repeat", "fold", "model") if c not in table]:
        raise ReportError("not a table of predictions", file=file, expected=", ".join(absent))
    try:
        numbers = {c: table[c].map(lambda cell: float(cell or "nan")) for c in table if c not in _TEXTS}
        return table.assign(**numbers).astype({"repeat": int, "fold": int})
    except ValueError as error:
        raise ReportError("a cell is not a number", file=file, got=error) from error


def recompute(report: str | Path) -> pd.DataFrame:
    """Compute the metrics of a report again from its files of predictions.

    Parameters
    ----------
    report : path
        Folder of a report that judged models.

    Returns
    -------
    DataFrame
        One row per part of the report ("" is the main part), model and metric: `reported` (in
        `metrics.json`), `recomputed`, `difference`.

    Raises
    ------
    ReportError
        If the report has no predictions, or a file cannot be read.

    Examples
    --------
    >>> recompute("reports/r01")["difference"].abs().max()  # doctest: +SKIP
    0.0
    """
    folder = Path(report)
    if not (folder / METRICS).is_file():
        raise ReportError("no report with metrics there", file=folder, expected=f"a folder with {METRICS}")
    rows = []
    for part, models in _parts(read_json(folder / METRICS)):
        if not (folder / _file(part)).is_file() and part:
            continue
        table = read_predictions(folder / _file(part))
        scores = task_of(table).scores(table)
        for model, metrics in models.items():
            for metric, score in metrics.items():
                if isinstance(score, Mapping) and "mean" in score and (metric, "mean") in scores:
                    found = scores[metric, "mean"].get(model, np.nan)
                    rows.append((part, model, metric, score["mean"], found))
    names = ["part", "model", "metric", "reported", "recomputed"]
    frame = pd.DataFrame(rows, columns=names).astype({"reported": float, "recomputed": float})
    return frame.assign(difference=frame["recomputed"] - frame["reported"])


def _parts(metrics: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, Mapping]]]:
    """Yield the parts of a report that judge models, with the metrics of each model."""
    if not isinstance(metrics.get("models"), Mapping):
        raise ReportError("the report judges no model", file=METRICS)
    yield "", metrics["models"]
    for name, value in metrics.items():
        if isinstance(value, Mapping) and isinstance(value.get("models"), Mapping):
            yield name, value["models"]


def _file(part: str) -> str:
    return f"{NAME}{'_' if part else ''}{part}.csv"
