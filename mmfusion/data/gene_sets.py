"""Gene sets by name: the published signatures of this package, a user's own, or those of a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from mmfusion.data.tables.gene_set_columns import read_gene_set_columns
from mmfusion.data.tables.gmt import read_gmt
from mmfusion.errors import DataError, did_you_mean

GeneSets = Mapping[str, Iterable[str]]


def signature_sources() -> dict[str, str]:
    """Return the publication of each signature of the package.

    Examples
    --------
    >>> signature_sources()["cytolytic_activity"]
    'Rooney et al. 2015, Cell 160:48-61'
    """
    return {name: entry["source"] for name, entry in _published().items()}


def gene_sets(sets: GeneSets | str | Path | None = None) -> dict[str, list[str]]:
    """Return gene sets as a dict: name -> genes, each gene once.

    The signatures of the package are small sets that were typed from the literature:

    - hypoxia: genes that are transcribed together with known hypoxia genes in tumours [1]_; 49 of its 51.
    - t_cell_exhaustion: inhibitory receptors and regulators of exhausted T cells [2]_ [3]_.
    - cytolytic_activity: granzyme A and perforin [4]_.

    Parameters
    ----------
    sets : mapping, str, path, or None
        Name -> genes; or a file, GMT or a table with a column per set (.csv, .tsv); or names of the package's
        signatures, separated by commas. None: all signatures of the package.

    Raises
    ------
    DataError
        If a set has no genes, a name is no signature of the package, or the file cannot be read.

    References
    ----------
    .. [1] Buffa et al. 2010, British Journal of Cancer 102:428.
    .. [2] Wherry and Kurachi 2015, Nature Reviews Immunology 15:486.
    .. [3] Zheng et al. 2017, Cell 169:1342.
    .. [4] Rooney et al. 2015, Cell 160:48.

    Examples
    --------
    >>> list(gene_sets()), gene_sets("cytolytic_activity")
    (['hypoxia', 't_cell_exhaustion', 'cytolytic_activity'], {'cytolytic_activity': ['GZMA', 'PRF1']})
    >>> gene_sets({"RAS": ["KRAS", "NRAS", "KRAS"]})
    {'RAS': ['KRAS', 'NRAS']}
    """
    if sets is None:
        return {name: list(entry["genes"]) for name, entry in _published().items()}
    if isinstance(sets, str | Path):
        return _read(sets)
    if not isinstance(sets, Mapping) or not sets:
        got = type(sets).__name__ if not isinstance(sets, Mapping) else "no set"
        raise DataError("not gene sets", parameter="sets", expected="name -> genes, or a file", got=got)
    return {str(name): _genes(name, genes) for name, genes in sets.items()}


def _genes(name: object, genes: Iterable[str]) -> list[str]:
    """Return the genes of one set, each once."""
    several = isinstance(genes, Iterable) and not isinstance(genes, str)
    listed = list(dict.fromkeys(genes)) if several else []
    if not listed or not all(isinstance(gene, str) and gene for gene in listed):
        expected, got = "a list of gene symbols", repr(genes)[:60]
        raise DataError("not the genes of a set", parameter=f"sets[{name!r}]", expected=expected, got=got)
    return listed


def _read(source: str | Path) -> dict[str, list[str]]:
    """Return the sets of a file, or some signatures of the package."""
    suffixes = Path(source).suffixes
    if ".gmt" in suffixes:
        return read_gmt(source)
    if {".csv", ".tsv"} & set(suffixes):
        return read_gene_set_columns(source)
    if ".txt" in suffixes:  # Enrichr's GMT files and tables end so
        hint = "rename it to .gmt (a line per set) or .tsv (a column per set)"
        raise DataError("the form of these gene sets is not clear", file=source, hint=hint)
    known, names = gene_sets(), [name.strip() for name in str(source).split(",")]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or "the name of a file ends in .gmt, .csv or .tsv"
            raise DataError(
                f"no signature called {name!r}", parameter="sets", expected=", ".join(known), hint=hint
            )
    return {name: known[name] for name in names}


@cache
def _published() -> dict[str, dict]:
    return json.loads(files("mmfusion.data").joinpath("signatures.json").read_text(encoding="utf-8"))
