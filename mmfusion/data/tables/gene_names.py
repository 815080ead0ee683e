"""Names of genes as they stand in tables: versions, several ids, dates of a spreadsheet, numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mmfusion.data.tables.gene_dates import undo_dates
from mmfusion.data.tables.notes import TableNotes, listed, note
from mmfusion.data.tables.summaries import summaries
from mmfusion.errors import DataError

ENSEMBL = re.compile(r"(ENS[A-Z]*G\d{11})(\.\d+)?(_PAR_Y)?")
TRANSCRIPT = re.compile(r"ENS[A-Z]*T\d{11}(\.\d+)?")
_TWO_NAMES = re.compile(r"(?P<first>[^|\s]+)\|[^|]+|(?P<symbol>\S+) \((\d+|ENSG\d+)\)")
_INTEGER, _NUMBER = re.compile(r"\d+(\.0+)?"), re.compile(r"[+-]?\d*\.?\d+([eE][+-]?\d+)?")


def clean_genes(names: Sequence[object], file: object = None, notes: TableNotes | None = None) -> list[str]:
    """Return the names of genes as they are used; "" for a name that is no gene and must be left out.

    Versions of Ensembl ids are removed, "EGFR|1956" is EGFR, and quotation marks around a name are removed.
    Left out, and noted, are names of summaries, copies of a gene on chromosome Y (PAR_Y), empty names, and
    dates (`mmfusion.data.tables.gene_dates`), unless they can be one gene only.

    Parameters
    ----------
    names : sequence of str
        Names in the file.
    file : path, optional
        Named in errors.
    notes : TableNotes, optional
        Account of the table.

    Raises
    ------
    DataError
        If two names are the same gene, a name is a number, or the names are those of transcripts.

    Examples
    --------
    >>> notes = TableNotes()
    >>> clean_genes(["ENSG00000146648.18", "ENSG00000141510", "1-Mar"], notes=notes)
    ['ENSG00000146648', 'ENSG00000141510', '']
    >>> notes.texts[0]
    'a spreadsheet turned names of genes into dates, which were not read: 1-Mar (MARCHF1 or MTARC1)'
    """
    before = [_unquoted(str(name)) for name in names]
    if sum(bool(TRANSCRIPT.fullmatch(name)) for name in before) * 2 > len(before):
        hint = "add up the transcripts of each gene, for instance with tximport"
        raise DataError(
            "transcripts, not genes", file=file, expected="one row per gene", got=before[0], hint=hint
        )
    after = list(before)
    _drop(after, set(summaries(before, genes=True)), "names that are no genes were not read", file, notes)
    _drop(
        after,
        {
            name
            for name in before
            if (ENSEMBL.fullmatch(name) and "_PAR_Y" in name) or name.startswith("ENSGR0")
        },
        "second copies of genes on chromosome Y (PAR_Y) were not read",
        file,
        notes,
    )
    _numbers_and_dates(after, file, notes)
    if blank := before.count(""):
        note(notes, f"genes without a name were not read: {blank}", file)
    after = _plain(after, file, notes)
    _no_gene_twice(before, after, file)
    return after


def _unquoted(name: str) -> str:
    name = name.strip()
    while len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1].strip()
    return "" if name.lower() in ("nan", "na", "n/a", "none", "<na>") else name


def _drop(names: list[str], found: set[str], why: str, file: object, notes: TableNotes | None) -> None:
    """Replace the names in `found` by "", in place, and note them."""
    if found := [name for name in names if name in found]:
        note(notes, f"{why}: {listed(found)}", file)
        names[:] = ["" if name in set(found) else name for name in names]


def _numbers_and_dates(names: list[str], file: object, notes: TableNotes | None) -> None:
    """Replace the names that are dates, in place; refuse numbers unless all names are Entrez ids."""
    filled = [name for name in names if name]
    entrez = sum(bool(_INTEGER.fullmatch(name)) for name in filled)
    undo_dates(names, serials=2 * entrez < len(filled), file=file, notes=notes)
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    if not numbers:
        return
    if len(numbers) == len(filled) == entrez:
        note(notes, "the genes are named by numbers, which are read as Entrez ids", file)
        names[:] = [name.split(".")[0] for name in names]
        return
    raise DataError(
        "a number in the place of a gene's name",
        file=file,
        column=listed(numbers),
        expected="symbols, Ensembl ids, or Entrez ids of all genes",
        hint="check that the columns have not moved, or name the gene",
    )


def _plain(names: list[str], file: object, notes: TableNotes | None) -> list[str]:
    """Return the names without a second name, and without versions."""
    names = _first_names(names, file, notes)
    ensembl = [ENSEMBL.fullmatch(name) for name in names]
    if versions := sum(bool(found and found[2]) for found in ensembl):
        note(notes, f"versions of Ensembl ids (.5 in ENSG00000000005.5) were removed: {versions}", file)
    names = [found[1] if found else name for found, name in zip(ensembl, names, strict=True)]
    ids = sum(map(bool, ensembl))
    if ids and (others := sum(map(bool, names)) - ids):
        text = f"genes are named by Ensembl ids ({ids}) and by other names ({others})"
        note(notes, f"{text}: another table matches only if it names them in the same way", file)
    return names


def _first_names(names: list[str], file: object, notes: TableNotes | None) -> list[str]:
    """Return "EGFR" for "EGFR|1956"; of two genes with one symbol, each keeps both names."""
    found = [_TWO_NAMES.fullmatch(name) for name in names]
    if not any(found):
        return names
    first = [(f["first"] or f["symbol"]) if f else name for f, name in zip(found, names, strict=True)]
    counts = Counter(first)
    first = [whole if counts[name] > 1 else name for name, whole in zip(first, names, strict=True)]
    first = ["" if name.startswith("?") else name for name in first]
    text = "genes with two names (EGFR|1956) are named by the first, and were not read if it is ?"
    note(notes, f"{text}: {sum(map(bool, found))}", file)
    return first


def _no_gene_twice(before: list[str], after: list[str], file: object) -> None:
    twice = [name for name, n in Counter(after).items() if n > 1 and name]
    if twice:
        spelled = [old for old, new in zip(before, after, strict=True) if new == twice[0]]
        raise DataError(
            "a gene occurs twice",
            file=file,
            column=listed(twice),
            got=f"{len(twice)} such genes; {twice[0]} as {listed(spelled)}",
            hint="keep one row per gene: add up counts, or keep the row with the higher mean",
        )
