"""Importance of genes compared with models fitted to permuted labels: p values and a false discovery rate.

A model fitted to permuted labels has learned nothing, but its genes have importances too. The labels of the
patients are permuted several times, and the model is fitted again each time. Three steps give valid p values
from about twenty such refits:

1. The importance of a gene is divided by the sum over the genes of the same model. Refits differ in how much
   they use genes at all; without this step, one model that uses its genes more than most refits would make
   many genes look important.
2. The share of a gene is standardised with the mean and the variance of the same gene over the refits. Both
   are moved towards the mean and the variance of all genes, as far as the difference between genes can be
   noise (empirical Bayes). Without this step, a gene would stand out if its variance is small by chance.
3. `p` compares the standardised share with those of all genes of all refits. It can be far smaller than
   1 / (1 + refits), which is the smallest p value of a gene that is compared only with itself.

`q` is the false discovery rate of Benjamini and Hochberg, but it is at least `p_list`. `p_list` is the p
value of the hypothesis that the label is independent of all inputs. Each refit gets a list of q values in the
same way as the model. `p_list` is the share of refits whose smallest q value is at least as small as that of
the model. Under this hypothesis the model and its refits are exchangeable. The probability that any gene has
q <= a is then a or less. This holds for every distribution of the importances, and for genes that depend on
each other. If the label depends on some inputs, the false discovery rate relies on the three steps and on the
procedure of Benjamini and Hochberg.

References: Efron and Morris 1975, JASA 70:311 (empirical Bayes); Benjamini and Hochberg 1995, JRSS B 57:289;
Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39 (p values of permutations).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from mmfusion.compute import run
from mmfusion.errors import DataError, check_seed

_FEWEST = 3  # refits; with fewer, one of them cannot be standardised by the others


def null_attribution(
    refit: Callable[[np.ndarray, int], pd.Series],
    y: Sequence[object],
    observed: pd.Series,
    *,
    n_permutations: int = 20,
    n_jobs: int = 1,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare the importance of genes with models fitted to permuted labels.

    Parameters
    ----------
    refit : callable
        `refit(labels, seed)` fits the model to these labels and returns the importance of each gene.
    y : sequence, shape (n,)
        Labels, which are permuted.
    observed : Series
        Importance with the true labels, index gene; 0 or above.
    n_permutations : int
        Number of refits. With fewer than 10, no q is below 0.1; 20 or more are useful.
    n_jobs : int
        Processes; with 2 or more, `refit` must be picklable. The result does not depend on it.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        One row per gene, most important first; see `compare_with_refits` for the columns.

    Raises
    ------
    DataError
        If there are no genes, no refits, or an importance is negative or not a number.

    Examples
    --------
    >>> def refit(labels, seed):
    ...     return pd.Series(np.random.default_rng(seed).random(3), ["EGFR", "KRAS", "TP53"])
    >>> observed = pd.Series({"EGFR": 9.0, "KRAS": 0.5, "TP53": 0.4})
    >>> found = null_attribution(refit, [0, 1, 0, 1], observed, n_permutations=19)
    >>> (found["q"] < 0.1).to_dict()  # a q is never below 1 / (1 + refits)
    {'EGFR': True, 'KRAS': False, 'TP53': False}
    """
    check_seed(random_state)
    rng = np.random.default_rng(random_state)
    y = np.asarray(y)
    tasks = [(refit, i, rng.permutation(y), random_state + 1 + i) for i in range(n_permutations)]
    where = "serial" if n_jobs == 1 else "loky"
    done = dict(run(_numbered, tasks, where=where, n_jobs=n_jobs, progress=False))
    return compare_with_refits(observed, [done[i] for i in range(n_permutations)])


def _numbered(
    refit: Callable[[np.ndarray, int], pd.Series], i: int, labels: np.ndarray, seed: int
) -> tuple[int, pd.Series]:
    """Return the number of a refit with its result, because processes finish in any order."""
    return i, refit(labels, seed)


