"""What a table holds, told by its headers and values, and by its name where they do not tell."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.assemble import SEED_HEADERS, stage_columns
from mmfusion.data.ehr_headers import is_known_header
from mmfusion.data.files import by_patient, header_key, id_column, read_table
from mmfusion.data.guess import PET_WORDS, Guess, Use
from mmfusion.data.tables import deep_columns, gene_like, read_rna
from mmfusion.errors import DataError

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
_FEATURE_WORDS = re.compile(r"radiomic|glcm|glrlm|firstorder|shape|(?<![a-z])ct(?![a-z])|(?<![a-z])pet(?![a-z])")
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]+(-[A-Z0-9]+)*|C\d+orf\d+")


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name, or a ZIP of one."""
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes[-1:] == [".zip"]:
        try:
            with zipfile.ZipFile(path) as archive:
                names = [n for n in archive.namelist() if not n.endswith("/")]
        except zipfile.BadZipFile:
            return False
        return len(names) == 1 and Path(names[0].removesuffix(".zip")).suffix.lower() in TABLE_SUFFIXES
    return bool({*suffixes[-1:], *(suffixes[-2:-1] if suffixes[-1:] == [".gz"] else [])} & set(TABLE_SUFFIXES))


def sniff_table(path: Path) -> Guess:
    """What a table holds, by its headers and values; one table may hold both records and stages."""
    try:
        table = read_table(path)
        genes = _expression(path, table)
        if genes is not None:
            unit, told = _unit(genes)
            ids = tuple(genes.index) if len(genes) > 1 or genes.index[0] != "patient" else ()
            return Guess(
                (Use("rna", "features"),), f"{genes.shape[1]} genes of {len(genes)} patients; {told}", ids, unit=unit
            )
        ids = id_column(table)
        if ids is None:
            headers = ", ".join(map(str, table.columns[:4]))
            return Guess((), f"no column of patient ids among {headers}...: head one patient_id")
        return _by_headers(path, by_patient(table, ids, path))
    except DataError as error:
        return Guess((), f"cannot be read: {error}")


def _by_headers(path: Path, table: pd.DataFrame) -> Guess:
    ids, keys = tuple(table.index), {header_key(c) for c in table.columns}
    uses, told = [], []
    if set(SEED_HEADERS) & keys:
        uses.append(Use("ct", "seeds"))
        told.append("seed points")
    if known := [c for c in table.columns if is_known_header(c)]:
        uses.append(Use("ehr", "features"))
        told.append(f"records: {', '.join(map(str, known[:4]))}")
    if stage := stage_columns(table):
        uses.append(Use("", "labels"))
        told.append(f"stage from {', '.join(stage)}")
    if deep := deep_columns(table):
        uses.append(Use("ct", "features"))
        told.append(f"{len(deep)} features of a foundation model")
    if not uses and _FEATURE_WORDS.search(path.as_posix().lower()):
        modality = "pet" if PET_WORDS.search(path.name.lower()) else "ct"
        return Guess((Use(modality, "features"),), f"{table.shape[1]} features of {modality}, by the file's name", ids)
    why = "; ".join(told) or f"none of its columns is known ({', '.join(map(str, table.columns[:4]))}...)"
    return Guess(tuple(uses), why, ids)


def _expression(path: Path, table: pd.DataFrame) -> pd.DataFrame | None:
    """Patients x genes, if an axis of the table has gene names, or patients have many columns that look like them."""
    symbols = sum(bool(_SYMBOL.fullmatch(str(c))) for c in table.columns)
    many = id_column(table) is not None and symbols >= max(30, 0.8 * table.shape[1])
    if not many and gene_like(table.columns) < 3 and gene_like(table.iloc[:, 0].astype(str)) < 3:
        return None
    return read_rna(path)


def _unit(genes: pd.DataFrame) -> tuple[str, str]:
    """Unit of expression values where they leave no doubt, and what told."""
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
        centred = (filled.mean().abs() < 0.2).mean() > 0.9 and ((filled.std(ddof=0) - 1).abs() < 0.2).mean() > 0.9
        if centred:
            return "zscore", "unit zscore: genes have mean 0 and deviation 1"
    return "", f"unit not clear from values between {known.min():.3g} and {known.max():.3g}"
