"""Names of genes, and the columns of a table that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from mmfusion.data.tables.files import header_key, id_column, row_number

# the symbol before what stands for it
_SYMBOL_HEADERS = "gene symbol,symbol,hugo symbol,hgnc symbol,gene name,genename,gene,genes"
_ID_HEADERS = "gene id,geneid,ensembl gene id,ensembl id,ensembl,entrez gene id,entrez id,entrez"
_ABOUT = "gene type,gene biotype,biotype,description,chromosome,chr,start,end,strand,gene length,length"
GENE_HEADERS = (*_SYMBOL_HEADERS.split(","), *_ID_HEADERS.split(","))
# enough common symbols to tell an axis of genes from one of patients
_SYMBOLS = """ACTB AKT1 ALK APOE B2M BRAF BRCA1 BRCA2 CD4 CD8A CDK4 CDKN2A COL1A1 CTNNB1 EGFR ERBB2 ESR1 FOS FOXP3 GAPDH
HIF1A HLA-A IL6 JUN KIT KRAS MET MKI67 MTOR MYC NOTCH1 NRAS PDCD1 PIK3CA PTEN RB1 RET ROS1 SFTPB SFTPC STK11 TGFB1 TP53
TP63 TUBB VEGFA VIM"""
_COMMON = frozenset(_SYMBOLS.split())
WHOLE = 5000  # genes in a table, below which its sum is not the library's
_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?")


def gene_like(names: Iterable[object]) -> int:
    """How many of the names are common gene symbols or Ensembl ids."""
    return sum(name in _COMMON or bool(_ENSEMBL.fullmatch(name)) for name in map(str, names))


def one_gene_column(table: pd.DataFrame) -> pd.DataFrame:
    """A table of genes in rows with one column of their names, first: the symbol, or the id where there is none.

    Other columns about genes (a second id, their type, chromosome, length) and rows without a name are dropped; a table
    with patients in rows, or with one column of genes and nothing about them, comes back as it is.
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
