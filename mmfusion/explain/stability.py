"""Whether the same genes would come out again, and whether they would come out of noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from mmfusion.errors import DataError


def mean_over_folds(importances: Sequence[pd.Series]) -> pd.DataFrame:
    """Mean importance of each gene over folds, largest first; a gene that a fold did not select counts 0 there.

    Parameters
    ----------
    importances : sequence of Series
        Of each fold, index gene (`GeneAttribution.mean_abs()`).

    Returns
    -------
    DataFrame
        Index gene; mean, sd over folds, folds: in how many it was selected.
    """
    wide = pd.concat(list(importances), axis=1, keys=range(len(importances)))
    filled = wide.fillna(0.0)
    out = pd.DataFrame(
        {"mean": filled.mean(axis=1), "sd": filled.std(axis=1), "folds": wide.notna().sum(axis=1)}
    )
    return out.rename_axis("gene").sort_values("mean", ascending=False, kind="stable")


def top_k_stability(importances: Sequence[pd.Series], k: Sequence[int] = (10, 20, 50)) -> pd.DataFrame:
    """How far the k leading genes of folds agree, averaged over pairs of folds.

    Returns
    -------
    DataFrame
        Index k; jaccard (0 to 1), its expectation for random sets `jaccard_chance`, kuncheva (chance is 0, the
        same genes 1). Numbers k as large as the number of genes are left out: with few genes, all of them.

    Raises
    ------
    DataError
        With fewer than two folds.

    References
    ----------
    Kuncheva 2007, Artificial Intelligence and Applications: (r n - k^2) / (k (n - k)), with r shared of n genes.
    """
    if len(importances) < 2:
        raise DataError("stability needs several folds", expected="2 or more", got=len(importances))
    n = len(set().union(*(s.index for s in importances)))
    rows = {}
    for size in (size for size in k if size < min(len(s) for s in importances)):
        tops = [set(s.sort_values(ascending=False, kind="stable").index[:size]) for s in importances]
        shared = np.array([len(a & b) for a, b in combinations(tops, 2)])
        by_chance = size**2 / n
        rows[size] = {
            "jaccard": (shared / (2 * size - shared)).mean(),
            "jaccard_chance": by_chance / (2 * size - by_chance),
            "kuncheva": ((shared * n - size**2) / (size * (n - size))).mean(),
        }
    columns = ["jaccard", "jaccard_chance", "kuncheva"]
    return pd.DataFrame(
        rows.values(), index=pd.Index(rows, name="k", dtype=int), columns=columns, dtype=float
    )


def null_attribution(
    refit: Callable[[np.ndarray, int], pd.Series],
    y: Sequence[object],
    observed: pd.Series,
    *,
    n_permutations: int = 20,
    random_state: int = 0,
) -> pd.DataFrame:
    """Importance of genes against models fitted to permuted labels.

    Parameters
    ----------
    refit : callable
        `refit(labels, seed)` fits the model to these labels and returns the importance of each gene.
    y : sequence, shape (n,)
        The labels, to be permuted.
    observed : Series
        Importance under the labels as they are; index gene.
    n_permutations : int
        Refits; 20 or more.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        Index gene, most important first: observed, null_mean, null_sd; p: share of refits in which the gene itself did
        as well (no smaller than 1 / (1 + refits)); p_pooled: share of all genes of all refits that did as well,
        which takes genes for exchangeable; fdr: Benjamini and Hochberg's, of p_pooled; p_max: share of
        refits whose best gene did as well (family-wise).

    Raises
    ------
    DataError
        Without genes or refits.
    """
    if not len(observed) or n_permutations < 1:
        raise DataError("nothing to compare", expected="genes, and one refit or more")
    rng = np.random.default_rng(random_state)
    y = np.asarray(y)
    null = pd.concat(
        [refit(rng.permutation(y), random_state + 1 + i) for i in range(n_permutations)],
        axis=1,
        keys=range(n_permutations),
    )
    own = null.reindex(observed.index).fillna(0.0)  # a gene that a refit did not select did nothing there
    everyone = np.sort(null.to_numpy().ravel()[~np.isnan(null.to_numpy().ravel())])
    values = observed.to_numpy()
    beaten = len(everyone) - np.searchsorted(everyone, values, side="left")
    out = pd.DataFrame(
        {
            "observed": observed,
            "null_mean": own.mean(axis=1),
            "null_sd": own.std(axis=1),
            "p": (1 + (own.to_numpy() >= values[:, None]).sum(axis=1)) / (1 + n_permutations),
            "p_pooled": (1 + beaten) / (1 + len(everyone)),
            "p_max": (1 + (null.max().to_numpy() >= values[:, None]).sum(axis=1)) / (1 + n_permutations),
        }
    )
    out["fdr"] = false_discovery_control(out["p_pooled"])
    return out.rename_axis("gene").sort_values("observed", ascending=False, kind="stable")
