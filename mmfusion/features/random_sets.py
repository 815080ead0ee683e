"""Control of a signature: random gene sets of the same size, tested in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from mmfusion.data.gene_scores import SHARE, coverage, rank_profiles
from mmfusion.errors import DataError, check_seed, check_whole
from mmfusion.limits import check_memory
from mmfusion.metrics.ranks import rank_correlation


def random_set_table(
    rna: pd.DataFrame,
    sets: Mapping[str, Sequence[str]],
    classes: pd.Series,
    *,
    n_random: int = 500,
    min_share: float = SHARE,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare the trend of each signature over ordered classes with that of random sets of as many genes.

    If most genes have a trend, for example because late tumours grow faster, most sets of genes have one too.
    A signature is informative only if its trend is larger than that of random sets. The random sets
    are drawn from the genes of the table, and they are scored as the signature is.

    Parameters
    ----------
    rna : DataFrame, shape (n, G)
        Expression, one row per person. A missing cell counts as a gene of middle rank.
    sets : mapping of str to sequence of str
        Gene sets.
    classes : Series, shape (n,)
        Ordered categorical of the same patients.
    n_random : int
        Number of random sets of each size.
    min_share : float
        As for `mmfusion.features.signatures`.
    random_state : int
        Seed of the random sets.

    Returns
    -------
    DataFrame, index signature
        rho (Spearman's correlation with the order of the classes), random_95 (95th percentile of its absolute
        value in random sets), p_random: the share of random sets, with the signature itself counted among
        them, whose trend is as large. NaN for sets that are not estimable.

    Raises
    ------
    DataError
        If the patients differ, the classes have no order, or `n_random` is below 1.

    References
    ----------
    Venet et al. 2011, PLoS Computational Biology 7:e1002240: most random signatures are associated with the
    outcome of breast cancer.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> stage = pd.Series(pd.Categorical(["I"] * 20 + ["II"] * 20, ordered=True))
    >>> rna = pd.DataFrame(rng.normal(size=(40, 60)), columns=[f"G{k}" for k in range(60)])
    >>> found = random_set_table(rna, {"one": [f"G{k}" for k in range(8)]}, stage, n_random=99)
    >>> bool(found.loc["one", "p_random"] > 0.01)
    True
    """
    ordered = isinstance(getattr(classes, "dtype", None), pd.CategoricalDtype) and classes.cat.ordered
    if not ordered or not rna.index.equals(classes.index) or classes.isna().any():
        raise DataError("not the ordered classes of these patients", parameter="classes")
    check_whole("n_random", n_random)
    check_seed(random_state)
    rna = rna.sort_index(axis=1)  # so that the order of the genes does not change which sets are drawn
    check_memory(8.0 * len(rna) * (3 * rna.shape[1] + n_random), "the ranks")
    ranks = rank_profiles(rna)
    middle = (np.isfinite(ranks).sum(axis=1, keepdims=True) + 1) / 2
    ranks = np.where(np.isfinite(ranks), ranks, middle)
    order = classes.cat.codes.to_numpy()
    found = coverage(rna.columns, sets, min_share)
    drawn = {}
    rows = {}
    for name, row in found.iterrows():
        if not row["estimable"]:
            rows[name] = (np.nan, np.nan, np.nan)
            continue
        size = int(row["found"])
        if size not in drawn:
            drawn[size] = np.abs(
                _trends(ranks, _random_sets(rna.shape[1], size, n_random, random_state), order)
            )
        own = np.flatnonzero(rna.columns.isin(list(sets[name])))
        rho = float(_trends(ranks, own[None], order)[0])
        beyond = int((drawn[size] >= abs(rho) - 1e-12).sum())
        rows[name] = (rho, float(np.quantile(drawn[size], 0.95)), (1 + beyond) / (1 + n_random))
    columns = ["rho", "random_95", "p_random"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("signature")


def _random_sets(n_genes: int, size: int, n_random: int, random_state: int) -> np.ndarray:
    """Return positions of genes, shape (n_random, size); they depend on the seed and the size only."""
    rng = np.random.default_rng([random_state, size])
    return np.stack([rng.choice(n_genes, size, replace=False) for _ in range(n_random)])


def _trends(ranks: np.ndarray, sets: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of the score of each set with the order of the classes, shape (n_sets,).

    The score of a set is an increasing function of the mean rank within a patient, if no cell is missing.
    """
    n_sets, size = sets.shape
    member = sparse.csr_array(
        (np.ones(sets.size), (sets.ravel(), np.repeat(np.arange(n_sets), size))), (ranks.shape[1], n_sets)
    )
    return np.nan_to_num(rank_correlation((member.T @ ranks.T).T, order[:, None]))  # 0 for equal scores
