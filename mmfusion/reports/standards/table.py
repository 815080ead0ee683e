"""The table of the items that a report answers, and the sentences that count them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import pandas as pd

from mmfusion.errors import ReportError, did_you_mean

PARAMETERS = "Parameters"  # every page has them at its top, so that no notebook has this section
COMPANIONS = ("cohort", "scans", "subgroups", "robustness", "external", "explain")
STANDARDS = {
    "TRIPOD+AI": "Collins et al. 2024, BMJ 385:e078378",
    "CLAIM": "Tejani et al. 2024, Radiology: Artificial Intelligence 6(4):e240300",
}


def standards_table(report: str) -> pd.DataFrame:
    """Return the items of TRIPOD+AI and CLAIM with what a report says to each.

    Parameters
    ----------
    report : str
        Name of a report without its number, such as "stage_fusion".

    Returns
    -------
    DataFrame
        A row per item, with the columns `standard`, `item`, `topic` (in our words), `answered` ("yes",
        "partly", or "no"), `where` (sections of this report; for "no", sections of other reports that can
        be attached), and `authors` (what the authors of a paper have to add; "" if nothing).

    Raises
    ------
    ReportError
        If no section of this report is listed.

    References
    ----------
    Collins et al. 2024, BMJ 385:e078378. Tejani et al. 2024, Radiology: Artificial Intelligence 6(4):e240300.

    Examples
    --------
    >>> table = standards_table("stage_fusion").set_index(["standard", "item"])
    >>> table.loc[("CLAIM", "33"), ["answered", "where"]].tolist()
    ['partly', 'External cohort']
    >>> table.loc[("CLAIM", "44"), ["answered", "authors"]].tolist()
    ['no', 'the funding']
    """
    sections = _read("sections.csv")
    if report not in set(sections["report"]):
        known = reports_with_sections()
        raise ReportError(
            "the sections of this report are not listed",
            got=report,
            expected=f"one of {', '.join(known)}",
            hint=did_you_mean(report, known) or "add rows to mmfusion/reports/standards/sections.csv",
        )
    parameters = {"report": report, "role": "parameters", "section": PARAMETERS, "at_most": ""}
    here = pd.concat([sections[sections["report"] == report], pd.DataFrame([parameters])])
    others = sections[sections["report"].isin(COMPANIONS) & (sections["report"] != report)]
    return pd.DataFrame([_row(item, here, others) for item in _read("items.csv").to_dict("records")])


def standards_summary(report: str) -> list[str]:
    """Return one sentence per standard: how many items are answered, in part, or not at all.

    Examples
    --------
    >>> standards_summary("stage_fusion")[1].split(",")[0]
    'CLAIM: of 44 items'
    """
    sentences = []
    for standard, rows in standards_table(report).groupby("standard", sort=False):
        n = rows["answered"].value_counts()
        sentences.append(
            f"{standard}: of {len(rows)} items, this report answers {n.get('yes', 0)} and a part of "
            f"{n.get('partly', 0)}; {n.get('no', 0)} are left to the authors ({STANDARDS[str(standard)]})."
        )
    return sentences


def reports_with_sections() -> list[str]:
    """Return the names of the reports whose sections are listed.

    >>> "stage_fusion" in reports_with_sections()
    True
    """
    return list(dict.fromkeys(_read("sections.csv")["report"]))


def _row(item: dict[str, str], here: pd.DataFrame, others: pd.DataFrame) -> dict[str, str]:
    roles = item["answered_by"].split(";")
    found = here[here["role"].isin(roles)]
    elsewhere = others[others["role"].isin(roles)]
    where = found["section"] if len(found) else "report " + elsewhere["report"] + ": " + elsewhere["section"]
    partly = len(found) and (found["at_most"] == "partly").all()
    answered = ("partly" if partly else item["level"]) if len(found) else "no"
    left = {"yes": "", "partly": "what this page lacks", "no": "all of it"}[answered]
    return {
        "standard": item["standard"],
        "item": item["item"],
        "topic": item["topic"],
        "answered": answered,
        "where": "; ".join(dict.fromkeys(where)),
        "authors": item["authors"] or left,
    }


@cache
def _read(name: str) -> pd.DataFrame:
    with (files("mmfusion.reports.standards") / name).open(encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype=str, keep_default_na=False)
