"""Reading of gene sets from a table that has a column per set, such as the functional groups of MCAT."""

from __future__ import annotations

from pathlib import Path

from mmfusion.data.tables.files import read_table
from mmfusion.data.tables.gene_dates import undo_dates
from mmfusion.data.tables.notes import TableNotes, listed, note
from mmfusion.errors import DataError


def read_gene_set_columns(path: str | Path, *, notes: TableNotes | None = None) -> dict[str, list[str]]:
    r"""Return the gene sets of a table: header of a column -> its genes, both in the order of the file.

    Each column is a set, and each cell below its header a gene. Columns may have different lengths. Names
    that a spreadsheet turned into dates are repaired if they can be only one gene, and left out if not.

    Parameters
    ----------
    path : path
        A table as `read_table` reads it: CSV or TSV, plain, gzipped or zipped.
    notes : TableNotes, optional
        Account of what was changed or left out; without one, the reader warns.

    Returns
    -------
    dict of list of str
        Each gene once per set. Columns without genes are left out, and noted.

    Raises
    ------
    DataError
        If the file cannot be read, or no column has a gene.

    References
    ----------
    Chen et al. 2021, ICCV (MCAT), whose six functional groups have this form.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "groups.csv"
    ...     _ = file.write_text("Oncogenes,Cytokines\nKRAS,IL6\nEGFR,\n")
    ...     read_gene_set_columns(file)
    {'Oncogenes': ['KRAS', 'EGFR'], 'Cytokines': ['IL6']}
    """
    table = read_table(path, notes=notes)
    sets = {}
    for name in table.columns:
        cells = [str(cell).strip() for cell in table[name].dropna()]
        genes = list(dict.fromkeys(cell for cell in cells if cell))
        undo_dates(genes, serials=False, file=path, notes=notes)
        sets[str(name)] = [gene for gene in genes if gene]
    if empty := [name for name, genes in sets.items() if not genes]:
        note(notes, f"columns without genes were not read: {listed(empty)}", path)
    sets = {name: genes for name, genes in sets.items() if genes}
    if not sets:
        raise DataError("no gene set in the table", file=path, expected="a column of genes per set")
    return sets
