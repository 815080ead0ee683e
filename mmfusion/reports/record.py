"""Name the files of a report's folder, and read the record of a complete report."""

from __future__ import annotations

import json
from pathlib import Path

from mmfusion.errors import ReportError

NOTEBOOK, PAGE, RUN, METRICS = "notebook.ipynb", "report.html", "run.json", "metrics.json"
FAILED_PAGE, FAILED = "FAILED.html", ".failed"


def is_report(folder: Path) -> bool:
    """Return True if a folder has a complete report."""
    return (folder / RUN).is_file() and (folder / PAGE).is_file()


def failed_folder(out: Path) -> Path:
    """Return the folder in which the files of a failed run are kept."""
    return out.with_name(out.name + FAILED)


def read_run(folder: str | Path) -> dict[str, object]:
    """Return the content of `run.json` of a complete report, with that of `metrics.json` under `metrics`.

    Raises
    ------
    ReportError
        If the folder has no complete report, or a file in it is malformed.
    """
    folder = Path(folder)
    if not is_report(folder):
        raise ReportError("no complete report there", file=folder, expected=f"a folder with {RUN} and {PAGE}")
    metrics = read_json(folder / METRICS) if (folder / METRICS).is_file() else {}
    return read_json(folder / RUN) | {"metrics": metrics}


def read_json(path: Path) -> dict[str, object]:
    """Return the JSON object in a file; anything else, NaN and Infinity included, raises `ReportError`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except ValueError as error:
        raise ReportError("malformed", file=path.name, expected="strict JSON", got=error) from error
    if not isinstance(value, dict):
        raise ReportError("malformed", file=path.name, expected="a JSON object", got=type(value).__name__)
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON: write null for a value that could not be computed")
