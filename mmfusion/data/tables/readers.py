"""Readers of gene-expression and health-record tables; an error names the cell that is wrong."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.tables.cells import clean_cells, guess_column
from mmfusion.data.tables.ehr import EhrTable, canonical_ehr
from mmfusion.data.tables.files import (
    ID_HEADERS,
    by_patient,
    find_patient,
    header_key,
    id_column,
    no_duplicates,
    read_table,
)
from mmfusion.data.tables.gene_columns import GENE_HEADERS, gene_like, one_gene_column
from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.targets.forbidden import gives_stage_away
from mmfusion.errors import DataError

_LOG = logging.getLogger(__name__)
_DEEP = re.compile(r"(pred|random\d+)_\d+")  # headers of a foundation model's features


def read_ehr(
    source: str | Path | pd.DataFrame,
    patient: str | None = None,
    *,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> pd.DataFrame:
    """Read health records of one patient or many, with canonical column names.

    Parameters
    ----------
    source : path or DataFrame
        A table with a row per patient and a column of ids. For one patient, it may also be a single row
        without an id, or two columns (name, value).
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
    DataFrame, shape (n_patients, n_features)
        Index patient_id. Columns that reveal the stage are left out (see `mmfusion.data.targets.forbidden`).

    Raises
    ------
    DataError
        If a cell cannot be read (the error names file, patient, column and value), or if the patient is not
        in the table.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["p1", "p2"], "Age (yrs)": ["61", "N/A"], "Gender": ["F", "M"]})
    >>> read_ehr(table, "p1").loc["p1"].to_dict()
    {'age': 61.0, 'sex': 'female'}
    """
    return read_ehr_table(source, patient, sheet=sheet, ids=ids, notes=notes).features


def read_ehr_table(
    source: str | Path | pd.DataFrame,
    patient: str | None = None,
    *,
    allow_leaky: bool = False,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> EhrTable:
    """Read health records like `read_ehr`; return the site and the headers of dropped columns as well.

    `allow_leaky` is passed to `canonical_ehr`.

    Examples
    --------
    >>> table = read_ehr_table(pd.DataFrame({"patient_id": ["p1"], "Age": ["61"], "pStage": ["IA"]}))
    >>> table.features.columns.tolist(), table.left_out
    (['age'], ('pStage',))
    """
    file = None if isinstance(source, pd.DataFrame) else source
    table = source if file is None else read_table(source, ids=ids)
    if table.index.name == "patient_id":
        table = table.reset_index()
    table = table.drop(columns=deep_columns(table))  # a file may hold them beside the records
    return canonical_ehr(_of_patients(table, patient, file), allow_leaky=allow_leaky, file=file)


def read_features(
    source: str | Path,
    patient: str | None = None,
    *,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> pd.DataFrame:
    """Read a table of imaging features or other features, with a row per patient.

    A column is numeric if most of its cells are numbers, otherwise it is categorical. If the table has
    columns `pred_0`, `pred_1`, ... then only these are read. They are features of a foundation model, which
    fmcib writes beside paths, seeds, stage and outcome.

    Parameters
    ----------
    source : path
        A table with a column of ids. For one patient, it may also be a single row without an id.
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
    DataFrame, shape (n_patients, n_features)
        Index patient_id. Columns are float64 or str.

    Raises
    ------
    DataError
        If a cell of a numeric column is not a number. The error names patient, column and value.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "ct_features.csv"
    ...     pd.DataFrame({"patient_id": ["p1", "p2"], "volume": [2.5, 4.0]}).to_csv(file, index=False)
    ...     read_features(file)["volume"].to_dict()
    {'p1': 2.5, 'p2': 4.0}
    """
    table = _of_patients(read_table(source, ids=ids), patient, source)
    if deep := deep_columns(table):
        return _expression(table[deep].replace("", None), source, None)
    columns = {c: guess_column(clean_cells(table[c]), c, source) for c in table}
    return pd.DataFrame(columns, index=table.index)


def deep_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns with features of a foundation model: `pred_0`, `pred_1`, ...

    Features of a model with random weights are named `random7_0`, `random7_1`, ... and are returned too.

    >>> deep_columns(pd.DataFrame(columns=["path", "pred_0", "pred_1"]))
    ['pred_0', 'pred_1']
    """
    found = [c for c in table.columns if _DEEP.fullmatch(str(c))]
    return found if len(found) > 1 else []


