"""Compare two reports: their primary metrics, parameters, versions, patients, and all other metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mmfusion.display import html_card, html_table
from mmfusion.metrics.weighted import METRICS
from mmfusion.reports.pages import render
from mmfusion.reports.primary import Primary, headline, read_primary
from mmfusion.reports.record import read_run

FACTS = ("cohort", "target", "n")
# sections of the metrics that describe methods and patients, not performance -> their `kind` in the table
_SETTINGS = {
    "classes": "cohort",
    "modalities": "cohort",
    "optimum": "cohort",
    "plan": "plan",
    "params": "chosen",
}
_COLUMNS = ["metric", "a", "b", "difference"]
N_FIRST = 10  # metrics that a comparison shows; the others are folded away

_MAIN = "\0main"  # name of the main model in a path

Keys = tuple[str, ...]
Pair = tuple[Primary | None, Primary | None]


@dataclass(frozen=True, repr=False)
class RunComparison:
    """Two complete reports, side by side.

    Parameters
    ----------
    names, headlines : (str, str)
        Folders of the reports, and their headlines.
    main : str
        The primary metric of the two main models in one line; "" if a report has no model, or if the primary
        metrics differ.
    changed : DataFrame
        Settings that are not equal: columns `kind` (cohort, plan, chosen, parameter, input, version,
        notebook), `what`, `a`, `b`.
    metrics : DataFrame
        Numbers that both reports have and that differ, the most important first: the primary metric of the
        main models and of the reference, the difference between them, the other metrics of the main models,
        the primary metric of the other models, the rest. Columns `metric`, `a`, `b` (with the
        interval, if there is one), `difference` (b minus a).
    n_equal : int
        Count of the numbers that both reports have and that are equal to three decimals.
    only : (tuple of str, tuple of str)
        Other models than the main model that only this report has.
    cautions : tuple of str
        Reasons why the numbers may not be comparable.
    """

    names: tuple[str, str]
    headlines: tuple[str, str]
    main: str
    changed: pd.DataFrame
    metrics: pd.DataFrame
    n_equal: int
    only: tuple[tuple[str, ...], tuple[str, ...]]
    cautions: tuple[str, ...]

    def to_html(self) -> str:
        """Return the comparison as an HTML page that needs no network."""
        metrics = self.metrics.to_dict("records")
        tables = {"changed": self.changed.to_dict("records"), "metrics": metrics[:N_FIRST]}
        tables["more"] = metrics[N_FIRST:]
        title = f"{self.names[0]} and {self.names[1]}"
        runs = list(zip("ab", self.names, self.headlines, strict=True))
        notes = self._notes()
        said = {"main": self.main, "cautions": self.cautions, "notes": notes}
        return render("compare.html.j2", title=title, runs=runs, **said, **tables)

    def _repr_html_(self) -> str:
        lines = [f"{letter} = {name}" for letter, name in zip("ab", self.names, strict=True)]
        notes = [self.main, *(f"Caution: {c}." for c in self.cautions), *self._notes()]
        title = "Comparison of two reports: " + ", ".join(lines)
        return html_card(title, html_table(self.changed), html_table(self.metrics), notes=filter(None, notes))

    def text(self, *, every: bool = False) -> str:
        """Return the comparison as text, with the first ten metrics, or with every metric."""
        shown = self.metrics if every else self.metrics[:N_FIRST]
        folded = len(self.metrics) - len(shown)
        parts = []
        for letter, name, found in zip("ab", self.names, self.headlines, strict=True):
            parts += [f"{letter} = {name}", *([f"    {found}"] if found else [])]
        parts += ["", self.main] if self.main else []
        parts += ["", *(f"Caution: {c}." for c in self.cautions), ""]
        parts += [
            "Metrics",
            *([_text(shown)] if len(shown) else []),
            *([f"  {folded} more differ: mmfusion compare ... --all lists them."] if folded else []),
            *(f"  {n}" for n in self._notes()),
        ]
        parts += ["", "What changed", _text(self.changed) if len(self.changed) else "  nothing"]
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _notes(self) -> list[str]:
        more = "more " if len(self.metrics) else ""
        notes = [f"{self.n_equal} {more}are equal."] if self.n_equal else []
        notes += [] if notes or len(self.metrics) else ["None in common."]
        return notes + [
            f"Beside the main model, in {r} only: {', '.join(m)}."
            for r, m in zip("ab", self.only, strict=True)
            if m
        ]


def compare_runs(a: str | Path, b: str | Path) -> RunComparison:
    """Compare two reports by their folders.

    Raises
    ------
    ReportError
        If one of the folders has no complete report.
    """
    first, second = read_run(a), read_run(b)
    found = (first["metrics"], second["metrics"])
    sections = {
        "parameter": [r["parameters"] for r in (first, second)],
        "input": [r["inputs"] for r in (first, second)],
        "version": [r["versions"] | {"commit": r["git"]} for r in (first, second)],
        "notebook": [r["notebook"] for r in (first, second)],
    }
    rows = [
        *_settings(*found),
        *(row for kind, pair in sections.items() for row in _differences(kind, *pair)),
    ]
    pair = (read_primary(found[0]), read_primary(found[1]))
    metrics, n_equal, has_main = _metrics(*found, pair)
    models = [_others(m, primary) for m, primary in zip(found, pair, strict=True)]
    return RunComparison(
        names=(str(a), str(b)),
        headlines=(headline(found[0]), headline(found[1])),
        main=_main_line(metrics[0], pair[0]) if has_main else "",
        changed=pd.DataFrame(rows, columns=["kind", "what", "a", "b"]),
        metrics=pd.DataFrame(metrics, columns=_COLUMNS),
        n_equal=n_equal,
        only=(
            tuple(m for m in models[0] if m not in models[1]),
            tuple(m for m in models[1] if m not in models[0]),
        ),
        cautions=tuple(_cautions(first, second, pair)),
    )


def _metrics(
    a: Mapping[str, object], b: Mapping[str, object], pair: Pair
) -> tuple[list[dict[str, str]], int, bool]:
    """Return the rows that differ, the number of equal values, and True if the primary metric is first."""
    mains = tuple(primary and primary.model for primary in pair)
    before, after = (dict(_numbers(m, main)) for m, main in zip((a, b), mains, strict=True))
    metric = pair[0].metric if None not in pair and pair[0].metric == pair[1].metric else None
    reference = pair[0].reference if None not in pair else None
    first = ("models", _MAIN, metric)
    rows, n_equal = [], 0
    for path in sorted((p for p in before if p in after), key=lambda p: _rank(p, metric, reference)):
        difference = f"{after[path][0] - before[path][0]:+.3f}"
        if float(difference) == 0 and path != first:
            n_equal += 1
            continue
        cells = [_shown(*before[path]), _shown(*after[path])]
        if path == first and mains[0] != mains[1]:
            cells = [f"{main} {cell}" for main, cell in zip(mains, cells, strict=True)]
        rows.append(dict(zip(_COLUMNS, (_words(path, mains), *cells, difference), strict=True)))
    return rows, n_equal, first in before and first in after


def _main_line(row: Mapping[str, str], primary: Primary) -> str:
    direction = " (lower is better)" if primary.lower_is_better else ""
    return "{metric}: {a}, then {b}: {difference}".format(**row) + direction


def _rank(path: Keys, metric: str | None, reference: str | None) -> tuple[int, int]:
    """Sort numbers by importance; see `RunComparison.metrics`."""
    order = [*dict.fromkeys([metric, f"{metric}_diff", *METRICS])]
    place = order.index(path[-1]) if path[-1] in order else len(order)
    part, name = path[0], path[1] if len(path) > 1 else ""
    if part not in ("models", "paired_vs_ridge"):  # such as another cohort
        return 3 + (place > 1), place
    if name in (_MAIN, reference) and place == 0:
        return 0, int(name == reference)
    if name == _MAIN:
        return 1, place
    return (2 if place == 0 else 5), place


def _words(path: Keys, mains: tuple[str | None, ...]) -> str:
    main = mains[0] if mains[0] == mains[1] else "main model"
    return " ".join(main if part is _MAIN else part for part in path if part != "models")


def _others(metrics: Mapping[str, object], primary: Primary | None) -> list[str]:
    return [model for model in metrics.get("models", ()) if primary is None or model != primary.model]


def _settings(a: Mapping[str, object], b: Mapping[str, object]) -> Iterator[dict[str, str]]:
    both = [dict(_leaves(m)) for m in (a, b)]
    kinds = {
        p: _SETTINGS.get(p[0], "cohort") for p in (*both[0], *both[1]) if p[0] in _SETTINGS or p[-1] in FACTS
    }
    for kind in ("cohort", "plan", "chosen"):
        pair = [
            {
                " ".join(p if kind == "cohort" else p[1:] or p): v
                for p, v in found.items()
                if kinds.get(p) == kind
            }
            for found in both
        ]
        yield from _differences(kind, *pair)


def _differences(kind: str, a: Mapping[str, object], b: Mapping[str, object]) -> Iterator[dict[str, str]]:
    for key in dict.fromkeys([*a, *b]):
        if a.get(key) != b.get(key):
            yield {"kind": kind, "what": key, "a": _setting(a.get(key, "-")), "b": _setting(b.get(key, "-"))}


def _leaves(value: object, path: Keys = ()) -> Iterator[tuple[Keys, object]]:
    """Yield each value that is not a mapping, with its path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)))
    else:
        yield path, value


