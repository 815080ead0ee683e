"""Stability of gene importances over folds, and over resamples of the patients who were explained."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, check_seed, check_whole
from mmfusion.explain.attributions import GeneAttribution


def mean_over_folds(importances: Sequence[pd.Series]) -> pd.DataFrame:
    """Return the mean importance of each gene over folds, largest first.

    A gene that was not selected in a fold has importance 0 in this fold.

    Parameters
    ----------
    importances : sequence of Series
        One Series of importances per fold, index gene (`GeneAttribution.mean_abs()`).

    Returns
    -------
    DataFrame
        One row per gene. Columns: `mean` and `sd` over folds; `folds` (number of folds that selected the
        gene).

    Raises
    ------
    DataError
        If there is no fold.

    Examples
    --------
    >>> mean_over_folds([pd.Series({"EGFR": 0.4, "KRAS": 0.1}), pd.Series({"EGFR": 0.2})])["mean"].to_dict()
    {'EGFR': 0.30000000000000004, 'KRAS': 0.05}
    """
    if not len(importances):
        raise DataError("no importances of genes", expected="those of one fold or more", got="none")
    wide = pd.concat(list(importances), axis=1, keys=range(len(importances)))
    filled = wide.fillna(0.0)
    out = pd.DataFrame(
        {"mean": filled.mean(axis=1), "sd": filled.std(axis=1), "folds": wide.notna().sum(axis=1)}
    )
    return out.rename_axis("gene").sort_values("mean", ascending=False, kind="stable")


def top_k_stability(importances: Sequence[pd.Series], k: Sequence[int] = (10, 20, 50)) -> pd.DataFrame:
    """Return the agreement of the k most important genes between folds, averaged over pairs of folds.

    Parameters
    ----------
    importances : sequence of Series
        One Series of importances per fold, index gene.
    k : sequence of int
        Numbers of genes. A k that is not smaller than the number of genes of every fold is left out.

    Returns
    -------
    DataFrame
        One row per k. Columns: `jaccard` (0 to 1); `jaccard_chance` (its expectation for random sets of
        genes); `kuncheva` (0 for random sets, 1 for equal sets). NaN if all genes of a fold have the same
        importance, or one has none. It has no rows if all k are left out.

    Raises
    ------
    DataError
        If there are fewer than two folds, or a k is no whole number of 1 or more.

    References
    ----------
    Kuncheva 2007, Artificial Intelligence and Applications: (r n - k^2) / (k (n - k)), where r of n genes are
    shared.

    Examples
    --------
    >>> fold = pd.Series({"EGFR": 0.4, "KRAS": 0.3, "TP53": 0.1})
    >>> top_k_stability([fold, fold], k=(2,)).loc[2, "kuncheva"]
    np.float64(1.0)
    """
    if len(importances) < 2:
        raise DataError("stability needs several folds", expected="2 or more", got=len(importances))
    for size in k:
        check_whole("k", size)
    ranked = all(s.notna().all() and s.nunique() > 1 for s in importances)
    n = len(set().union(*(s.index for s in importances)))
    rows = {}
    for size in (size for size in k if size < min(len(s) for s in importances)):
        tops = [set(s.sort_values(ascending=False, kind="stable").index[:size]) for s in importances]
        shared = np.array([len(a & b) for a, b in combinations(tops, 2)])
        by_chance = size**2 / n
        rows[size] = {
            "jaccard": (shared / (2 * size - shared)).mean() if ranked else np.nan,
            "jaccard_chance": by_chance / (2 * size - by_chance),
            "kuncheva": ((shared * n - size**2) / (size * (n - size))).mean() if ranked else np.nan,
        }
    columns = ["jaccard", "jaccard_chance", "kuncheva"]
    return pd.DataFrame(
        rows.values(), index=pd.Index(rows, name="k", dtype=int), columns=columns, dtype=float
    )


def over_resamples(found: GeneAttribution, n_boot: int = 20, *, random_state: int = 0) -> list[pd.Series]:
    """Return the importances of the genes in bootstrap samples of the patients, for `top_k_stability`.

    The model stays the same. The agreement is therefore higher than that between models of several folds.

    Parameters
    ----------
    found : GeneAttribution
        Contributions of the genes, shape (n, G, K).
    n_boot : int
        Number of samples.
    random_state : int
        Seed of the samples.

    Returns
    -------
    list of Series
        Mean |contribution| over the patients of each sample and over classes, index gene.

    Examples
    --------
    >>> values = np.array([[[0.2], [0.1]], [[0.4], [0.1]]])  # two patients, two genes, one class
    >>> half = np.full((2, 1), 0.5)
    >>> found = GeneAttribution(values, values[:, :, 0], half, half, ("P1", "P2"), ("EGFR", "KRAS"), ("I",))
    >>> top_k_stability(over_resamples(found, 5), k=(1,)).loc[1, "kuncheva"]
    np.float64(1.0)
    """
    check_whole("n_boot", n_boot, 2)
    check_seed(random_state)
    by_name = np.argsort(found.patients, kind="stable")  # so that the order of the patients does not matter
    each = np.abs(found.values).mean(axis=2)[by_name]
    rng = np.random.default_rng(random_state)
    drawn = rng.integers(len(each), size=(n_boot, len(each)))
    return [pd.Series(each[rows].mean(axis=0), list(found.genes)) for rows in drawn]
