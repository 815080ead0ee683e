"""Tables of genes and of health records, of one patient or of many, read with errors that say which cell is wrong."""

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
from mmfusion.data.targets.forbidden import gives_stage_away
from mmfusion.errors import DataError

_LOG = logging.getLogger(__name__)
_DEEP = re.compile(r"(pred|random\d+)_\d+")  # columns of a foundation model's features


def read_ehr(source: str | Path | pd.DataFrame, patient: str | None = None) -> pd.DataFrame:
    """Health records under canonical names, for one patient or many.

    Parameters
    ----------
    source : path or DataFrame
        A table with a row per patient and an id column; or, for one patient, a single row without an id, or two
        columns (name, value).
    patient : str, optional
        Give this patient only; for a table without ids, the id to use.

    Returns
    -------
    DataFrame, shape (n_patients, n_features)
        Index patient_id; what gives the stage away is left out (`mmfusion.data.targets.forbidden`).

    Raises
    ------
    DataError
        Naming file, patient, column and value; if the patient is not in the table.
    """
    return read_ehr_table(source, patient).features


def read_ehr_table(
    source: str | Path | pd.DataFrame, patient: str | None = None, *, allow_leaky: bool = False
) -> EhrTable:
    """As `read_ehr`, with what was set aside: site, and the columns left out."""
    file = None if isinstance(source, pd.DataFrame) else source
    table = source if file is None else read_table(source)
    if table.index.name == "patient_id":
        table = table.reset_index()
    table = table.drop(columns=deep_columns(table))  # which may stand in one file with the records
    return canonical_ehr(_of_patients(table, patient, file), allow_leaky=allow_leaky, file=file)


def read_features(source: str | Path, patient: str | None = None) -> pd.DataFrame:
    """Any other table of features: a row per patient, columns of numbers or of categories, by what most cells hold.

    Of a table with columns `pred_0`, `pred_1`, ... (features of a foundation model as fmcib writes them, beside paths,
    seeds, stage and outcome) only these are read.

    Parameters
    ----------
    source : path
        A table with an id column; for one patient, also a single row without.
    patient : str, optional
        As in `read_ehr`.

    Returns
    -------
    DataFrame, shape (n_patients, n_features)
        Index patient_id; float64 or str columns.

    Raises
    ------
    DataError
        Naming patient, column and value where a column of numbers holds something else.
    """
    table = _of_patients(read_table(source), patient, source)
    if deep := deep_columns(table):
        return _expression(table[deep].replace("", None), source, None)
    columns = {c: guess_column(clean_cells(table[c]), c, source) for c in table}
    return pd.DataFrame(columns, index=table.index)


def deep_columns(table: pd.DataFrame) -> list[str]:
    """Columns that a foundation model made: `pred_0`, `pred_1`, ..., or of random weights `random7_0`, ..."""
    found = [c for c in table.columns if _DEEP.fullmatch(str(c))]
    return found if len(found) > 1 else []


def read_rna(
    source: str | Path | pd.DataFrame,
    patient: str | None = None,
    *,
    patients: Collection[str] = (),
    genes: Collection[str] = (),
    unit: str | None = None,
) -> pd.DataFrame:
    """Gene expression, patients by genes, whichever way round the file has it.

    Parameters
    ----------
    source : path or DataFrame
        Patients x genes, genes x patients (ids in the first column or the index; of several columns about genes, the
        symbol is read), or for one patient two columns (gene, value).
    patient : str, optional
        Give this patient only; for a table of one patient without an id, the id to use.
    patients, genes : collections of str
        Names known from elsewhere; they decide which axis is which.
    unit : {"counts", "tpm", "fpkm", "log", "zscore"}, optional
        Negative values are an error in the first three.

    Returns
    -------
    DataFrame of float64, shape (n_patients, n_genes)
        Index patient_id; missing where a cell is empty.

    Raises
    ------
    DataError
        If the axes cannot be told apart, a gene or patient comes twice, a cell is no number, or is negative.
    """
    file = None if isinstance(source, pd.DataFrame) else source
    table = source if file is None else one_gene_column(read_table(source, numbers=True))
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
    """Two columns without patient ids: gene and value, the header itself being a gene where the file has none."""
    name, value = table.columns
    if (
        name and pd.to_numeric(pd.Series([value]), errors="coerce").notna().all()
    ):  # no header: its cells are the first gene
        first = pd.DataFrame([[name, float(value)]], columns=table.columns)
        table, value = pd.concat([first, table]), "value"
    generic = {"value", "expression", "count", "counts", "tpm", "fpkm", "zscore", "log", "x", "0", ""}
    owner = patient or ("patient" if header_key(value) in generic else value)
    return pd.DataFrame(
        table.iloc[:, [1]].to_numpy(), index=pd.Index(table.iloc[:, 0], name="gene"), columns=[owner]
    )


def _genes_are_rows(table: pd.DataFrame, patients: set[str], genes: set[str], file: object) -> bool:
    """Whether rows are genes; known names decide, then the header of the first column, then common symbols."""
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
            hint="head the first column patient_id or gene",
        )
    return turned > 0


def _genes_only(table: pd.DataFrame, file: object) -> pd.DataFrame:
    """Without columns of outcomes that travel with some published tables; symbols, in capitals, are left alone."""
    strays = [c for c in table.columns if gives_stage_away(c) and str(c) != str(c).upper()]
    if strays:
        _LOG.warning(
            "%s: no genes, and they tell the stage or follow it, left out: %s", file, ", ".join(strays)
        )
    return table.drop(columns=strays)


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
            "0 or more; name the unit log or zscore if it is that",
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
        hint = "head the column with the patients' ids patient_id"
        raise DataError(
            "no column of patient ids",
            file=file,
            expected="patient_id",
            got=", ".join(table.columns[:5]),
            hint=hint,
        )
    return table.set_axis(pd.Index([patient or "patient"], name="patient_id"))
