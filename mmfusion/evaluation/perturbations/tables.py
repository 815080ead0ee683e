"""Changes of expression profiles and of health records: missing genes, batches, missing and wrong fields."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmfusion.evaluation.perturbations.strength import out_of_range

_LOG_UNITS = ("log", "zscore")
_WRONG = 10.0  # factor of a value in a wrong unit, such as mm for cm


def drop_genes(rna: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return the profiles without some genes, the same genes for all patients, as with another panel.

    Parameters
    ----------
    rna : DataFrame, shape (n, n_genes)
        Expression.
    share : float
        Share of the genes that become missing, 0 to 1.
    rng : Generator
        Source of random numbers.

    Raises
    ------
    DataError
        If the share is not between 0 and 1.

    Examples
    --------
    >>> rna = pd.DataFrame(np.ones((2, 10)))
    >>> int(drop_genes(rna, 0.3, np.random.default_rng(0)).isna().all().sum())
    3
    """
    _check_share(share)
    out = rna.copy()
    out.iloc[:, rng.choice(rna.shape[1], round(share * rna.shape[1]), replace=False)] = np.nan
    return out


def shift_genes(rna: pd.DataFrame, sd: float, rng: np.random.Generator, *, unit: str = "log") -> pd.DataFrame:
    """Return the profiles of another batch: each gene is shifted by an amount that all patients share.

    Parameters
    ----------
    rna : DataFrame, shape (n, n_genes)
        Expression.
    sd : float
        Standard deviation of the shifts, in standard deviations of the gene over these patients; 0 or more.
    rng : Generator
        Source of random numbers.
    unit : {"log", "zscore", "counts", "tpm", "fpkm"}
        Unit of the values. For the last three, log2(x + 1) is shifted.

    Raises
    ------
    DataError
        If the standard deviation is below 0.

    Examples
    --------
    >>> rna = pd.DataFrame({"EGFR": [1.0, 3.0], "KRAS": [5.0, 5.0]})
    >>> shifted = shift_genes(rna, 1.0, np.random.default_rng(0))
    >>> (shifted - rna).nunique().tolist(), (shifted - rna)["KRAS"].tolist()  # KRAS has no spread
    ([1, 1], [0.0, 0.0])
    """
    if sd < 0:
        raise out_of_range("sd", "0 or more", sd)
    if not sd:
        return rna.copy()
    x = rna.astype(float)
    of_log = unit in _LOG_UNITS
    x = x if of_log else np.log2(x + 1)
    spread = x.std(ddof=0).fillna(0.0)
    x = x + spread * rng.normal(0, sd, x.shape[1])
    return x if of_log else (2**x - 1).clip(lower=0)


def blank_fields(ehr: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return the records with some cells missing, other cells for each patient.

    Every patient keeps one known field, because a record without any field would be a missing modality.

    Parameters
    ----------
    ehr : DataFrame, shape (n, n_fields)
        Health records.
    share : float
        Share of the cells that become missing, 0 to 1.
    rng : Generator
        Source of random numbers.

    Raises
    ------
    DataError
        If the share is not between 0 and 1.

    Examples
    --------
    >>> ehr = pd.DataFrame({"age": [60.0, 70.0], "sex": ["f", "m"]})
    >>> blank_fields(ehr, 1.0, np.random.default_rng(0)).notna().sum(axis=1).tolist()
    [1, 1]
    """
    _check_share(share)
    draws = np.where(ehr.notna(), rng.random(ehr.shape), -1.0)
    last = draws.argmax(axis=1)[:, None] == np.arange(ehr.shape[1])
    return ehr.mask((draws < share) & ~last)


def wrong_units(ehr: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return the records with some numbers ten times too large, as with a wrong unit or decimal point.

    Parameters
    ----------
    ehr : DataFrame, shape (n, n_fields)
        Health records. Columns that hold only 0 and 1 are flags, and stay.
    share : float
        Share of the numbers that are multiplied, 0 to 1.
    rng : Generator
        Source of random numbers.

    Raises
    ------
    DataError
        If the share is not between 0 and 1.

    Examples
    --------
    >>> ehr = pd.DataFrame({"age": [60.0, 70.0], "sex": ["f", "m"]})
    >>> wrong_units(ehr, 1.0, np.random.default_rng(0))["age"].tolist()
    [600.0, 700.0]
    """
    _check_share(share)
    out = ehr.copy()
    for name in ehr.columns:
        hit = rng.random(len(ehr)) < share  # drawn for every column, so that the draws do not depend on types
        column = ehr[name]
        if pd.api.types.is_numeric_dtype(column) and not set(column.dropna()) <= {0, 1}:
            out[name] = column.where(~hit, column * _WRONG)
    return out


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise out_of_range("share", "0 to 1", share)
