"""Reading of gene sets from GMT files, such as those of MSigDB and Reactome."""

from __future__ import annotations

import re
from pathlib import Path

from mmfusion.data.tables.content import text_of
from mmfusion.data.tables.gene_dates import undo_dates
from mmfusion.data.tables.notes import TableNotes, listed, note
from mmfusion.errors import DataError

_LINE = "name, description and genes, separated by tabs"
_WEIGHT = re.compile(r",[+-]?[\d.]+$")  # Enrichr writes "EGFR,1.0"


def read_gmt(path: str | Path, *, notes: TableNotes | None = None) -> dict[str, list[str]]:
    r"""Return the gene sets of a GMT file: name of the set -> its genes, both in the order of the file.

    Each line of a GMT file has the name of a set, a description, and the genes, separated by tabs. The
    description is not kept. A gene that is listed twice in a set is kept once. A weight after a gene, as in
    "EGFR,1.0", is removed. Names that a spreadsheet turned into dates are repaired if they can be only one
    gene (`mmfusion.data.tables.gene_dates`), and left out if not.

    Parameters
    ----------
    path : path
        File in GMT format, plain or gzipped, or the only file in a ZIP.
    notes : TableNotes, optional
        Account of what was changed or left out; without one, the reader warns.

    Returns
    -------
    dict of list of str
        Sets without genes are left out, and noted.

    Raises
    ------
    DataError
        If there is no such file, it is not text, a line has fewer than three cells, a set has no name, two
        sets have the same name, or no set has genes.

    References
    ----------
    Subramanian et al. 2005, PNAS 102:15545; the format is described in the documentation of GSEA.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "sets.gmt"
    ...     _ = file.write_text("RAS\tsignalling\tEGFR\tKRAS\nREPAIR\tNA\tBRCA1\n")
    ...     read_gmt(file)
    {'RAS': ['EGFR', 'KRAS'], 'REPAIR': ['BRCA1']}
    """
    path = Path(path)
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(text_of(path, notes).splitlines(), start=1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        name = cells[0]
        _check(name, cells, number, sets, path)
        genes = list(dict.fromkeys(_WEIGHT.sub("", cell) for cell in cells[2:] if cell))
        sets[name] = genes
    sets = _without_dates(sets, path, notes)
    if empty := [name for name, genes in sets.items() if not genes]:
        note(notes, f"gene sets without genes were not read: {listed(empty)}", path)
    sets = {name: genes for name, genes in sets.items() if genes}
    if not sets:
        raise DataError("no gene set in the file", file=path, expected=_LINE)
    return sets


def _check(name: str, cells: list[str], number: int, sets: dict[str, list[str]], path: Path) -> None:
    """Raise an error if a line is no gene set, or its name was used before."""
    if len(cells) < 3:
        hint = "a list of genes is no GMT file: give each set its own line"
        got = f"{len(cells)} cell{'s' * (len(cells) > 1)} in line {number}"
        raise DataError("not a gene set", file=path, expected=_LINE, got=got, hint=hint)
    if not name:
        raise DataError("a gene set without a name", file=path, expected=_LINE, got=f"line {number}")
    if name in sets:
        got, hint = f"{name}, again in line {number}", "rename one of the two sets, or join them"
        raise DataError("two gene sets have the same name", file=path, got=got, hint=hint)


def _without_dates(sets: dict[str, list[str]], path: Path, notes: TableNotes | None) -> dict[str, list[str]]:
    """Return the sets with genes in the place of dates; they are noted once for all sets."""
    before = list(dict.fromkeys(gene for genes in sets.values() for gene in genes))
    after = list(before)
    undo_dates(after, serials=False, file=path, notes=notes)
    if after == before:
        return sets
    new = dict(zip(before, after, strict=True))
    return {name: [new[gene] for gene in genes if new[gene]] for name, genes in sets.items()}
