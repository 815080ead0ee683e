"""Patients of files by a sample sheet of the GDC, whose files are named by random ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from mmfusion.data.discovery.guess import Guess
from mmfusion.data.tables.files import header_key, read_table
from mmfusion.data.tables.notes import TableNotes
from mmfusion.errors import DataError

_NAME = re.compile(r"(sample|case)[ _.-]?sheet", re.IGNORECASE)
_MANIFEST = re.compile(r"(gdc_manifest.*|manifest)\.txt", re.IGNORECASE)  # of the GDC's download client
NORMAL = "normal tissue, by the sample sheet"


def sheets_of(tables: Iterable[Path]) -> dict[Path, dict[str, tuple[str, bool]]]:
    r"""Return the sample sheets among tables: name of a file -> its patient, and whether it is normal tissue.

    A sample sheet has the columns File Name and Case ID. The manifests of the GDC's download client, which
    list files without patients, are returned with no files.

    Parameters
    ----------
    tables : iterable of path
        All tables of a folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sheet = Path(folder) / "gdc_sample_sheet.tsv"
    ...     text = "File Name\tCase ID\tSample Type\na1.tsv\tTCGA-05-4000\tPrimary Tumor\n"
    ...     _ = sheet.write_text(text)
    ...     sheets_of([sheet])[sheet]
    {'a1.tsv': ('TCGA-05-4000', False)}
    """
    found = {}
    for path in tables:
        if not (_NAME.search(path.name) or _MANIFEST.fullmatch(path.name)):
            continue
        try:
            table = read_table(path, notes=TableNotes())
        except DataError:  # the account of the tables names the error
            continue
        columns = {header_key(c): table[c].astype(str) for c in table.columns}
        if {"file name", "case id"} <= set(columns):
            kinds = [columns[k] for k in ("sample type", "tissue type") if k in columns]
            cases = [{part.strip() for part in text.split(",")} for text in columns["case id"]]
            normal = [any("normal" in kind.iloc[k].lower() for kind in kinds) for k in range(len(table))]
            rows = zip(columns["file name"], cases, normal, strict=True)
            found[path] = {name: (case.pop(), tissue) for name, case, tissue in rows if len(case) == 1}
        elif {"filename", "md5", "size"} <= set(columns):
            found[path] = {}
    return found


def with_owners(guesses: Mapping[Path, Guess], owners: Mapping[str, tuple[str, bool]]) -> dict[Path, Guess]:
    """Return the guesses of files, with the patients that a sample sheet states; normal tissue is not used.

    Examples
    --------
    >>> guess = {Path("a1.tsv"): Guess((), "40 genes of 1 patients")}
    >>> with_owners(guess, {"a1.tsv": ("TCGA-05-4000", False)})[Path("a1.tsv")].patient_hint
    'TCGA-05-4000'
    """
    stated = {}
    for path, guess in guesses.items():
        patient, normal = owners.get(path.name, ("", False))
        if normal:
            stated[path] = Guess((), NORMAL)
        else:
            stated[path] = replace(guess, patient_hint=patient) if patient and not guess.ids else guess
    return stated
