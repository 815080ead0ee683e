"""Recognise the content of a table by its headers and values, or else by the name of the file."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.discovery.guess import Guess, Use
from mmfusion.data.discovery.id_columns import ENOUGH, column_of_known_ids, shared_ids
from mmfusion.data.discovery.own_output import own_clicks, own_features
from mmfusion.data.tables.cells import clean_cells
from mmfusion.data.tables.content import text_of
from mmfusion.data.tables.ehr_headers import SITE_HEADERS, is_known_header
from mmfusion.data.tables.excel import WORKBOOKS
from mmfusion.data.tables.files import by_patient, header_key, id_column, read_table
from mmfusion.data.tables.gene_columns import gene_like, one_gene_column
from mmfusion.data.tables.notes import TableNotes, listed
from mmfusion.data.tables.readers import deep_columns, read_rna
from mmfusion.data.tables.samples import value_columns
from mmfusion.data.tables.seed_headers import seed_header
from mmfusion.data.tables.seeds import seeds_of
from mmfusion.data.tables.stage_headers import closest_stage_header, stage_columns
from mmfusion.data.targets.forbidden import gives_stage_away
from mmfusion.errors import DataError
from mmfusion.modalities import modality_of_name

# .tab, .sf, .results, .counts and .gct: STAR, Salmon, RSEM, HTSeq, and the matrices of GenePattern and GTEx
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".sf", ".results", ".counts", ".gct", *WORKBOOKS)
_NO_TABLES = ("sj.out.tab", ".isoforms.results")  # beside the genes of STAR and RSEM
PROSE = "a text, no table"
PREFERRED_UNITS = ("tpm", "counts", "fpkm")  # of a file with a column of values in each
_FEATURE_WORDS = re.compile(
    r"radiomic|glcm|glrlm|firstorder|shape|(?<![a-z])ct(?![a-z])|(?<![a-z])pet(?![a-z])"
)
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]+(-[A-Z0-9]+)*|C\d+orf\d+")


def is_table(path: Path) -> bool:
    """Return True if the name of a file is that of a table, or the file is a ZIP of one table.

    Examples
    --------
    >>> [is_table(Path(name)) for name in ("genes.tsv.gz", "P1.htseq.counts.gz", "P1_ct.nii.gz")]
    [True, True, False]
    """
    suffixes = [s.lower() for s in path.suffixes]
    if path.name.startswith("~$"):  # Excel writes such a file while a workbook is open
        return False
    if path.name.lower().removesuffix(".gz").endswith(_NO_TABLES):
        return False
    if suffixes[-1:] == [".zip"]:
        try:
            with zipfile.ZipFile(path) as archive:
                names = [n for n in archive.namelist() if not n.endswith("/")]
        except zipfile.BadZipFile:
            return False
        return len(names) == 1 and Path(names[0].removesuffix(".zip")).suffix.lower() in TABLE_SUFFIXES
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return bool({*suffixes[-1:]} & set(TABLE_SUFFIXES))


def with_known_ids(guesses: Mapping[Path, Guess], others: Collection[str] = ()) -> dict[Path, Guess]:
    """Examine tables again whose ids are in no other table, if another column holds ids of the other tables.

    Parameters
    ----------
    guesses : mapping
        Path of each table -> what `sniff_table` found.
    others : collection of str
        Further names of patients, such as those of folders with scans.

    Returns
    -------
    dict
        The same paths; `Guess.id_column` names the column of a table that was examined again.
    """
    found = dict(guesses)
    for path, guess in guesses.items():
        known = {p for other, g in guesses.items() if other != path and g.uses for p in g.ids} or set(others)
        genes = any(use.modality == "rna" for use in guess.uses)
        if genes or guess.why == PROSE or not known or shared_ids(guess.ids, known) >= ENOUGH:
            continue
        try:
            table = read_table(path, notes=TableNotes())
        except DataError:
            continue
        column = column_of_known_ids(table, known)
        if column is not None and column != id_column(table):
            again = sniff_table(path, column)
            found[path] = replace(again, why=f"ids from {column!r}; {again.why}", id_column=column)
    return found


def sniff_table(path: Path, ids: str | None = None) -> Guess:
    """Return the uses of a table; one table may have both health records and stages.

    `ids` is the header of the column of patient ids, if it is known.
    """
    try:
        table = read_table(path, ids=ids, notes=TableNotes())
        units = tuple(sorted(value_columns(table), key=PREFERRED_UNITS.index))
        genes = _expression(path, table, next(iter(units), None)) if ids is None else None
        if genes is not None:
            unit, why = ("", f"values in {', '.join(units)}") if units else _unit(genes)
            ids = tuple(genes.index) if len(genes) > 1 or genes.index[0] != "patient" else ()
            return Guess(
                (Use("rna", "features"),),
                f"{genes.shape[1]} genes of {len(genes)} patients; {why}",
                ids,
                unit=unit,
                units=units,
            )
        ids = id_column(table)
        # the comma of a sentence makes two columns
        if ids is None and path.suffix.lower() == ".txt" and table.shape[1] < 3:
            return Guess((), PROSE)
        if ids is None:
            headers = ", ".join(map(str, table.columns[:4]))
            return Guess((), f"no column of patient ids among {headers}...: name one patient_id")
        return _by_headers(path, by_patient(table, ids, path, TableNotes()))
    except DataError as error:
        error.file = None  # the account names the file
        why = str(error).replace(" -> ", "; ")
        return Guess((), PROSE if _is_prose(path) else f"cannot be read: {why}")


def _is_prose(path: Path) -> bool:
    """Return True for a .txt file in which less than half of the lines have three cells."""
    if path.suffix.lower() != ".txt":
        return False
    try:
        lines = [line for line in text_of(path, TableNotes()).splitlines()[:200] if line.strip()]
    except DataError:
        return True
    return not any(0 < len(lines) <= 2 * sum(line.count(sep) > 1 for line in lines) for sep in "\t;|,")


def _by_headers(path: Path, table: pd.DataFrame) -> Guess:
    ids, uses, reasons, staged = tuple(table.index), [], [], ()
    if (own := own_features(path, ids)) is not None:
        return own
    if why := own_clicks(table) or _bare_points(table):
        return Guess((), why, ids)
    scan = modality_of_name(path.name).name
    seeds = seeds_of(table.columns, scan)
    for modality in seeds:
        uses.append(Use(modality, "seeds"))
        by_name = f" of {modality}" + (", by the file's name" if len(seeds) == 1 else "")
        reasons.append("seed points" + (by_name if modality != "ct" else ""))
    if stage := stage_columns(table):
        uses.append(Use("", "labels"))
        reasons.append(f"stage from {', '.join(stage)}")
        staged = tuple(table.index[table[stage].apply(clean_cells).notna().all(axis=1)])
    if deep := deep_columns(table):
        uses.append(Use("ct", "features"))
        reasons.append(f"{len(deep)} features of a foundation model")
    points = [c for c in table.columns if seed_header(c)]
    records = _records(table.drop(columns=[*deep, *stage, *points]), aside=bool(seeds or deep))
    if not uses and (records is None or records[0].spare) and _FEATURE_WORDS.search(path.name.lower()):
        why = f"{table.shape[1]} features of {scan}, by the file's name"
        return Guess((Use(scan, "features"),), why, ids)
    if records is not None:
        uses.insert(len(seeds), records[0])
        reasons.insert(len(seeds), records[1])
    why = "; ".join(reasons) or f"no column with features ({listed(table.columns, 12)})"
    closest = "" if stage else closest_stage_header(table.columns)
    return Guess(tuple(uses), why, ids, staged=staged, stage_like=closest)


def _bare_points(table: pd.DataFrame) -> str:
    """Return why a table is not used if its only columns are x, y and z; "" for others."""
    if sorted(map(header_key, table.columns)) != ["x", "y", "z"]:
        return ""
    return (
        "x, y, z: points in the tumours? if they are in LPS mm, as in DICOM, name them seed_x, seed_y, seed_z"
    )


def _records(table: pd.DataFrame, *, aside: bool) -> tuple[Use, str] | None:
    """Return the use of the health records in a table, and a list of the columns; None if there are none.

    If the table has seeds or deep features as well (`aside`), at least one column must be a known one.
    """
    known = [c for c in table.columns if is_known_header(c)]
    left_out = [c for c in table.columns if c not in known and gives_stage_away(c)]
    others = [c for c in table.columns if c not in {*known, *left_out} and header_key(c) not in SITE_HEADERS]
    if not known and (aside or not others):
        return None
    parts = {"recognised": known, "taken as they are": others, "left out": left_out}
    text = "; ".join(f"{what} {listed(columns, 12)}" for what, columns in parts.items() if columns)
    return Use("ehr", "features", spare=not known), f"records: {text}"


def _expression(path: Path, table: pd.DataFrame, unit: str | None) -> pd.DataFrame | None:
    """Return a table of patients x genes, or None if the table is not expression.

    `unit` chooses the column of values in a file of one sample. It is expression if an axis has known gene
    symbols, or patients have many columns that look like symbols.
    """
    symbols = sum(bool(_SYMBOL.fullmatch(str(c))) for c in table.columns)
    many = id_column(table) is not None and symbols >= max(30, 0.8 * table.shape[1])
    names = one_gene_column(table, notes=TableNotes()).iloc[:, 0].astype(str)
    if not many and gene_like(table.columns) < 3 and gene_like(names) < 3:
        return None
    return read_rna(path, unit=unit, notes=TableNotes())


def _unit(genes: pd.DataFrame) -> tuple[str, str]:
    """Return the unit of expression values, or "" if it is not clear, and the reason."""
    values = genes.to_numpy()
    known = values[~np.isnan(values)]
    if not len(known):
        return "", "no values"
    totals = np.nansum(values, axis=1)
    if (known >= 0).all() and np.allclose(totals, 1e6, rtol=0.01):
        return "tpm", "unit tpm: every patient sums to a million"
    if (known >= 0).all() and (known == np.round(known)).all() and known.max() > 100:
        return "counts", "unit counts: whole numbers"
    if len(genes) > 4 and (known < 0).any():
        filled = genes.loc[:, genes.notna().sum() > 4]
        centred = (filled.mean().abs() < 0.2).mean() > 0.9 and (
            (filled.std(ddof=0) - 1).abs() < 0.2
        ).mean() > 0.9
        if centred:
            return "zscore", "unit zscore: genes have mean 0 and deviation 1"
    return "", f"unit not clear from values between {known.min():.3g} and {known.max():.3g}"
