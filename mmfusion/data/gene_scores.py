"""Rank-based scores of gene sets, each from the expression of one patient alone (singscore)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import pandas as pd
from scipy import stats

from mmfusion.data.tables.notes import listed
from mmfusion.errors import DataError

LEAST = 5  # genes of a set that must be measured
SHARE = 0.3  # share of the genes of a set that must be measured, unless the user gives another


def rank_profiles(expression: pd.DataFrame) -> np.ndarray:
    """Return the rank of each gene among the genes of the same patient, shape (n, G).

    The lowest gene has rank 1, ties get their mean rank, and a missing cell stays missing.

    Raises
    ------
    DataError
        If a column is not numeric, a gene occurs twice, or a value is infinite. The error names the gene.

    Examples
    --------
    >>> rank_profiles(pd.DataFrame({"EGFR": [5.0], "KRAS": [1.0], "MET": [np.nan]})).tolist()
    [[2.0, 1.0, nan]]
    """
    if expression.columns.has_duplicates:
        twice = expression.columns[expression.columns.duplicated()].unique()
        raise DataError("a gene has two columns", column=listed(twice), hint="keep one column per gene")
    for gene, kind in expression.dtypes.items():
        if not pd.api.types.is_numeric_dtype(kind):
            raise DataError("not a column of numbers", column=gene, expected="expression", got=kind)
    values = expression.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise DataError(
            "a value is infinite", patient=expression.index[row], column=expression.columns[column]
        )
    if not values.size:
        return values
    return stats.rankdata(values, axis=1, nan_policy="omit")


def coverage(
    genes: Sequence[str] | pd.Index, sets: Mapping[str, Sequence[str]], min_share: float = SHARE
) -> pd.DataFrame:
    """Return how many genes of each set are among `genes`, and whether that is enough for a score.

    A set needs 5 genes (all of them if it has fewer), and a share of its genes. A set of all genes of the
    table has no rank among others, so that it is not estimable either.

    Parameters
    ----------
    genes : sequence of str
        Genes that are measured.
    sets : mapping of str to sequence of str
        Gene sets.
    min_share : float
        Share of the genes of a set that must be measured, 0 to 1.

    Returns
    -------
    DataFrame, index signature
        genes (in the set), found (of them measured), share (0 to 1), least (needed), estimable (bool).

    Raises
    ------
    DataError
        If the share is not from 0 to 1.

    Examples
    --------
    >>> coverage(["GZMA", "EGFR"], {"killing": ["GZMA", "PRF1"]}).loc["killing"].to_dict()
    {'genes': 2, 'found': 1, 'share': 0.5, 'least': 2, 'estimable': False}
    """
    measured = set(genes)
    rows = {}
    for name, members in sets.items():
        found, least = len(measured.intersection(members)), least_genes(len(members), min_share)
        enough = least <= found < len(measured)
        rows[name] = (len(members), found, found / max(len(members), 1), least, enough)
    columns = ["genes", "found", "share", "least", "estimable"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("signature")


def least_genes(size: int, min_share: float = SHARE) -> int:
    """Return how many genes of a set of this size must be measured.

    >>> least_genes(2), least_genes(10), least_genes(200), least_genes(200, 0.1)
    (2, 5, 60, 20)
    """
    if isinstance(min_share, bool) or not isinstance(min_share, Real) or not 0 <= min_share <= 1:
        raise DataError("not a share", parameter="min_share", expected="0 to 1", got=min_share)
    return max(1, min(LEAST, size), int(np.ceil(round(min_share * size, 9))))


def singscore(
    expression: pd.DataFrame, sets: Mapping[str, Sequence[str]], min_share: float = SHARE
) -> pd.DataFrame:
    """Return the score of each gene set for each patient: the mean rank of its genes, scaled and centred.

    The genes of a patient are ranked among themselves. With N ranked genes, k of them in the set, and the
    mean rank m of these k, the score is ``(m - low) / (high - low) - 0.5``. Here ``low = (k + 1) / 2`` and
    ``high = N - (k - 1) / 2`` are the smallest and the largest possible mean rank. No other patient matters,
    and any increasing transform of a patient's values gives the same score.

    Parameters
    ----------
    expression : DataFrame, shape (n, G)
        One row per patient, one column per gene, in any unit that ranks the genes of a patient.
    sets : mapping of str to sequence of str
        Gene sets whose genes are all expected to be high together.
    min_share : float
        Share of the genes of a set that a patient must have, 0 to 1.

    Returns
    -------
    DataFrame, shape (n, n_sets)
        Scores from -0.5 to 0.5; 0 if the genes of the set rank as high as other genes. NaN if a patient has
        too few genes of the set (`coverage`). 0 if all genes of a patient have the same value.

    Raises
    ------
    DataError
        As `rank_profiles`, or if the share is not from 0 to 1.

    References
    ----------
    Foroutan et al. 2018, BMC Bioinformatics 19:404, for one set of genes; ties get their mean rank here.

    Examples
    --------
    >>> table = pd.DataFrame([[9.0, 8.0, 1.0, 2.0]], ["P1"], ["GZMA", "PRF1", "EGFR", "KRAS"])
    >>> singscore(table, {"cytolytic_activity": ["GZMA", "PRF1"]}).loc["P1", "cytolytic_activity"]
    np.float64(0.5)
    """
    ranks = rank_profiles(expression)
    found = {}
    for name, members in sets.items():
        chosen = ranks[:, expression.columns.isin(list(members))]
        found[name] = _of_set(ranks, chosen, least_genes(len(members), min_share))
    return pd.DataFrame(found, expression.index)


def _of_set(ranks: np.ndarray, chosen: np.ndarray, least: int) -> np.ndarray:
    """Return the scores of one set, shape (n,)."""
    found, ranked = (np.isfinite(values).sum(axis=1) for values in (chosen, ranks))
    enough = (found >= least) & (found < ranked)
    total = np.where(np.isfinite(chosen), chosen, 0.0).sum(axis=1)
    k = np.where(enough, found, 1)
    low, high = (k + 1) / 2, ranked - (k - 1) / 2
    width = np.where(enough, high - low, 1.0)
    return np.where(enough, (total / k - low) / width - 0.5, np.nan)