def read_rna(
    source: str | Path | pd.DataFrame,
    patient: str | None = None,
    *,
    patients: Collection[str] = (),
    genes: Collection[str] = (),
    unit: str | None = None,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> pd.DataFrame:
    """Read gene expression into a table with patients in rows and genes in columns.

    Parameters
    ----------
    source : path or DataFrame
        Patients x genes or genes x patients, with ids in the first column or the index. If there are several
        columns about genes, the symbol is read. For one patient, it may also be two columns (gene, value).
    patient : str, optional
        Return this patient only. If a table of one patient has no id, this is the patient's id.
    patients, genes : collections of str
        Known ids and gene names. They decide which axis holds the genes.
    unit : {"counts", "tpm", "fpkm", "log", "zscore"}, optional
        A negative value is an error in counts, tpm and fpkm.
    sheet : str, optional
        Sheet of an Excel workbook.
    ids : str, optional
        Header of the column of patient ids, if it is not one of the usual headers.
    notes : TableNotes, optional
        Account that the reader fills; without one, it warns.

    Returns
    -------
    DataFrame of float64, shape (n_patients, n_genes)
        Index patient_id. A value is missing where the cell is empty.

    Raises
    ------
    DataError
        If it is not clear which axis holds the genes, if a gene or patient occurs twice, or if a cell is not
        a number or is negative.

    Examples
    --------
    >>> table = pd.DataFrame({"p1": [1.0, 2.5], "p2": [4.0, 5.0]}, index=["TP53", "EGFR"])
    >>> read_rna(table).loc["p1"].to_dict()
    {'TP53': 1.0, 'EGFR': 2.5}
    """
    file = None if isinstance(source, pd.DataFrame) else source
    table = source if file is None else one_gene_column(read_table(source, numbers=True, ids=ids))
    if file is not None and table.shape[1] == 2 and id_column(table) is None:
        table = _gene_value(table, patient)
    elif file is None and (ids := id_column(table)) is not None:
        table = table.set_index(ids)
    elif file is not None:
        ids = id_column(table)
        if ids is None and len(table) == 1 and pd.to_numeric(table.iloc[:, 0], errors="coerce").notna().all():
            table = table.set_axis([patient or "patient"])
        else:
            table = table.set_index(ids or table.columns[0])
    known = [*patients, *([patient] if patient else [])]
    if _genes_are_rows(table, set(known), set(genes), file):
        table = table.T
    table.index = table.index.map(lambda v: str(v).strip())
    no_duplicates(table.index, "patient", file)
    no_duplicates(table.columns, "column", file)
    table = _genes_only(table, file)
    table = table if patient is None else table.loc[[find_patient(patient, table.index, file)]]
    return _expression(table.rename_axis("patient_id").rename_axis(None, axis=1), file, unit)


def _gene_value(table: pd.DataFrame, patient: str | None) -> pd.DataFrame:
    """Turn two columns (gene, value) into a table with genes in rows and one column for the patient."""
    name, value = table.columns
    # if the file has no header, its first line is a gene and was read as the header
    if name and pd.to_numeric(pd.Series([value]), errors="coerce").notna().all():
        first = pd.DataFrame([[name, float(value)]], columns=table.columns)
        table, value = pd.concat([first, table]), "value"
    generic = {"value", "expression", "count", "counts", "tpm", "fpkm", "zscore", "log", "x", "0", ""}
    owner = patient or ("patient" if header_key(value) in generic else value)
    return pd.DataFrame(
        table.iloc[:, [1]].to_numpy(), index=pd.Index(table.iloc[:, 0], name="gene"), columns=[owner]
    )


def _genes_are_rows(table: pd.DataFrame, patients: set[str], genes: set[str], file: object) -> bool:
    """Return True if rows are genes: known names decide, then the first header, then common gene symbols."""
    rows, columns = {str(v).strip() for v in table.index}, {str(v).strip() for v in table.columns}
    as_is = len(rows & patients) + len(columns & genes)
    turned = len(columns & patients) + len(rows & genes)
    if not (as_is or turned):
        header = header_key(table.index.name)
        as_is, turned = int(header in ID_HEADERS), int(header in GENE_HEADERS)
    if not (as_is or turned):
        as_is, turned = gene_like(columns), gene_like(rows)
    if bool(as_is) == bool(turned):
        raise DataError(
            "cannot tell genes from patients",
            file=file,
            expected="patients x genes, or genes x patients",
            got=f"rows {', '.join(sorted(rows)[:3])}..., columns {', '.join(sorted(columns)[:3])}...",
            hint="name the first column patient_id or gene",
        )
    return turned > 0


def _genes_only(table: pd.DataFrame, file: object) -> pd.DataFrame:
    """Drop the outcome columns of some published tables; names in capitals are gene symbols and stay."""
    outcomes = [c for c in table.columns if gives_stage_away(c) and str(c) != str(c).upper()]
    if outcomes:
        _LOG.warning(
            "%s: left out columns that are not genes and reveal the stage: %s", file, ", ".join(outcomes)
        )
    return table.drop(columns=outcomes)


def _expression(table: pd.DataFrame, file: object, unit: str | None) -> pd.DataFrame:
    cells = table.to_numpy()
    if not np.issubdtype(cells.dtype, np.number):
        cells = pd.to_numeric(cells.ravel(), errors="coerce").reshape(table.shape)
    values = cells.astype("float64")
    bad = (np.isnan(values) & ~table.isna().to_numpy()) | np.isinf(values)
    problem, expected = "not a number", "a number"
    if not bad.any() and unit in {"counts", "tpm", "fpkm"}:
        bad, problem, expected = (
            values < 0,
            f"a negative value in {unit}",
            "0 or more; set the unit to log or zscore if the values are logarithms or z-scores",
        )
    if bad.any():
        row, column = np.argwhere(bad)[0]
        got = repr(table.iat[row, column])
        raise DataError(
            problem,
            patient=table.index[row],
            file=file,
            column=table.columns[column],
            expected=expected,
            got=got,
        )
    return pd.DataFrame(values, index=table.index, columns=table.columns)


def _of_patients(table: pd.DataFrame, patient: str | None, file: object) -> pd.DataFrame:
    ids = id_column(table)
    if ids is None:
        return _single_row(table, patient, file)
    table = by_patient(table, ids, file)
    return table if patient is None else table.loc[[find_patient(patient, table.index, file)]]


def _single_row(table: pd.DataFrame, patient: str | None, file: object) -> pd.DataFrame:
    if table.shape[1] == 2 and len(table) > 1:  # (name, value); the header may be the first pair
        pairs = [] if header_key(table.columns[1]) == "value" else [tuple(table.columns)]
        pairs += list(table.itertuples(index=False, name=None))
        no_duplicates([name for name, _ in pairs], "column", file)
        table = pd.DataFrame([dict(pairs)])
    if len(table) != 1:
        hint = "name the column of patient ids patient_id"
        raise DataError(
            "no column of patient ids",
            file=file,
            expected="patient_id",
            got=", ".join(table.columns[:5]),
            hint=hint,
        )
    return table.set_axis(pd.Index([patient or "patient"], name="patient_id"))
