"""Health records with canonical column names and units, without the columns that reveal the stage."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mmfusion.data.tables.cells import clean_cells, guess_column, note_errors
from mmfusion.data.tables.ehr_headers import SITE_HEADERS, TNM_HEADERS, known_column, years_since_quit
from mmfusion.data.tables.files import header_key
from mmfusion.data.tables.notes import TableNotes, leave_out
from mmfusion.data.tables.seed_headers import seed_header
from mmfusion.data.targets.forbidden import gives_stage_away
from mmfusion.errors import DataError


@dataclass(frozen=True)
class EhrTable:
    """Clinical table, sorted into features, metadata and forbidden columns.

    Parameters
    ----------
    features : DataFrame, shape (n_patients, n_features)
        Columns that a model may learn from, with canonical names. Each holds floats, or strings with missing
        values.
    meta : DataFrame, shape (n_patients, 0 or 1)
        Column `site`, if the table has one.
    left_out : tuple of str
        Headers of the columns that reveal the stage or were recorded after staging.

    Examples
    --------
    >>> table = canonical_ehr(pd.DataFrame({"Age": ["61"], "Site": ["Seoul"]}, index=["p1"]))
    >>> table.features.columns.tolist(), table.meta.columns.tolist()
    (['age'], ['site'])
    """

    features: pd.DataFrame
    meta: pd.DataFrame
    left_out: tuple[str, ...]


def canonical_ehr(
    table: pd.DataFrame,
    *,
    allow_leaky: bool = False,
    file: object = None,
    notes: TableNotes | None = None,
) -> EhrTable:
    """Give the columns of a clinical table canonical names and units.

    Known headers are those of the official tables of NSCLC-Radiogenomics and LUNG1, the canonical names, and
    other common ones (see `mmfusion.data.tables.ehr_headers`), in upper or lower case. A column with another
    header keeps its header as its name. Seed points (seed_x, seed_y, seed_z) are no features.

    Parameters
    ----------
    table : DataFrame of str, shape (n_patients, n_columns)
        Index patient_id. Cells as in the file.
    allow_leaky : bool
        Keep T, N and M as `t_stage`, `n_stage`, `m_stage`. Use this to demonstrate leakage, never for a
        result.
    file : path, optional
        Named in errors.
    notes : TableNotes, optional
        Account of the table.

    Returns
    -------
    EhrTable
        Markers such as "Not Collected" and "N/A" are missing values. Ages are in years, weights in kg, and
        checkboxes are 0 or 1.

    Raises
    ------
    DataError
        If a cell is not the expected number or category (the error names patient, column and value), or if
        two columns have the same meaning.

    Examples
    --------
    >>> cells = {"Weight (lbs)": ["180"], "Gender": ["Male"], "Pathological T stage": ["T1a"]}
    >>> ehr = canonical_ehr(pd.DataFrame(cells, index=["p1"]))
    >>> ehr.features.round(1).loc["p1"].to_dict()
    {'weight': 81.6, 'sex': 'male'}
    >>> ehr.left_out
    ('Pathological T stage',)
    """
    features: dict[str, pd.Series] = {}
    meta: dict[str, pd.Series] = {}
    left_out: list[str] = []
    headers: dict[str, object] = {}  # canonical name -> header in the file

    def put(block: dict[str, pd.Series], name: str, cells: pd.Series, column: object) -> None:
        if name in headers:
            expected, got = f"one column of {name}", f"{headers[name]} and {column}"
            problem = "two columns mean the same"
            raise DataError(problem, file=file, column=column, expected=expected, got=got, hint="keep one")
        headers[name], block[name] = column, cells

    note_errors(table, file, notes)
    keys = {column: header_key(column) for column in table.columns}
    for column, key in keys.items():
        cells = clean_cells(table[column])
        if seed_header(column):
            leave_out(notes, [column], "a seed point")
        elif key in SITE_HEADERS:
            put(meta, "site", cells, column)
        elif allow_leaky and key in TNM_HEADERS:
            put(features, TNM_HEADERS[key], cells, column)
        elif known := known_column(column):
            name, convert = known
            put(features, name, convert(cells, column, file), column)
        elif key == "quit smoking year":
            put(features, "years_since_quit", years_since_quit(cells, table, keys, column, file), column)
        elif gives_stage_away(column):
            left_out.append(str(column))
        else:
            put(features, str(column).strip(), guess_column(cells, column, file, notes), column)
    leave_out(notes, left_out, "reveals the stage, or follows the diagnosis")
    index = table.index
    return EhrTable(pd.DataFrame(features, index=index), pd.DataFrame(meta, index=index), tuple(left_out))
