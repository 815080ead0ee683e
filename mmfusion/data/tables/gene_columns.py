"""Gene names, and the columns of a table that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from mmfusion.data.tables.files import header_key, id_column, row_number

# headers of gene names; symbols are preferred to ids
_SYMBOL_HEADERS = "gene symbol,symbol,hugo symbol,hgnc symbol,gene name,genename,gene,genes"
_ID_HEADERS = "gene id,geneid,ensembl gene id,ensembl id,ensembl,entrez gene id,entrez id,entrez"
_ABOUT = "gene type,gene biotype,biotype,description,chromosome,chr,start,end,strand,gene length,length"
GENE_HEADERS = (*_SYMBOL_HEADERS.split(","), *_ID_HEADERS.split(","))
# common symbols, enough to distinguish an axis of genes from an axis of patients
_SYMBOLS = """
ACTB AKT1 ALK APOE B2M BRAF BRCA1 BRCA2 CD4 CD8A CDK4 CDKN2A COL1A1 CTNNB1 EGFR ERBB2 ESR1 FOS FOXP3 GAPDH
HIF1A HLA-A IL6 JUN KIT KRAS MET MKI67 MTOR MYC NOTCH1 NRAS PDCD1 PIK3CA PTEN RB1 RET ROS1 SFTPB SFTPC STK11
TGFB1 TP53 TP63 TUBB VEGFA VIM
"""
_COMMON = frozenset(_SYMBOLS.split())
WHOLE = 5000  # genes in a table, below which its sum is not the library's
_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?")


def gene_like(names: Iterable[object]) -> int:
    """Count the names that are common gene symbols or Ensembl ids.

    >>> gene_like(["EGFR", "ENSG00000146648.18", "R01-001"])
    2
    """
    return sum(name in _COMMON or bool(_ENSEMBL.fullmatch(name)) for name in map(str, names))


def naming(names: Iterable[object]) -> str:
    """Return how most of the genes are named: "Ensembl ids", "Entrez ids" or "gene symbols".

    >>> naming(["ENSG00000146648.18", "ENSG00000141510"]), naming(["EGFR", "TP53"]), naming(["1956"])
    ('Ensembl ids', 'gene symbols', 'Entrez ids')
    """
    names = list(map(str, names))
    ensembl, numbers = sum(bool(_ENSEMBL.fullmatch(n)) for n in names), sum(n.isdigit() for n in names)
    if 2 * ensembl > len(names):
        return "Ensembl ids"
    return "Entrez ids" if 2 * numbers > len(names) else "gene symbols"


def one_gene_column(table: pd.DataFrame) -> pd.DataFrame:
    """Reduce the columns about genes to one column of gene names, which comes first.

    The name of a gene is its symbol, or its id if it has no symbol. Other columns about genes (a second id,
    type, chromosome, length) and rows without a name are dropped. The table is returned unchanged if its rows
    are patients, or if one column of genes is the only column about genes.

    Parameters
    ----------
    table : DataFrame, shape (n_genes, n_columns)
        Table with genes in rows, as read from a file.

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
    named = [keys[h] for h in GENE_HEADERS if h in keys]
    if not named or (ids is not None and header_key(ids) not in {"id", ""}):
        return table
    table = table.drop(columns=row_number(table))
    about = [keys[h] for h in _ABOUT.split(",") if h in keys and h not in GENE_HEADERS]
    named += [] if ids is None else [ids]
    if len(named) + len(about) == 1 and table.columns[0] == named[0]:
        return table
    names = table[named].astype("str").apply(lambda c: c.str.strip())
    names = names.mask(names.isin(["", "nan", "NA", "<NA>"])).bfill(axis=1).iloc[:, 0]
    rest = table.drop(columns=[*named, *about])
    rest.insert(0, named[0], names)
    return rest[names.notna()]