def _numbers(
    metrics: Mapping[str, object], main: str | None
) -> Iterator[tuple[Keys, tuple[float, list | None]]]:
    """Yield every result that is a number, with its path; a mean and its `ci` are a number with its interval.

    The main model has the same name in both runs, so that the two main models are compared.
    """
    leaves = dict(_leaves(metrics))
    for path, value in leaves.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if path[0] not in _SETTINGS and path[-1] not in (*FACTS, "seconds"):
            short = path[:-1] if path[-1] == "mean" else path
            yield (
                tuple(_MAIN if part == main else part for part in short),
                (value, leaves.get((*path[:-1], "ci"))),
            )


def _shown(value: float, ci: list | None) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return f"{text} [{ci[0]:.3f}, {ci[1]:.3f}]" if ci and None not in ci else text


def _setting(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cautions(a: Mapping, b: Mapping, pair: Pair) -> Iterator[str]:
    if a["name"] != b["name"]:
        yield f"different notebooks: {a['name']} and {b['name']}"
    for fact in FACTS:
        if a["metrics"].get(fact) != b["metrics"].get(fact):
            yield f"different {fact}: {a['metrics'].get(fact)} and {b['metrics'].get(fact)}"
    for what, of in (("main models", "model"), ("primary metrics", "metric")):
        both = [getattr(primary, of, None) for primary in pair]
        if None not in both and both[0] != both[1]:
            yield f"different {what}: {both[0]} and {both[1]}"
    yield (
        "differences are between two runs, not paired over patients: "
        "see the paired table of each report for differences between its models"
    )


def _text(frame: pd.DataFrame) -> str:
    return "\n".join(
        "  " + line for line in frame.to_string(index=False, justify="left", max_colwidth=None).splitlines()
    )
