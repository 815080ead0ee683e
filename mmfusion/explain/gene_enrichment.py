"""Enrichment of gene sets among the ranked genes of a model, against the genes that the model tested."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.stats import false_discovery_control

from mmfusion.data.gene_sets import GeneSets, gene_sets
from mmfusion.data.tables.notes import listed
from mmfusion.errors import DataError, MMFusionError, check_seed, check_whole
from mmfusion.exclusive import own_filters
from mmfusion.metrics.checks import check_number

_FEWEST = 3  # genes; with fewer, no set can be told from chance
METHODS = ("ora", "prerank")


def enrichment(
    genes: pd.DataFrame,
    sets: GeneSets | str | Path,
    *,
    background: Collection[str] | None = None,
    method: str = "ora",
    n_top: int | None = None,
    fdr: float = 0.1,
    min_size: int = 5,
    max_size: int = 500,
    n_permutations: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Test which gene sets are enriched among the leading genes of a model (with gseapy, offline).

    A set with a small q is a candidate association. Both methods treat genes as independent of each other.
    But genes of a set are often correlated, and are then ranked high together. Then p is too small.

    Parameters
    ----------
    genes : DataFrame
        Ranked genes: index gene, columns `mean_abs_shap` and `q`, from `mmfusion.explain.genes`.
    sets : mapping, str or path
        Name of a set -> its genes; or a file, GMT (.gmt) or a table with a column per set (.csv, .tsv); or
        names of signatures of the package. See `mmfusion.data.gene_sets`. The genes are named as in the
        cohort.
    background : collection of str, optional
        For "ora": genes that could have been found. Default: the genes of the table, which are those that the
        model tested. If the background has other genes too, sets look enriched only because the model tested
        their genes.
    method : {"ora", "prerank"}
        "ora": over-representation among the leading genes, by the hypergeometric test. "prerank": gene set
        enrichment analysis of the whole ranking, without a threshold.
    n_top : int, optional
        For "ora": the leading genes are the first `n_top`. Default: those with q < `fdr`.
    fdr : float
        For "ora": false discovery rate of the leading genes, 0 to 1.
    min_size, max_size : int
        Sets with fewer or more genes of the background are not tested, nor is a set of all genes.
    n_permutations, random_state : int
        For "prerank": permutations of genes, and their seed.

    Returns
    -------
    DataFrame
        One row per tested set, smallest p first; index `set`. Columns: `n` (genes of the set that were
        tested), `found` (leading genes in the set), `p`, `q` (Benjamini and Hochberg over all tested sets),
        `genes` (found, separated by spaces); and for "ora" `expected` (found by chance), for "prerank" `es`
        and `nes` (enrichment score, and the same relative to chance). A set with a negative score is not at
        the top of the ranking: its p is 1.
        `attrs["not_tested"]` is the number of sets that were too small or too large.

    Raises
    ------
    DataError
        If an argument is out of range, a gene has no importance or all have the same, the sets cannot be
        read, no set has enough of the tested genes, fewer than three genes lead, or a gene has no q and
        `n_top` is not given.
    MMFusionError
        If gseapy is not installed.

    References
    ----------
    Fang et al. 2023, Bioinformatics 39:btac757 (gseapy); Subramanian et al. 2005, PNAS 102:15545. On
    correlated genes: Goeman and Buehlmann 2007, Bioinformatics 23:980.

    Examples
    --------
    >>> size = np.linspace(1, 0.1, 30)
    >>> table = pd.DataFrame({"mean_abs_shap": size, "q": np.nan}, [f"G{i}" for i in range(30)])
    >>> sets = {"first": ["G0", "G1", "G2", "G3", "G4"], "last": ["G25", "G26", "G27", "G28", "G29"]}
    >>> enrichment(table, sets, n_top=5)[["n", "found", "expected"]].loc["first"].to_dict()
    {'n': 5.0, 'found': 5.0, 'expected': 0.8333333333333334}
    """
    _check_table(genes)
    _check_options(method, n_top, fdr, min_size, max_size)
    check_whole("n_permutations", n_permutations)
    check_seed(random_state)
    ranking = genes["mean_abs_shap"].sort_values(ascending=False, kind="stable")
    tested = _background(ranking, background)
    tested = list(map(str, ranking.index)) if method == "prerank" else tested  # others have no rank
    source = sets if isinstance(sets, str | Path) else None
    kept, not_tested = _tested_sets(gene_sets(sets), tested, min_size, max_size, source)
    if method == "prerank":
        out = _prerank(ranking, kept, n_permutations, random_state)
    else:
        out = _over_representation(_leading(genes, ranking, n_top, fdr), kept, tested)
    out["q"] = false_discovery_control(out["p"])
    out.attrs["not_tested"] = not_tested
    return out.rename_axis("set").sort_values("p", kind="stable")


def _over_representation(
    leading: list[str], sets: Mapping[str, list[str]], tested: list[str]
) -> pd.DataFrame:
    found = _gseapy().enrich(leading, dict(sets), background=tested, outdir=None, no_plot=True).results
    found = pd.DataFrame(found).reindex(columns=["Term", "P-value"]).set_index("Term")["P-value"]
    names, overlap = list(sets), {name: [g for g in leading if g in set(sets[name])] for name in sets}
    n = np.array([len(sets[name]) for name in names])
    # gseapy leaves out sets without a leading gene; they were tested too, with p = 1
    return pd.DataFrame(
        {
            "n": n,
            "found": [len(overlap[name]) for name in names],
            "expected": n * len(leading) / len(tested),
            "p": found.reindex(names).fillna(1.0).to_numpy(dtype=float),
            "q": np.nan,
            "genes": [" ".join(overlap[name]) for name in names],
        },
        index=names,
    )


