"""Divide a cohort by site: the patients of one site, and those of all other sites."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError, LeakageError, did_you_mean


def sites_of(cohort: Cohort) -> pd.Series:
    """Return the number of labelled patients of each site, the largest site first.

    Raises
    ------
    DataError
        If the site of no patient is known, or there is only one site.

    Examples
    --------
    >>> ids = pd.Index(["p1", "p2", "p3"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0, 55.0]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB", "IA"]}, index=ids)
    >>> groups = pd.DataFrame({"site": ["north", "south", "north"]}, index=ids)
    >>> sites_of(Cohort("example", table, outcomes, "stage2", groups=groups)).to_dict()
    {'north': 2, 'south': 1}
    """
    if "site" not in cohort.groups or cohort.groups["site"].isna().all():
        raise DataError(
            "the site of no patient is known",
            file=cohort.name,
            column="site",
            hint="add the column site to a table of the cohort, such as the health records",
        )
    counts = cohort.groups.loc[cohort.X.index, "site"].dropna().astype(str).value_counts()
    if len(counts) < 2:
        expected, got = "two sites or more, with labels", ", ".join(counts.index) or "none"
        raise DataError("only one site", file=cohort.name, column="site", expected=expected, got=got)
    return counts


def split_by_site(cohort: Cohort, site: str) -> tuple[Cohort, Cohort]:
    """Return the patients of all other sites, and the patients of one site.

    Patients without a known site are in neither part; a note of both parts has their number.

    Parameters
    ----------
    cohort : Cohort
        Cohort with `groups["site"]`.
    site : str
        Site of the second part.

    Returns
    -------
    others, there : Cohort
        Their names are "<cohort> without <site>" and "<cohort> <site>".

    Raises
    ------
    DataError
        If the site of no patient is known, there is only one site, or there is no such site. The error lists
        the sites.
    LeakageError
        If a person has rows in both parts.

    Examples
    --------
    >>> ids = pd.Index(["p1", "p2", "p3"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0, 55.0]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB", "IA"]}, index=ids)
    >>> groups = pd.DataFrame({"site": ["north", "south", "north"]}, index=ids)
    >>> others, there = split_by_site(Cohort("example", table, outcomes, "stage2", groups=groups), "south")
    >>> others.name, list(others.X.index), list(there.X.index)
    ('example without south', ['p1', 'p3'], ['p2'])
    """
    counts = sites_of(cohort)
    if site not in counts:
        expected = ", ".join(f"{name} ({n} patients)" for name, n in counts.items())
        hint = did_you_mean(site, counts.index)
        raise DataError(
            "no such site", file=cohort.name, column="site", expected=expected, got=site, hint=hint
        )
    known = cohort.groups["site"]
    here = known.notna() & (known.astype(str) == site)
    others = known.notna() & ~here
    people = cohort.groups["patient"].astype(str)
    both = set(people[here]) & set(people[others])
    if both:
        raise LeakageError(
            "a person has rows of two sites",
            patient=", ".join(sorted(both)[:5]),
            file=cohort.name,
            hint="keep the rows of one site",
        )
    unknown = int(known.reindex(cohort.X.index).isna().sum())
    note = [f"patients without a known site, in neither part: {unknown}"] if unknown else []
    parts = (_part(cohort, others, f"{cohort.name} without {site}", note),
             _part(cohort, here, f"{cohort.name} {site}", note))  # fmt: skip
    return parts


def _part(cohort: Cohort, rows: pd.Series, name: str, note: list[str]) -> Cohort:
    part = cohort.select(patients=list(rows.index[rows]))
    notes = [*part.provenance.get("notes", ()), *note]
    return replace(part, name=name, provenance={**part.provenance, "notes": notes})
