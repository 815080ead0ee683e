"""Reading of gene-expression tables; an error names the cell that is wrong."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from mmfusion.data.tables.ehr_headers import SITE_HEADERS, known_column
from mmfusion.data.tables.files import (
    ID_HEADERS,
    find_patient,
    header_key,
    id_column,
    no_duplicates,
    read_table,
)
from mmfusion.data.tables.gene_columns import GENE_HEADERS, gene_like, one_gene_column
from mmfusion.data.tables.gene_names import clean_genes
from mmfusion.data.tables.notes import TableNotes, listed, note
from mmfusion.data.tables.plausible import remarks
from mmfusion.data.tables.samples import check_value_header, is_value_header, one_value_column
from mmfusion.data.tables.summaries import without_summaries
from mmfusion.data.tables.values import numeric_table
from mmfusion.data.targets.forbidden import gives_stage_away
from mmfusion.errors import DataError

_BAM = re.compile(r"(.+?)(Aligned)?([._](sorted(ByCoord)?|out|dedup|markdup))*\.[bs]am", re.IGNORECASE)


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
        columns about genes, the symbol is read. For one patient, it may also be two columns (gene, value), or
        a file with several columns of values (of the GDC, RSEM, Salmon), of which `unit` chooses one.
    patient : str, optional
        Return this patient only. If a table of one patient has no id, this is the patient's id.
    patients, genes : collections of str
        Known ids and gene names. They decide which axis holds the genes.
    unit : {"counts", "tpm", "fpkm", "log", "zscore"}, optional
        A negative value is an error in counts, tpm and fpkm; improbable values are noted.
    sheet : str, optional
        Sheet of an Excel workbook.
    ids : str, optional
        Header of the column of patient ids, if it is not one of the usual headers.
    notes : TableNotes, optional
        Account that the reader fills; without one, it warns.

    Returns
    -------
    DataFrame of float64, shape (n_patients, n_genes)
        Index patient_id. A value is missing where the cell is empty or says so. Rows and columns that are no
        gene and no patient are left out and noted (`mmfusion.data.tables.gene_names`).

    Raises
    ------
    DataError
        If it is not clear which axis holds the genes, if a gene or patient occurs twice, if a cell is not a
        number or is negative, or if the unit does not choose a column of values.

    Examples
    --------
    >>> table = pd.DataFrame({"p1": [1.0, 2.5], "p2": [4.0, 5.0]}, index=["TP53", "EGFR"])
    >>> read_rna(table).loc["p1"].to_dict()
    {'TP53': 1.0, 'EGFR': 2.5}
    """
    file = None if isinstance(source, pd.DataFrame) else source
    if file is None:
        found = id_column(source)
        table = source if found is None else source.set_index(found)
    else:
        table = read_table(source, numbers=True, sheet=sheet, ids=ids, notes=notes)
        table = one_gene_column(one_value_column(table, unit, file, notes), file, notes)
        table = _indexed(table, patient, unit, file)
    known = {*patients, *([patient] if patient else [])}
    if _genes_are_rows(table, known, set(genes), file):
        table = table.T
    table.index = _patient_names(table.index, file, notes)
    table = without_summaries(table, file, notes, known=known)
    no_duplicates(table.index, "patient", file)
    if table.empty:
        raise DataError("no patients and genes", file=file, got="{} patients, {} genes".format(*table.shape))
    table = _genes_only(table, file, notes)
    table = table if patient is None else table.loc[[find_patient(patient, table.index, file)]]
    table = numeric_table(table.rename_axis("patient_id").rename_axis(None, axis=1), file, unit)
    for text in remarks(table, unit):
        note(notes, text, file)
    return table


def _indexed(table: pd.DataFrame, patient: str | None, unit: str | None, file: object) -> pd.DataFrame:
    """Return a table from a file with the names of its rows as the index."""
    ids = id_column(table)
    if table.shape[1] == 2 and ids is None:
        return _gene_value(table, patient, unit, file)
    if ids is None and len(table) == 1 and pd.to_numeric(table.iloc[:, 0], errors="coerce").notna().all():
        return table.set_axis([patient or "patient"])
    return table.set_index(ids or table.columns[0])


def _gene_value(table: pd.DataFrame, patient: str | None, unit: str | None, file: object) -> pd.DataFrame:
    """Turn two columns (gene, value) into a table with genes in rows and one column for the patient."""
    name, value = table.columns
    check_value_header(value, unit, file)
    # if the file has no header, its first line is a gene and was read as the header
    if name and pd.to_numeric(pd.Series([value]), errors="coerce").notna().all():
        first = pd.DataFrame([[name, float(value)]], columns=table.columns)
        table, value = pd.concat([first, table]), "value"
    owner = patient or ("patient" if is_value_header(value) else value)
    return pd.DataFrame(
        table.iloc[:, [1]].to_numpy(), index=pd.Index(table.iloc[:, 0], name="gene"), columns=[owner]
    )


def _patient_names(names: pd.Index, file: object, notes: TableNotes | None) -> pd.Index:
    """Return the patients' names without spaces around them, and without path and suffix of a BAM file."""
    before = [str(name).strip() for name in names]
    if nameless := [k for k, name in enumerate(before) if name in ("", "nan")]:
        got = f"{len(nameless)} of {len(before)}, the first is number {nameless[0] + 1}"
        raise DataError("a patient has no id", file=file, expected="an id for each patient", got=got)
    after = [_without_bam(name) for name in before]
    if changed := [f"{a} for {b}" for a, b in zip(after, before, strict=True) if a != b]:
        note(notes, f"names of alignment files are read as names of patients: {listed(changed, 3)}", file)
    return pd.Index(after, dtype=object if not after else None)


def _without_bam(name: str) -> str:
    if not name.lower().endswith((".bam", ".sam")) or len(name) > 500:
        return name
    found = _BAM.fullmatch(PurePosixPath(name.replace("\\", "/")).name)
    return (found[1].rstrip("._-") or name) if found else name


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


def _genes_only(table: pd.DataFrame, file: object, notes: TableNotes | None) -> pd.DataFrame:
    """Return the columns that are genes, with clean names; columns about the patients are left out."""
    if about := [c for c in table.columns if _about_patients(str(c))]:
        note(notes, f"columns that are no genes were not read: {listed(about)}", file)
        table = table.drop(columns=about)
    names = clean_genes(table.columns, file, notes)
    kept = np.array([bool(name) for name in names], dtype=bool)
    if not kept.any():
        raise DataError("no genes", file=file, got=listed(table.columns) or "no columns")
    if not kept.all():
        table = table.loc[:, kept]
    return table.set_axis([name for name in names if name], axis=1)


def _about_patients(name: str) -> bool:
    """Return True for a health record or an outcome; names in capitals are gene symbols."""
    if name == name.upper():
        return False
    known = known_column(name)
    return (
        gives_stage_away(name)
        or header_key(name) in SITE_HEADERS
        or (known is not None and known[0] not in ("egfr", "kras", "alk"))
    )
