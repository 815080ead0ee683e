"""The patients with a scan, as rows that an `Extractor` reads; of a cohort, or a table in fmcib's format."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.load import load_cohort
from mmfusion.data.tables.cells import to_numbers
from mmfusion.data.tables.files import by_patient, header_key, id_column, read_table
from mmfusion.data.tables.seeds import seed_columns
from mmfusion.errors import DataError
from mmfusion.modalities import IMAGING, RESERVED, SEED


def rows_with_scans(source: Cohort | str | Path, modality: str, root: str | Path | None) -> pd.DataFrame:
    """Return the scans, masks and seeds of the patients who have a scan of a modality.

    Parameters
    ----------
    source : Cohort, path or str
        A cohort, a manifest, or the name of a known cohort; or a table in fmcib's format.
    modality : {"ct", "pet"}
        Modality of the scan.
    root : path, optional
        Folder that the paths in the manifest or table are relative to. Default: the folder of that file.

    Returns
    -------
    DataFrame
        Index patient_id; column levels `(modality, feature)`, the reserved columns of all scans.

    Raises
    ------
    DataError
        If no patient has a scan of this modality.
    """
    table = None if isinstance(source, Cohort) else _fmcib_table(source, root)
    if table is not None:
        name, rows = source, pd.concat({"ct": table}, axis=1)
    else:
        cohort = source if isinstance(source, Cohort) else load_cohort(source, root=root)
        name, table = cohort.name, cohort.table
        if (modality, "volume") not in table:
            raise DataError("no scans in this cohort", file=name, expected=f"a column ({modality}, volume)")
        kept = [(m, column) for m, column in table.columns if m in IMAGING and column in RESERVED]
        rows = table.loc[table[modality, "volume"].notna(), kept]
    if rows.empty:
        raise DataError("no patient has a scan", file=name)
    return rows


def _fmcib_table(path: str | Path, root: str | Path | None) -> pd.DataFrame | None:
    """Return scans and seeds of a table in fmcib's format; None if it is not such a table."""
    path = Path(path)
    if not path.is_file():
        return None
    table = read_table(path)
    columns = {header_key(c): c for c in table.columns} | seed_columns(table.columns, "ct")
    if "image path" not in columns or not set(SEED) <= set(columns):
        return None
    ids = id_column(table)
    if ids is None:
        hint = "name the column with the patients' ids patient_id"
        raise DataError("no column of patient ids", file=path, expected="patient_id", hint=hint)
    table = by_patient(table, ids, path)
    out = pd.DataFrame({c: to_numbers(table[columns[c]].replace("", None), columns[c], path) for c in SEED})
    folder = path.parent if root is None else Path(root)
    out.insert(
        0, "volume", [str(folder / name) if name.strip() else None for name in table[columns["image path"]]]
    )
    return out[out["volume"].notna()]
