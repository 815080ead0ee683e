"""Tables of labels: stage, T, N and M, mutation status, expression of a panel."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mmfusion.data.tables.cells import clean_cells, to_numbers
from mmfusion.data.tables.ehr_headers import known_column
from mmfusion.data.tables.files import by_patient, id_column, read_table
from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.tables.stage_headers import ACCEPTED, stage_columns, tnm_columns
from mmfusion.data.targets.ajcc import stage_group
from mmfusion.data.targets.expression import PREFIX
from mmfusion.data.targets.stage import TNM, normalise_stage
from mmfusion.errors import DataError

MOLECULAR = ("egfr", "kras")


def read_outcomes(
    path: Path,
    edition: int = 7,
    *,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> pd.DataFrame:
    """Read the outcomes of each patient from a table of labels.

    Parameters
    ----------
    path : path
        A table with patient ids and at least one of: a stage or T, N and M; a status of EGFR or KRAS ("EGFR
        mutation status"); `expression_<gene>`. Other columns are not read.
    edition : {7, 8, 9}
        AJCC edition. If the table has no stage, its T, N and M are turned into a stage by this edition.
    sheet : str, optional
        Sheet of an Excel workbook.
    ids : str, optional
        Header of the column of patient ids, if it is not one of the usual headers.
    notes : TableNotes, optional
        Account that the reader fills; without one, it warns.

    Returns
    -------
    DataFrame, shape (n_patients, n_outcomes)
        Index patient_id. Columns: those of `stage`, `t`, `n`, `m`, `egfr`, `kras`, `expression_<gene>` that
        the table has. A value is missing if the cell is empty or says that the value is unknown.

    Raises
    ------
    DataError
        If the table has no outcome, two columns are the same outcome, or a stage, T, N, M or number cannot be
        read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "labels.csv"
    ...     pd.DataFrame({"patient_id": ["p1", "p2"], "pStage": ["IA", "IIIB"]}).to_csv(file, index=False)
    ...     read_outcomes(file)["stage"].to_dict()
    {'p1': 'IA', 'p2': 'IIIB'}
    """
    table = read_table(path, sheet=sheet, ids=ids, notes=notes)
    ids = id_column(table)
    if ids is None:
        raise DataError(
            "no column of patient ids", file=path, expected="patient_id", got=", ".join(table.columns[:5])
        )
    table = by_patient(table, ids, path)
    outcomes = _stages(table, edition, path)
    outcomes |= dict(zip(TNM, (clean_cells(table[c]) for c in tnm_columns(table)), strict=False))
    outcomes |= _statuses(table, path)
    outcomes |= {
        str(c): to_numbers(clean_cells(table[c]), c, path) for c in table if str(c).startswith(PREFIX)
    }
    if not outcomes:
        raise DataError(
            "no stage, and no other outcome",
            file=path,
            expected=f"a column {ACCEPTED}; or EGFR status, KRAS status",
            got=", ".join(table.columns[:5]),
        )
    return pd.DataFrame(outcomes, index=table.index)


def _stages(table: pd.DataFrame, edition: int, path: Path) -> dict[str, pd.Series]:
    columns = stage_columns(table)
    if not columns:
        return {}
    cells = table[columns].apply(clean_cells)
    return {"stage": cells.apply(lambda row: _stage(row, edition, path), axis=1).astype("str")}


def _stage(row: pd.Series, edition: int, path: Path) -> str | None:
    if row.isna().any():
        return None
    if len(row) == 3:
        try:
            return stage_group(*row, edition=edition)
        except DataError as error:
            error.patient, error.file = row.name, path
            raise
    stage = normalise_stage(row.iloc[0])
    if stage is None:
        where = {"patient": row.name, "file": path, "column": row.index[0]}
        raise DataError("not a stage group", **where, expected="0, IA, ..., IV", got=repr(row.iloc[0]))
    return stage


def _statuses(table: pd.DataFrame, path: Path) -> dict[str, pd.Series]:
    """Return the mutation statuses as recorded; the targets check their spelling."""
    found: dict[str, object] = {}
    for column in table.columns:
        name = (known_column(column) or ("",))[0]
        if name in MOLECULAR:
            if name in found:
                got = f"{found[name]} and {column}"
                raise DataError(f"two columns of {name}", file=path, column=column, got=got, hint="keep one")
            found[name] = column
    return {name: clean_cells(table[column]) for name, column in found.items()}
