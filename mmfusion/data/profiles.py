"""Find expression profiles that two cohorts share under different ids, or that a cohort has twice."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.stats import norm

from mmfusion.data.cohort import Cohort
from mmfusion.data.tables.cells import to_numbers

SAME = 0.93  # correlation of one measurement; in NSCLC-Radiogenomics other pairs reach 0.90
LEAST_GENES, LEAST_PATIENTS = 50, 10
_RNA = "rna"


def find_same_profiles(first: Cohort, second: Cohort | None = None, *, least: float = SAME) -> pd.DataFrame:
    """Return the pairs of patients with the same expression profile, also in another unit.

    Parameters
    ----------
    first, second : Cohort
        Cohorts with the block "rna". Without `second`, the patients of `first` are compared with each other.
    least : float
        Least correlation of a pair, from -1 to 1.

    Returns
    -------
    DataFrame
        Columns `modality` ("rna"), `first`, `second` (patient ids) and `similarity`; the most similar pair
        first. Empty if the cohorts share fewer than 50 genes, or one has fewer than 10 profiles.

    Raises
    ------
    DataError
        If a value is not a number. The error names the patient and the gene.

    Notes
    -----
    Each gene is replaced by the normal scores of its ranks within its cohort. Any increasing function of a
    gene, such as a logarithm or a z-score, has the same scores. Two profiles are compared by the correlation
    of their scores over the shared genes. It is near 1 for one measurement if both cohorts are similar groups
    of patients. Another sample of the same tumour is usually not found.

    Examples
    --------
    >>> ids = pd.Index([f"p{i}" for i in range(20)], name="patient_id")
    >>> values = np.random.default_rng(0).lognormal(size=(20, 60))
    >>> genes = pd.MultiIndex.from_product([["rna"], [f"G{j}" for j in range(60)]])
    >>> outcomes = pd.DataFrame({"stage": "I"}, index=ids)
    >>> a = Cohort("a", pd.DataFrame(values, ids, genes), outcomes, "stage2", units={"rna": "tpm"})
    >>> logs = pd.DataFrame(np.log1p(values), ids, genes).rename(index=lambda p: f"other-{p}")
    >>> b = Cohort("b", logs, outcomes.set_axis(logs.index), "stage2", units={"rna": "log"})
    >>> len(find_same_profiles(a, b)), len(find_same_profiles(a))
    (20, 0)
    """
    a = _profiles(first)
    b = a if second is None else _profiles(second)
    genes = a.columns.intersection(b.columns)
    empty = pd.DataFrame(columns=["modality", "first", "second", "similarity"])
    if not _enough(a, b):
        return empty
    similarity = _correlation(_scores(a[genes]), _scores(b[genes]))
    if second is None:
        similarity[np.tril_indices(len(a))] = -1.0
    rows = [
        (_RNA, a.index[i], b.index[j], similarity[i, j]) for i, j in zip(*np.nonzero(similarity >= least))
    ]
    if not rows:
        return empty
    return pd.DataFrame(rows, columns=empty.columns).sort_values(
        "similarity", ascending=False, ignore_index=True
    )


def can_compare_profiles(first: Cohort, second: Cohort) -> bool:
    """Return True if two cohorts have enough genes and profiles in common to find a patient who is in both.

    Examples
    --------
    >>> ids = pd.Index(["p1", "p2"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0]}, index=ids)
    >>> cohort = Cohort("example", table, pd.DataFrame({"stage": ["IA", "IIIB"]}, index=ids), "stage2")
    >>> can_compare_profiles(cohort, cohort)
    False
    """
    return _enough(_profiles(first), _profiles(second))


def _enough(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    genes = a.columns.intersection(b.columns)
    return len(genes) >= LEAST_GENES and min(len(a), len(b)) >= LEAST_PATIENTS


def _profiles(cohort: Cohort) -> pd.DataFrame:
    """Return the expression of the patients who have it, without genes that are missing or constant."""
    if _RNA not in cohort.table.columns.unique(0):
        return pd.DataFrame(index=cohort.table.index[:0])
    table = cohort.table[_RNA].dropna(how="all")
    for gene in table.columns[[not is_numeric_dtype(kind) for kind in table.dtypes]]:
        to_numbers(table[gene], gene, cohort.name)
    table = table.astype("float64")
    return table.loc[:, table.nunique() > 1]


def _scores(table: pd.DataFrame) -> np.ndarray:
    """Return normal scores by gene, NaN where missing."""
    ranks = table.rank()
    return norm.ppf((ranks - 0.5) / ranks.count())


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the correlation of each row of `a` with each row of `b`, over the genes that both have.

    The mean of the scores of a gene is 0, so that the means of the rows are not subtracted.
    """
    has_a, has_b = ((~np.isnan(x)).astype(np.float64) for x in (a, b))
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    length = np.sqrt((a**2 @ has_b.T) * (has_a @ (b**2).T))
    return (a @ b.T) / np.maximum(length, 1e-12)
