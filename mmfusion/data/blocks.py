"""Blocks of a cohort's table: the modalities that each patient has, and the features of a modality."""

from __future__ import annotations

import pandas as pd

from mmfusion.modalities import IMAGING, META, RESERVED


def presence(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that says which modalities each patient has; `meta` is left out.

    A modality is present if at least one of its cells is filled. Of a scan, only the path of the volume and
    the features count: a patient with nothing but a seed or a mask has no scan.

    Parameters
    ----------
    table : DataFrame, shape (n_patients, n_columns)
        Column levels `(modality, feature)`, as in `Cohort.table`.

    Returns
    -------
    DataFrame of bool, shape (n_patients, n_modalities)
        Same index; one column per modality.

    Examples
    --------
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, None], ("ct", "seed_x"): [5.0, 5.0]}, index=["p1", "p2"])
    >>> presence(table).loc["p1"].to_dict()
    {'ehr': True, 'ct': False}
    """
    out = {}
    for modality in [m for m in table.columns.unique(0) if m != META]:
        block = table[modality]
        ignored = [c for c in block.columns if modality in IMAGING and c in RESERVED and c != "volume"]
        out[modality] = block.drop(columns=ignored).notna().any(axis=1)
    return pd.DataFrame(out, index=table.index)


def feature_names(block: pd.DataFrame, modality: str) -> list[str]:
    """Return the columns of a modality's block that may be read as features, without the reserved columns.

    Examples
    --------
    >>> feature_names(pd.DataFrame(columns=["volume", "seed_x", "sphericity"]), "ct")
    ['sphericity']
    """
    return [c for c in block.columns if not (modality in IMAGING and c in RESERVED)]
