"""Check a cohort's frame and divide it into the blocks of the streams."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from mmfusion.data.cohort import feature_names
from mmfusion.errors import DataError
from mmfusion.modalities import IMAGING, META, MODALITIES, RESERVED
from mmfusion.preprocessing.base import check_ids


def check_cohort(X: pd.DataFrame) -> list[str]:
    """Return the modalities of a cohort's frame, in the order of its columns.

    Raises
    ------
    DataError
        If X does not have columns (modality, feature) and unique patient ids, or if a modality is unknown.

    Examples
    --------
    >>> check_cohort(pd.concat({"ehr": pd.DataFrame({"age": [61]}, index=["p1"])}, axis=1))
    ['ehr']
    """
    if not isinstance(X, pd.DataFrame) or X.columns.nlevels != 2:
        got = type(X).__name__ if not isinstance(X, pd.DataFrame) else f"{X.columns.nlevels} column level"
        raise DataError(
            "not a cohort's frame", expected="columns (modality, feature)", got=got, hint="give cohort.X"
        )
    check_ids(X.index)
    blocks = [m for m in X.columns.unique(0) if m != META]
    if unknown := [str(m) for m in blocks if m not in MODALITIES]:
        raise DataError(
            "unknown modality",
            column=", ".join(unknown),
            expected=", ".join((*MODALITIES, META)),
            hint="put further clinical columns under ehr",
        )
    return blocks


def site_of(X: pd.DataFrame) -> pd.Series:
    """Return the site of each patient of a cohort's frame; missing if it is not known.

    Examples
    --------
    >>> X = pd.concat({"meta": pd.DataFrame({"site": ["A"]}, index=["p1"])}, axis=1)
    >>> site_of(X).tolist()
    ['A']
    """
    known = (META, "site") in X.columns
    return X[(META, "site")] if known else pd.Series(None, index=X.index, dtype=object)


def stream_blocks(X: pd.DataFrame, modality: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the streams of a modality that at least one patient has, with their columns of the block.

    Examples
    --------
    >>> X = pd.concat({"ct": pd.DataFrame({"volume": [None], "mass_ml": [2.5]}, index=["p1"])}, axis=1)
    >>> [(name, list(block)) for name, block in stream_blocks(X, "ct")]
    [('ct_table', ['mass_ml'])]
    """
    block = X[modality]
    block.attrs = dict(X.attrs)
    if modality not in IMAGING:
        parts = {modality: block}
    else:
        scans = [c for c in RESERVED if c in block and not c.startswith("mask")] if "volume" in block else []
        parts = {modality: block[scans], f"{modality}_table": block[feature_names(block, modality)]}
        if scans and not block["volume"].notna().any():  # a seed without a volume is not a scan
            del parts[modality]
    yield from ((name, part) for name, part in parts.items() if part.notna().to_numpy().any())
