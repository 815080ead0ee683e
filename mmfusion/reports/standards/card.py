"""The last cell of a report: the items of the reporting standards that it answers, folded."""

from __future__ import annotations

import pandas as pd

from mmfusion.display import html_table
from mmfusion.escaping import html_text
from mmfusion.reports.standards.table import standards_summary, standards_table

_HEADS = {
    "item": "item",
    "topic": "topic",
    "answered": "answered",
    "where": "section of this page",
    "authors": "the authors add",
}


class StandardsCard:
    """Sentences that are always visible, and a folded table for each standard.

    Parameters
    ----------
    report : str
        Name of a report without its number.

    Attributes
    ----------
    table : DataFrame
        As from `standards_table`.

    Examples
    --------
    >>> card = StandardsCard("stage_fusion")
    >>> card._repr_html_().count("<details>")
    2
    """

    def __init__(self, report: str) -> None:
        self.table = standards_table(report)
        self.sentences = standards_summary(report)

    def _repr_html_(self) -> str:
        parts = []
        for sentence, (standard, rows) in zip(
            self.sentences, self.table.groupby("standard", sort=False), strict=True
        ):
            parts.append(
                f"<p>{html_text(sentence)}</p><details><summary>The items of {html_text(standard)}</summary>"
                f"{html_table(_shown(rows))}</details>"
            )
        return "".join(parts)

    def __repr__(self) -> str:
        return "\n".join(self.sentences)


def standards_card(report: str) -> StandardsCard:
    """Return what a report answers of TRIPOD+AI and CLAIM, for the last cell of its notebook.

    Raises
    ------
    ReportError
        If no section of this report is listed.

    Examples
    --------
    >>> print(str(standards_card("lesions")).splitlines()[0][:29])
    TRIPOD+AI: of 52 items, this
    """
    return StandardsCard(report)


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[list(_HEADS)].rename(columns=_HEADS).set_index("item")