def compare_with_refits(observed: pd.Series, null: Sequence[pd.Series]) -> pd.DataFrame:
    """Return p and q of the importance of each gene, from its importance in refits to permuted labels.

    Parameters
    ----------
    observed : Series, shape (G,)
        Importance with the true labels, index gene; 0 or above.
    null : sequence of Series
        Importance in each of B refits. A gene that a refit did not select has importance 0.

    Returns
    -------
    DataFrame
        One row per gene, most important first. Columns:

        - `observed`: importance with the true labels
        - `null_mean`, `null_sd`: mean and standard deviation over refits of the gene's importance
        - `p`: share of the genes of all refits that stand out as much, at least 1 / (1 + B G)
        - `q`: false discovery rate, at least `p_list`
        - `p_list`: the same for all genes: share of refits whose list of genes stands out as much, at least
          1 / (1 + B)

        With one or two refits, p and q are not estimable: they are NaN.

    Raises
    ------
    DataError
        If there are no genes, no refits, or an importance is negative or not a number.

    Examples
    --------
    >>> refits = [pd.Series({"EGFR": 0.1 + 0.01 * i, "KRAS": 0.1}) for i in range(9)]
    >>> compare_with_refits(pd.Series({"EGFR": 0.9, "KRAS": 0.1}), refits)["p"].round(2).to_dict()
    {'EGFR': 0.05, 'KRAS': 1.0}
    """
    if not len(observed) or not len(null):
        raise DataError(
            "nothing to compare", expected="genes, and one refit or more", got=f"{len(null)} refits"
        )
    refits = pd.concat(list(null), axis=1).reindex(observed.index).fillna(0.0)
    values = np.column_stack([observed.to_numpy(dtype=float), refits.to_numpy(dtype=float)]).T
    if not (values >= 0).all():
        raise DataError("an importance is negative or not a number", expected="0 or above")
    enough = len(null) >= _FEWEST
    p, p_list, bh = _calibrate(_shares(values)) if enough else (np.nan, np.nan, np.nan)
    out = pd.DataFrame(
        {
            "observed": observed,
            "null_mean": refits.mean(axis=1),
            "null_sd": refits.std(axis=1),
            "p": p,
            "q": np.maximum(bh, p_list),
            "p_list": p_list,
        }
    )
    return out.rename_axis("gene").sort_values("observed", ascending=False, kind="stable")


def _shares(values: np.ndarray) -> np.ndarray:
    """Return each gene's share of the importance of all genes; 0 for a model that uses no gene."""
    total = values.sum(axis=1, keepdims=True)
    return np.divide(values, total, out=np.zeros_like(values), where=total > 0)


def _calibrate(shares: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Return p of each gene, p of the list, and the false discovery rate; row 0 is the true labels.

    Every row is compared with all other rows in the same way. So the rows stay exchangeable.
    """
    p = [_p_values(row, np.delete(shares, i, axis=0)) for i, row in enumerate(shares)]
    smallest = np.array([false_discovery_control(one).min() for one in p])
    p_list = float((smallest <= smallest[0]).mean())  # row 0 itself is counted
    return p[0], p_list, false_discovery_control(p[0])


def _p_values(row: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the share of all standardised values of the other rows that are as large, shape (G,).

    The value itself is counted, so that no p is 0. Each of the other rows is standardised by those that
    remain, so that its values are as noisy as those of `row`.
    """
    pool = [_standardised(other, np.delete(others, j, axis=0)) for j, other in enumerate(others)]
    pool = np.sort(np.concatenate(pool))
    as_large = len(pool) - np.searchsorted(pool, _standardised(row, others), side="left")
    return np.where(
        row > 0, (1 + as_large) / (1 + len(pool)), 1.0
    )  # a gene that is not used never stands out


def _standardised(row: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Standardise the shares of one row by the mean and variance of each gene over the other rows.

    Means and variances of few rows are noisy. So they are moved towards those of all genes, the further, the
    more of the difference between genes is noise.
    """
    mean, variance = others.mean(axis=0), others.var(axis=0, ddof=1)
    mean = _shrunk(mean, variance.mean() / len(others))
    variance = _shrunk(variance, 2 * variance.mean() ** 2 / (len(others) - 1))
    gap = np.where(np.abs(row - mean) > 1e-12, row - mean, 0.0)
    endless = np.select([gap > 0, gap < 0], [np.inf, -np.inf], 0.0)  # all other rows are equal
    return np.divide(gap, np.sqrt(variance), out=endless, where=(variance > 0) & (gap != 0))


def _shrunk(values: np.ndarray, noise: float) -> np.ndarray:
    """Move values towards their mean; `noise` is the variance of a single value around its true value."""
    spread = values.var()
    kept = 1 - noise / spread if spread > noise else 0.0
    return values.mean() + kept * (values - values.mean())
