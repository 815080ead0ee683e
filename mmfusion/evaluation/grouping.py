"""Groups of patients by sex, age, ethnicity, smoking, site and modalities, from the columns of a cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from mmfusion.data.checks import MOST_GROUPS
from mmfusion.data.cohort import Cohort, presence
from mmfusion.data.tables.cells import clean_cells, mostly_numbers, to_numbers
from mmfusion.errors import DataError, did_you_mean

UNKNOWN = "not known"
AGE_LIMITS = (60.0, 70.0)  # years
# name of the grouping -> names of columns of health records, in lower case
COLUMNS = {
    "sex": ("sex", "gender"),
    "age": ("age", "age_at_diagnosis", "age at histological diagnosis", "age_at_histological_diagnosis"),
    "ethnicity": ("ethnicity", "race", "ethnic_group"),
    "smoking": ("smoking_status", "smoking", "smoker", "smoking status", "tobacco_smoking_history"),
}
NAMES = (*COLUMNS, "site", "modalities")


def patient_groups(
    cohort: Cohort, by: Sequence[str] | Mapping[str, pd.Series] | None = None
) -> dict[str, pd.Series]:
    """Return the group of each labelled patient, for each grouping.

    Parameters
    ----------
    cohort : Cohort
        Patients with a label are grouped. A column that the target withholds from the models can be used.
    by : sequence of str, or mapping of str to Series, optional
        Names of groupings: "sex", "age" (below 60, 60 to 70, above 70 years), "ethnicity", "smoking", "site",
        "modalities" (which of them a patient has), or a column with few values as "modality.feature". A
        mapping gives the groups themselves, indexed by patient_id. Default: every named grouping of which the
        cohort has at least two groups.

    Returns
    -------
    dict of str to Series
        Text, index patient_id. A patient without a value is in the group "not known".

    Raises
    ------
    DataError
        If the cohort does not have a grouping that was named, a column has more than 12 different values, an
        age is no number, or given groups lack a patient.

    Examples
    --------
    >>> ids = pd.Index(["p1", "p2", "p3"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 75.0, 55.0], ("ehr", "gender"): ["f", None, "m"]}, ids)
    >>> cohort = Cohort("example", table, pd.DataFrame({"stage": ["IA", "IIIB", "IV"]}, ids), "stage2")
    >>> {name: group.tolist() for name, group in patient_groups(cohort).items()}
    {'sex': ['f', 'not known', 'm'], 'age': ['60-70', '> 70', '< 60']}
    """
    ids = cohort.X.index
    if isinstance(by, str):
        raise DataError("not a list of groupings", parameter="by", expected=f"[{by!r}]", got=repr(by))
    if isinstance(by, Mapping):
        return {str(name): _given(str(name), groups, ids) for name, groups in by.items()}
    if by is None:
        found = {name: _grouping(cohort, name) for name in NAMES}
        return {name: g for name, g in found.items() if g is not None and g.nunique() > 1}
    return {name: _named(cohort, name) for name in by}


def presence_groups(cohort: Cohort) -> pd.Series:
    """Return the modalities of each labelled patient as text, such as "ct+rna"."""
    has = presence(cohort.X)
    return pd.Series(
        ["+".join(has.columns[row]) for row in has.to_numpy()], index=has.index, name="modalities"
    )


def _named(cohort: Cohort, name: str) -> pd.Series:
    groups = _grouping(cohort, name) if name in NAMES else None
    column = tuple(str(name).split(".", 1))
    if groups is None and column in cohort.table.columns:
        values = cohort.table.loc[cohort.X.index, column]
        if values.nunique() > MOST_GROUPS:
            problem, expected = (
                "a column with too many values for groups",
                f"at most {MOST_GROUPS} different values",
            )
            raise DataError(problem, column=name, expected=expected, got=values.nunique())
        groups = _text(values, name)
    if groups is None:
        known = [n for n in NAMES if _grouping(cohort, n) is not None]
        hint = did_you_mean(name, NAMES) or 'a column is named as "ehr.histology"'
        if name in COLUMNS:
            hint = f"it is read from a column of the health records: {', '.join(COLUMNS[name])}"
        problem = "the cohort has no such grouping"
        raise DataError(problem, parameter="by", expected=", ".join(known), got=name, hint=hint)
    return groups


def _grouping(cohort: Cohort, name: str) -> pd.Series | None:
    """Return the groups of a named grouping; None if the cohort does not record them."""
    ids = cohort.X.index
    if name == "modalities":
        return presence_groups(cohort)
    if name == "site":
        return _text(cohort.groups["site"].reindex(ids), name) if "site" in cohort.groups else None
    records = [c for c in cohort.table.columns if c[0] == "ehr" and str(c[1]).lower() in COLUMNS[name]]
    if not records:
        return None
    records.sort(key=lambda column: COLUMNS[name].index(str(column[1]).lower()))
    values = cohort.table.loc[ids, records[0]]
    return _age_bands(values) if name == "age" else _text(values, name)


def _age_bands(years: pd.Series) -> pd.Series:
    low, high = AGE_LIMITS
    cells = years if is_numeric_dtype(years) else clean_cells(years.astype(object))
    if not is_numeric_dtype(years) and not mostly_numbers(cells):
        return _text(years, "age")  # such as bands of ages
    age = to_numbers(cells, years.name[1]).to_numpy(dtype=float)
    bands = np.select(
        [age < low, age <= high, age > high],
        [f"< {low:g}", f"{low:g}-{high:g}", f"> {high:g}"],
        default=UNKNOWN,
    )
    return pd.Series(bands, years.index, name="age", dtype=object)


def _text(values: pd.Series, name: str) -> pd.Series:
    cells = clean_cells(values.astype(object))
    return cells.astype(object).where(cells.notna(), UNKNOWN).astype(str).rename(name)


def _given(name: str, groups: pd.Series, ids: pd.Index) -> pd.Series:
    if not isinstance(groups, pd.Series):
        raise DataError(
            "not the groups of patients",
            parameter=f"by[{name!r}]",
            expected="a Series with the index patient_id",
            got=type(groups).__name__,
        )
    if groups.index.has_duplicates:
        twice = groups.index[groups.index.duplicated()][0]
        raise DataError("a patient has two groups", patient=twice, parameter=f"by[{name!r}]")
    if len(absent := ids.difference(groups.index)):
        raise DataError("a patient has no group", patient=absent[0], parameter=f"by[{name!r}]")
    return _text(groups.reindex(ids), name)
