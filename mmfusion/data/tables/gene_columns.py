"""Gene names, and the columns of a table that hold them."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mmfusion.data.tables.files import header_key, id_column, row_number
from mmfusion.data.tables.gene_names import ENSEMBL, TRANSCRIPT
from mmfusion.data.tables.notes import TableNotes, leave_out, listed, note

# headers of gene names; symbols are preferred to ids
_SYMBOL_HEADERS = "gene symbol,symbol,hugo symbol,hgnc symbol,gene name,genename,gene,genes"
_ID_HEADERS = "gene id,geneid,ensembl gene id,ensembl id,ensembl,entrez gene id,entrez id,entrez"
_ABOUT = (
    "gene type,gene biotype,biotype,description,chromosome,chr,seqname,seqnames,start,end,strand,gene length"
    ",length,cytoband,locus,class,entrez gene id,entrez id,entrez,hgnc id"
)
GENE_HEADERS = (*_SYMBOL_HEADERS.split(","), *_ID_HEADERS.split(","))
# common symbols, enough to distinguish an axis of genes from an axis of patients
_SYMBOLS = """
ACTB AKT1 ALK APOE B2M BRAF BRCA1 BRCA2 CD4 CD8A CDK4 CDKN2A COL1A1 CTNNB1 EGFR ERBB2 ESR1 FOS FOXP3 GAPDH
HIF1A HLA-A IL6 JUN KIT KRAS MET MKI67 MTOR MYC NOTCH1 NRAS PDCD1 PIK3CA PTEN RB1 RET ROS1 SFTPB SFTPC STK11
TGFB1 TP53 TP63 TUBB VEGFA VIM
"""
_COMMON = frozenset(_SYMBOLS.split())
WHOLE = 5000  # genes in a table, below which its sum is not the library's


def gene_like(names: Iterable[object]) -> int:
    """Count the names that are common gene symbols, or Ensembl ids of genes or transcripts.

    >>> gene_like(["EGFR", "ENSG00000146648.18", "R01-001"])
    2
    """
    plain = (str(name).strip("'\" ").split("|")[0] for name in names)
    return sum(
        name in _COMMON or bool(ENSEMBL.fullmatch(name) or TRANSCRIPT.fullmatch(name)) for name in plain
    )


def naming(names: Iterable[object]) -> str:
    """Return how most of the genes are named: "Ensembl ids", "Entrez ids" or "gene symbols".

    >>> naming(["ENSG00000146648.18", "ENSG00000141510"]), naming(["EGFR", "TP53"]), naming(["1956"])
    ('Ensembl ids', 'gene symbols', 'Entrez ids')
    """
    names = list(map(str, names))
    ensembl, numbers = sum(bool(ENSEMBL.fullmatch(n)) for n in names), sum(n.isdigit() for n in names)
    if 2 * ensembl > len(names):
        return "Ensembl ids"
    return "Entrez ids" if 2 * numbers > len(names) else "gene symbols"


def about_genes(table: pd.DataFrame) -> list[str]:
    """Return the columns that hold names of genes or facts about them, by their headers.

    >>> about_genes(pd.DataFrame(columns=["Geneid", "Chr", "Start", "p1"]))
    ['Geneid', 'Chr', 'Start']
    """
    known = {*GENE_HEADERS, *_ABOUT.split(",")}
    return [c for c in table.columns if header_key(c) in known]


def one_gene_column(
    table: pd.DataFrame, file: object = None, notes: TableNotes | None = None
) -> pd.DataFrame:
    """Reduce the columns about genes to one column of gene names, which comes first.

    The name of a gene is its symbol, or its id if it has no symbol or shares it with another gene. Other
    columns about genes (a second id, type, chromosome, length) and rows without a name are dropped. The table
    is returned unchanged if its rows are patients, or if one column of genes is the only column about genes.

    Parameters
    ----------
    table : DataFrame, shape (n_genes, n_columns)
        Table with genes in rows, as read from a file.
    file : path, optional
        Named in warnings.
    notes : TableNotes, optional
        Account of the table.

    Returns
    -------
    DataFrame, shape (n_named_genes, 1 + n_patients)
        Gene names, then one column per patient.

    Examples
    --------
    >>> columns = {"gene_id": ["ENSG1", "ENSG2"], "symbol": ["EGFR", ""], "strand": ["+", "-"], "p1": [2, 3]}
    >>> one_gene_column(pd.DataFrame(columns)).to_dict("list")
    {'symbol': ['EGFR', 'ENSG2'], 'p1': [2, 3]}
    """
    ids, keys = id_column(table), {header_key(c): c for c in table.columns}
    if list(keys)[:2] == ["name", "description"]:  # a GCT: ids, and symbols or a text
        symbols = gene_like(table.iloc[:, 1].astype("str")) > 2
        names = ["gene id", "gene symbol" if symbols else "description"]
        table = table.set_axis([*names, *table.columns[2:]], axis=1)
        keys = {header_key(c): c for c in table.columns}
    named = [keys[h] for h in GENE_HEADERS if h in keys]
    if not named or (ids is not None and header_key(ids) not in {"id", ""}):
        return table
    if numbered := row_number(table):
        table = table.drop(columns=numbered)
    about = [c for c in about_genes(table) if c not in named]
    named += [] if ids is None or ids not in table else [ids]
    if len(named) + len(about) == 1 and table.columns[0] == named[0]:
        return table
    leave_out(notes, [*about, *named[1:]], "about the genes")
    names = table[named].astype("str").apply(lambda c: c.str.strip())
    names = names.mask(names.isin(["", "nan", "NA", "<NA>"]))
    copies = names.apply(lambda c: c.str.endswith("_PAR_Y", na=False)).any(axis=1)
    if copies.any():
        note(
            notes, f"second copies of genes on chromosome Y (PAR_Y) were not read: {int(copies.sum())}", file
        )
    chosen = _symbol_or_id(names[~copies], file, notes)
    rest = table[~copies].drop(columns=[*named, *about])
    rest.insert(0, named[0], chosen)
    if blank := int(chosen.isna().sum()):
        note(notes, f"genes without a name were not read: {blank}", file)
    return rest[chosen.notna()]


def _symbol_or_id(names: pd.DataFrame, file: object, notes: TableNotes | None) -> pd.Series:
    """Return the first name of each gene, or an Ensembl id if the first is not the only one of its kind."""
    others = names.iloc[:, 1:]  # a number is no name beside symbols
    others = others.mask(others.apply(lambda c: c.str.fullmatch(r"\d+(\.0)?", na=False)))
    first = pd.concat([names.iloc[:, :1], others], axis=1).bfill(axis=1).iloc[:, 0]
    ids = (
        names.where(names.apply(lambda c: c.str.fullmatch(ENSEMBL.pattern, na=False)))
        .bfill(axis=1)
        .iloc[:, 0]
    )
    shared = first.duplicated(keep=False) & ids.notna() & first.ne(ids)
    if shared.any():
        symbols = listed(first[shared].unique(), 3)
        text = (
            f"{int(shared.sum())} genes that share a symbol with another gene are named by their Ensembl id"
        )
        note(notes, f"{text}: {symbols}", file)
    return first.mask(shared, ids)