def _prerank(
    ranking: pd.Series, sets: Mapping[str, list[str]], n_permutations: int, seed: int
) -> pd.DataFrame:
    options = {"permutation_num": n_permutations, "seed": seed, "threads": 1, "outdir": None, "no_plot": True}
    with own_filters("ignore"):  # gseapy warns of ties; the sizes of the sets were checked
        run = _gseapy().prerank(ranking, dict(sets), min_size=1, max_size=len(ranking), **options)
    found = run.res2d.set_index("Term").reindex(list(sets))
    es, p = found["ES"].astype(float), found["NOM p-val"].astype(float)
    return pd.DataFrame(
        {
            "n": [len(genes) for genes in sets.values()],
            "found": [len(str(genes).split(";")) for genes in found["Lead_genes"]],
            "es": es,
            "nes": found["NES"].astype(float),
            "p": p.clip(lower=1 / (1 + n_permutations)).where(es > 0, 1.0),
            "q": np.nan,
            "genes": found["Lead_genes"].str.replace(";", " "),
        }
    )


def _leading(genes: pd.DataFrame, ranking: pd.Series, n_top: int | None, fdr: float) -> list[str]:
    """Return the leading genes, most important first."""
    if n_top is None and genes["q"].isna().any():
        hint = "n_top=20, or genes(..., null=(X_train, y_train))"
        which = "" if genes["q"].isna().all() else f" of {listed(genes.index[genes['q'].isna()])}"
        problem = f"no q{which}, so the leading genes are unknown"
        raise DataError(problem, column="q", expected="numbers", hint=hint)
    chosen = ranking.index if n_top is None else ranking.index[:n_top]
    leading = [str(g) for g in chosen if n_top is not None or genes.at[g, "q"] < fdr]
    if not _FEWEST <= len(leading) < len(ranking):
        raise DataError(
            "enrichment is not estimable: too few or too many leading genes",
            expected=f"{_FEWEST} or more, and fewer than all {len(ranking)}",
            got=len(leading),
            hint="method='prerank' needs no leading genes",
        )
    return leading


def _tested_sets(
    sets: Mapping[str, list[str]], tested: list[str], min_size: int, max_size: int, source: str | Path | None
) -> tuple[dict[str, list[str]], int]:
    """Return the sets with their tested genes, and the number of sets that are too small or too large."""
    known = set(tested)
    inside = {name: [g for g in genes if g in known] for name, genes in sets.items()}
    most = min(max_size, len(tested) - 1)  # no other gene ranks below a set of all genes
    kept = {name: genes for name, genes in inside.items() if min_size <= len(genes) <= most}
    if kept:
        return kept, len(inside) - len(kept)
    largest = max((len(genes) for genes in inside.values()), default=0)
    examples = next(iter(sets.values()))[:3]
    raise DataError(
        "no gene set has enough of the tested genes",
        file=source,
        expected=f"{min_size} to {max_size} genes such as {listed(tested, 3)}",
        got=f"at most {largest}; the sets have genes such as {listed(examples) or 'none'}",
        hint="sets and cohort must name genes in the same way; smaller sets need a smaller min_size",
    )


def _background(ranking: pd.Series, background: Collection[str] | None) -> list[str]:
    tested = list(map(str, ranking.index if background is None else dict.fromkeys(background)))
    absent = set(map(str, ranking.index)) - set(tested)
    if absent:
        raise DataError(
            "genes of the table are not in the background",
            parameter="background",
            expected="all tested genes",
            got=f"without {listed(sorted(absent))}",
        )
    return tested


def _check_table(genes: pd.DataFrame) -> None:
    if absent := [c for c in ("mean_abs_shap", "q") if not isinstance(genes, pd.DataFrame) or c not in genes]:
        raise DataError("not a table of genes", column=", ".join(absent), expected="mmfusion.explain.genes")
    for column in ("mean_abs_shap", "q"):
        if not is_numeric_dtype(genes[column]):
            raise DataError("not numbers", column=column, expected="numbers", got=genes[column].dtype)
    if not genes.index.is_unique:
        twice = genes.index[genes.index.duplicated()]
        raise DataError("a gene occurs twice", column=listed(twice))
    if len(genes) < 2 * _FEWEST:
        raise DataError("too few genes were tested", expected=f"{2 * _FEWEST} or more", got=len(genes))
    if not np.isfinite(genes["mean_abs_shap"].to_numpy(dtype=float, na_value=np.nan)).all():
        raise DataError("a gene has no importance", column="mean_abs_shap", expected="finite numbers")
    if genes["mean_abs_shap"].nunique() == 1:
        raise DataError(
            "enrichment is not estimable: all genes have the same importance",
            column="mean_abs_shap",
            expected="values that differ",
            got=genes["mean_abs_shap"].iloc[0],
        )


def _check_options(method: str, n_top: int | None, fdr: float, min_size: int, max_size: int) -> None:
    if method not in METHODS:
        raise DataError("unknown method", parameter="method", expected=" or ".join(METHODS), got=method)
    if n_top is not None:
        check_whole("n_top", n_top)
    check_number("fdr", fdr)
    if not 0 < fdr <= 1:
        raise DataError("not a false discovery rate", parameter="fdr", expected="above 0, at most 1", got=fdr)
    check_whole("max_size", max_size)
    check_whole("min_size", min_size, 0)
    if not 1 <= min_size <= max_size:
        raise DataError(
            "not a size of a set", parameter="min_size", expected=f"1 to {max_size}", got=min_size
        )


def _gseapy() -> object:
    try:
        with own_filters("ignore"):  # its dependencies warn at import
            import gseapy
    except ImportError as error:
        raise MMFusionError("gseapy is not installed", hint="pip install 'mmfusion[enrichment]'") from error
    return gseapy
