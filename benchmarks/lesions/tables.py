"""Markdown tables of finished runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from mmfusion.metrics import wilcoxon_table
from mmfusion.metrics.segmentation import segmentation_differences, segmentation_table
from mmfusion.metrics.slices import POSITIONS

Result = Mapping[str, object]
_SIZE = ("parameters, M", "epochs", "training, s")
_SCORES = (
    *("Dice per patient", "pooled Dice", "lesion sensitivity", "false positives per scan", "HD95, mm"),
)


def predictions(results: Mapping[str, Result]) -> pd.DataFrame:
    """Return one table of the scores of all models, as `nested_cv` makes it."""
    tables = [pd.DataFrame(one["scores"]).assign(model=row) for row, one in results.items()]
    return pd.concat(tables, ignore_index=True).assign(repeat=0, fold=0)


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def compared(
    table: pd.DataFrame,
    references: Sequence[str],
    first: Mapping[str, Mapping[str, str]] | None = None,
    last: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Return the table of overlap and detection, and of the differences in Dice to other rows.

    Parameters
    ----------
    table : DataFrame
        Scores of all models; see `predictions`.
    references : sequence of str
        Rows that the others are compared with.
    first, last : mapping of str to (mapping of str to str), optional
        Further columns: title -> row -> cell.
    """
    scores, first, last = segmentation_table(table), first or {}, last or {}
    tests = {}
    for reference in references:
        if reference in scores.index and len(scores) > 1:
            tests |= _differences(table, reference)
    before, after = list(first.values()), [*tests.values(), *last.values()]
    rows = [
        [row, *(c.get(row, "") for c in before), *_scored(scores.loc[row]), *(c.get(row, "") for c in after)]
        for row in scores.index
    ]
    return markdown(("network", *first, *_SCORES, *tests, *last), rows)


def sizes(results: Mapping[str, Result]) -> dict[str, dict[str, str]]:
    """Return the columns of parameters, epochs and seconds."""
    cells = {
        row: (f"{one['parameters'] / 1e6:.2f}", str(one["epochs"]), f"{one['seconds']:.0f}")
        for row, one in results.items()
    }
    return {title: {row: one[k] for row, one in cells.items()} for k, title in enumerate(_SIZE)}


def _scored(scores: pd.Series) -> Iterator[str]:
    dice = scores["dice"]
    yield f"{dice['mean']:.3f} [{dice['lo']:.3f}, {dice['hi']:.3f}]"
    for metric, digits in (
        ("dice_pooled", 3),
        ("lesion_sensitivity_pooled", 2),
        ("false_lesions", 2),
        ("hd95", 1),
    ):
        yield f"{scores[metric, 'mean']:.{digits}f}"


def _differences(table: pd.DataFrame, reference: str) -> dict[str, dict[str, str]]:
    """Return two columns: the difference in Dice to a row with its interval, and Wilcoxon's test."""
    against, ranks = segmentation_differences(table, reference), wilcoxon_table(table, reference)
    diff = {row: f"{d['diff']:+.3f} [{d['lo']:+.3f}, {d['hi']:+.3f}]" for row, d in against.iterrows()}
    p = {row: f"{r['p']:.2g} ({r['p_holm']:.2g})" for row, r in ranks.iterrows()}
    return {f"Dice minus {reference}": diff, f"p against {reference} (Holm)": p}


def by_position(results: Mapping[str, Result], reference: str) -> str:
    """Return the Dice at each position of a slice in the lesion, and the test at the end slices."""
    tables = [pd.DataFrame(one["positions"]).assign(model=row) for row, one in results.items()]
    table = pd.concat(tables).assign(repeat=0, fold=0)
    table = table[table["position"] != "outside"]
    mean = table.groupby(["model", "position"])["dice"].mean().unstack("position")
    shown = [name for name in POSITIONS if name in mean]
    ends = table[table["position"] == "end"]
    ranks = wilcoxon_table(ends, reference)
    rows = []
    for row in results:
        cells = [f"{mean.loc[row, name]:.3f}" for name in shown]
        test = "" if row == reference else f"{ranks.loc[row, 'p']:.2g} ({ranks.loc[row, 'p_holm']:.2g})"
        rows.append([row, *cells, test])
    return markdown(("network", *shown, f"end: Wilcoxon p against {reference} (Holm)"), rows)
