"""What changed between two reports: parameters, versions, patients, metrics with their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mmfusion.reports.pages import render
from mmfusion.reports.record import read_run

FACTS = ("cohort", "target", "n")


@dataclass(frozen=True, repr=False)
class RunComparison:
    """Two complete reports, side by side.

    Parameters
    ----------
    names : (str, str)
        Their folders.
    changed : DataFrame
        What is not equal: columns `kind` (parameter, version, input, cohort), `what`, `a`, `b`.
    metrics : DataFrame
        Every number that both have: `metric`, `a`, `b` (with interval, where there is one), `difference` (b minus a).
    cautions : tuple of str
        Why the numbers may not be comparable.
    """

    names: tuple[str, str]
    changed: pd.DataFrame
    metrics: pd.DataFrame
    cautions: tuple[str, ...]

    def to_html(self) -> str:
        """One page that needs no network."""
        tables = {"changed": self.changed.to_dict("records"), "metrics": self.metrics.to_dict("records")}
        title = f"{self.names[0]} and {self.names[1]}"
        return render("compare.html.j2", title=title, names=self.names, cautions=self.cautions, **tables)

    def __str__(self) -> str:
        parts = [f"a = {self.names[0]}", f"b = {self.names[1]}", "", *(f"Caution: {c}" for c in self.cautions), ""]
        parts += ["What changed", _text(self.changed) if len(self.changed) else "  nothing", ""]
        parts += ["Metrics", _text(self.metrics) if len(self.metrics) else "  none in common"]
        return "\n".join(parts)

    __repr__ = __str__


def compare_runs(a: str | Path, b: str | Path) -> RunComparison:
    """Compare two reports by their folders.

    Raises
    ------
    ReportError
        If either is no complete report.
    """
    first, second = read_run(a), read_run(b)
    sections = {
        "cohort": [{k: r["metrics"].get(k) for k in FACTS} for r in (first, second)],
        "parameter": [r["parameters"] for r in (first, second)],
        "input": [r["inputs"] for r in (first, second)],
        "version": [r["versions"] | {"commit": r["git"]} for r in (first, second)],
        "notebook": [r["notebook"] for r in (first, second)],
    }
    changed = [row for kind, pair in sections.items() for row in _differences(kind, *pair)]
    before, after = dict(_numbers(first["metrics"])), dict(_numbers(second["metrics"]))
    metrics = [
        {"metric": name, "a": _shown(*before[name]), "b": _shown(*after[name]),
         "difference": f"{after[name][0] - before[name][0]:+.3f}"}
        for name in before if name in after
    ]  # fmt: skip
    names = (str(a), str(b))
    return RunComparison(
        names,
        pd.DataFrame(changed, columns=["kind", "what", "a", "b"]),
        pd.DataFrame(metrics, columns=["metric", "a", "b", "difference"]),
        tuple(_cautions(first, second)),
    )


def _differences(kind: str, a: Mapping[str, object], b: Mapping[str, object]) -> Iterator[dict[str, str]]:
    for key in dict.fromkeys([*a, *b]):
        if a.get(key) != b.get(key):
            yield {"kind": kind, "what": key, "a": str(a.get(key, "-")), "b": str(b.get(key, "-"))}


def _numbers(value: object, path: str = "") -> Iterator[tuple[str, tuple[float, list | None]]]:
    """Every number in the metrics by its path; a mean with a ci is one number with its interval."""
    if isinstance(value, bool) or path in FACTS or path == "seconds":
        return
    if isinstance(value, int | float):
        yield path, (value, None)
    elif isinstance(value, Mapping):
        ci = value.get("ci")
        key = next((k for k in value if k != "ci" and isinstance(value[k], int | float)), None)
        if ci and key and len(value) == 2:
            yield path if key == "mean" else f"{path} {key}".strip(), (value[key], ci)
            return
        for name, inner in value.items():
            yield from _numbers(inner, f"{path} {name}".strip().removeprefix("models "))


def _shown(value: float, ci: list | None) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return f"{text} [{ci[0]:.3f}, {ci[1]:.3f}]" if ci and None not in ci else text


def _cautions(a: Mapping, b: Mapping) -> Iterator[str]:
    if a["name"] != b["name"]:
        yield f"different notebooks: {a['name']} and {b['name']}"
    for fact in FACTS:
        if a["metrics"].get(fact) != b["metrics"].get(fact):
            yield f"different {fact}: {a['metrics'].get(fact)} and {b['metrics'].get(fact)}"
    yield "differences are between two runs, not paired over patients: a report's own paired table says which are real"


def _text(frame: pd.DataFrame) -> str:
    return "\n".join("  " + line for line in frame.to_string(index=False, justify="left", max_colwidth=60).splitlines())
