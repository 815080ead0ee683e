"""Name the files of a report's folder, and read the record of a complete report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmfusion.errors import ReportError
from mmfusion.storage.strict_json import parse_json

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
    metrics = {name: value for name, value in metrics.items() if value is not None}
    run = read_json(folder / RUN)
    _check_run(run)
    _check_metrics(metrics)
    return run | {"metrics": metrics}


def read_json(path: Path) -> dict[str, object]:
    """Return the JSON object in a file; anything else, NaN and Infinity included, raises `ReportError`."""
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError("malformed", file=path.name, expected="strict JSON", got=error) from error
    if not isinstance(value, dict):
        raise ReportError("malformed", file=path.name, expected="a JSON object", got=type(value).__name__)
    return value


def _check_run(run: Mapping[str, object]) -> None:
    for name in ("parameters", "inputs", "versions"):
        if not isinstance(run.get(name, {}), Mapping):
            raise _malformed(RUN, name, "a JSON object", run[name])
    if not _is_number(run.get("seconds")):
        raise _malformed(RUN, "seconds", "a number", run["seconds"])


def _check_metrics(metrics: Mapping[str, object]) -> None:
    """Check the parts that an index and a comparison read; each of them may be absent."""
    models = metrics.get("models", {})
    if not isinstance(models, Mapping):
        raise _malformed(METRICS, "models", "a JSON object: model -> metric -> score", models)
    for model, scores in models.items():
        if not isinstance(scores, Mapping):
            raise _malformed(METRICS, f"models {model}", "a JSON object: metric -> score", scores)
        for metric, score in scores.items():
            if isinstance(score, Mapping) and not _is_score(score):
                expected = '{"mean": number or null, "ci": [low, high] or null}'
                raise _malformed(METRICS, f"models {model} {metric}", expected, score)
    if "primary" in metrics:
        _check_named(metrics["primary"], models)


def _check_named(primary: object, models: Mapping[str, object]) -> None:
    if not isinstance(primary, Mapping):
        raise _malformed(METRICS, "primary", '{"metric": ..., "model": ...}', primary)
    for name in ("metric", "model"):
        if not isinstance(primary.get(name), str):
            raise _malformed(METRICS, f"primary {name}", "a name", primary.get(name))
    if models and primary["model"] not in models:
        raise _malformed(METRICS, "primary model", ", ".join(models), primary["model"])


def _is_score(score: Mapping[str, object]) -> bool:
    ci = score.get("ci")
    pair = ci is None or (isinstance(ci, list) and len(ci) == 2 and all(map(_is_number, ci)))
    return pair and _is_number(score.get("mean"))


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _malformed(file: str, column: str, expected: str, got: object) -> ReportError:
    return ReportError("malformed", file=file, column=column, expected=expected, got=repr(got)[:80])
