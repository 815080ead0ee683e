"""Health records under one set of names: headers recognised, units converted, what gives the stage away left out."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mmfusion.data.tables.cells import clean_cells, guess_column
from mmfusion.data.tables.ehr_headers import SITE_HEADERS, TNM_HEADERS, known_column, years_since_quit
from mmfusion.data.tables.files import header_key
from mmfusion.data.targets.forbidden import gives_stage_away
from mmfusion.errors import DataError


@dataclass(frozen=True)
class EhrTable:
    """A clinical table sorted into what may be learned from and what may not.

    Parameters
    ----------
    features : DataFrame, shape (n_patients, n_features)
        Canonical columns: floats, or strings with missing values.
    meta : DataFrame, shape (n_patients, 0 or 1)
        `site`, where the table has it.
    left_out : tuple of str
        Columns of the table that tell the stage, or come after it.
    """

    features: pd.DataFrame
    meta: pd.DataFrame
    left_out: tuple[str, ...]


def canonical_ehr(table: pd.DataFrame, *, allow_leaky: bool = False, file: object = None) -> EhrTable:
    """Sort and convert a clinical table.

    The headers of the official tables of NSCLC-Radiogenomics and LUNG1, the canonical names themselves and other usual
    ones (`mmfusion.data.tables.ehr_headers`) are recognised, in any case; other columns are kept under their own names.

    Parameters
    ----------
    table : DataFrame of str, shape (n_patients, n_columns)
        Index patient_id; cells as in the file.
    allow_leaky : bool
        Keep T, N and M as `t_stage`, `n_stage`, `m_stage`: for showing what the leak does, never for a result.
    file : path, optional
        Named in errors.

    Returns
    -------
    EhrTable
        Missing markers ("Not Collected", "N/A", ...) are missing; weights are in kg; checkboxes are 0 and 1.

    Raises
    ------
    DataError
        Naming patient, column and value where a number or a known category was expected; on two columns that mean
        the same.
    """
    features: dict[str, pd.Series] = {}
    meta: dict[str, pd.Series] = {}
    left_out: list[str] = []
    headers: dict[str, object] = {}  # canonical name -> header in the file

    def put(block: dict[str, pd.Series], name: str, cells: pd.Series, column: object) -> None:
        if name in headers:
            got = f"{headers[name]} and {column}"
            raise DataError("two columns mean the same", file=file, column=column, expected=f"one column of {name}",
                            got=got, hint="keep one")  # fmt: skip
        headers[name], block[name] = column, cells

    keys = {column: header_key(column) for column in table.columns}
    for column, key in keys.items():
        cells = clean_cells(table[column])
        if key in SITE_HEADERS:
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
            put(features, str(column).strip(), guess_column(cells, column, file), column)
    index = table.index
    return EhrTable(pd.DataFrame(features, index=index), pd.DataFrame(meta, index=index), tuple(left_out))
