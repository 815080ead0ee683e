"""Remarks on expression values that are improbable for their unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from mmfusion.data.tables.gene_columns import WHOLE

MAX_LOG, MAX_ZSCORE, MAX_FPKM = 25.0, 50.0, 1e6
_MILLION = 1e6


def remarks(table: pd.DataFrame, unit: str | None) -> list[str]:
    """Return one sentence for each property of the values that is improbable for their unit.

    Parameters
    ----------
    table : DataFrame of float64, shape (n_patients, n_genes)
        Expression values.
    unit : {"counts", "tpm", "fpkm", "log", "zscore"}, optional
        Their unit.

    Examples
    --------
    >>> remarks(pd.DataFrame({"EGFR": [0.5, 11574.0]}, index=["p1", "p2"]), "zscore")
    ['1 of 2 z-scores are beyond ±50: 11574 for EGFR of p2; is the unit right?']
    """
    if unit not in _CHECKS or table.empty:
        return []
    return [text for text in _CHECKS[unit](table) if text]


def _beyond(table: pd.DataFrame, limit: float, what: str) -> str:
    values = np.abs(table.to_numpy())
    many = int((values > limit).sum())
    if not many:
        return ""
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    example = f"{table.iat[row, column]:.6g} for {table.columns[column]} of {table.index[row]}"
    known = int(np.isfinite(values).sum())
    return f"{many} of {known} {what} are beyond ±{limit:g}: {example}; is the unit right?"


def _counts(table: pd.DataFrame) -> list[str]:
    values = table.to_numpy()
    known = values[np.isfinite(values)]
    broken = int((known != np.round(known)).sum())
    texts = []
    if broken and len(known) and known.max() < MAX_LOG:
        texts.append(f"no count is above {known.max():.4g}, and {broken} are fractions: are they logarithms?")
    elif broken:
        texts.append(f"{broken} of {len(known)} counts are fractions: are they counts, or TPM or FPKM?")
    return texts


def _tpm(table: pd.DataFrame) -> list[str]:
    totals = table.sum(axis=1)
    odd = totals > 1.05 * _MILLION
    if table.shape[1] >= WHOLE:  # fewer genes are a part of the million
        odd |= totals < 0.5 * _MILLION
    if not odd.any():
        return []
    patient = odd.index[odd.to_numpy()][0]
    text = f"the TPM of {int(odd.sum())} of {len(table)} patients do not add up to a million"
    return [f"{text}: {totals[patient]:.4g} for {patient}; is the unit right?"]


def _fpkm(table: pd.DataFrame) -> list[str]:
    return [_beyond(table, MAX_FPKM, "FPKM")]


def _log(table: pd.DataFrame) -> list[str]:
    return [_beyond(table, MAX_LOG, "logarithms")]


def _zscore(table: pd.DataFrame) -> list[str]:
    texts = [_beyond(table, MAX_ZSCORE, "z-scores")]
    if len(table) > 9 and table.shape[1] > 9 and table.min().min() >= 0:
        texts.append("no z-score is negative; is the unit right?")
    return texts


_CHECKS: dict[str, Callable[[pd.DataFrame], list[str]]] = {
    "counts": _counts,
    "tpm": _tpm,
    "fpkm": _fpkm,
    "log": _log,
    "zscore": _zscore,
}
