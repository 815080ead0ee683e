"""Seed points in tables: points in the tumour, in LPS mm."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mmfusion.data.tables.cells import clean_cells, to_numbers
from mmfusion.data.tables.files import read_table
from mmfusion.data.tables.notes import TableNotes, leave_out
from mmfusion.data.tables.readers import rows_of_patients
from mmfusion.data.tables.seed_headers import seed_header
from mmfusion.errors import DataError
from mmfusion.modalities import SEED


def seed_columns(columns: Iterable[object], modality: str) -> dict[str, object]:
    """Return seed_x, seed_y, seed_z -> column, for the seeds of one modality.

    A column that names the modality is preferred to one that names none.

    Examples
    --------
    >>> seed_columns(["id", "coordX", "coordY", "coordZ"], "ct")
    {'seed_x': 'coordX', 'seed_y': 'coordY', 'seed_z': 'coordZ'}
    >>> seed_columns(["seed_x", "pet_seed_x"], "pet"), seed_columns(["pet_seed_x"], "ct")
    ({'seed_x': 'pet_seed_x'}, {})
    """
    found: dict[str, object] = {}
    for wanted in (modality, ""):
        for column in columns:
            header = seed_header(column)
            if header is not None and header[0] == wanted:
                found.setdefault(f"seed_{header[1]}", column)
    return found


def seeds_of(columns: Iterable[object], by_name: str) -> list[str]:
    """Return the modalities of which a table has seeds; columns that name none are of `by_name`.

    Examples
    --------
    >>> seeds_of(["seed_x", "seed_y", "seed_z", "pet_seed_x"], "ct"), seeds_of(["age"], "ct")
    (['ct', 'pet'], [])
    """
    headers = [header for column in columns if (header := seed_header(column)) is not None]
    return list(dict.fromkeys(modality or by_name for modality, _ in sorted(headers)))


def read_seeds(
    path: Path,
    modality: str,
    patient: str | None = None,
    *,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> pd.DataFrame:
    r"""Read the seed points of a modality; other columns of the table are not read.

    Parameters
    ----------
    path : path
        A table with a column of ids and three columns of coordinates (LPS mm). For one patient, it may also
        be a single row without an id.
    modality : {"ct", "pet"}
        Modality of the scans in which the points are.
    patient : str, optional
        Return this patient only. If the table has no ids, this is the patient's id.
    sheet : str, optional
        Sheet of an Excel workbook.
    ids : str, optional
        Header of the column of patient ids, if it is not one of the usual headers.
    notes : TableNotes, optional
        Account that the reader fills; without one, it warns.

    Returns
    -------
    DataFrame of float64, shape (n_patients, 3)
        Index patient_id, columns seed_x, seed_y, seed_z (LPS mm).

    Raises
    ------
    DataError
        If the table lacks one of the three columns, or a cell is not a number.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "seeds.csv"
    ...     _ = file.write_text("patient_id,age,coordX,coordY,coordZ\np1,60,-55,12.5,-140\n")
    ...     read_seeds(file, "ct").loc["p1"].to_dict()
    {'seed_x': -55.0, 'seed_y': 12.5, 'seed_z': -140.0}
    """
    table = rows_of_patients(read_table(path, sheet=sheet, ids=ids, notes=notes), patient, path, notes)
    columns = seed_columns(table.columns, modality)
    if absent := [name for name in SEED if name not in columns]:
        expected = f"{', '.join(SEED)} in LPS mm"
        raise DataError("not seed points", file=path, column=", ".join(absent), expected=expected)
    leave_out(notes, [c for c in table.columns if c not in columns.values()], "not a seed point")
    return pd.DataFrame(
        {name: to_numbers(clean_cells(table[columns[name]]), name, path) for name in SEED}, index=table.index
    )
