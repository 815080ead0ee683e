"""Metrics of masks by groups of patients, such as the size or the type of the lesion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.segmentation import segmentation_table

SIZES_MM = (10.0, 20.0, 30.0, 50.0, 70.0)  # limits of T1a, T1b, T1c, T2 and T3 in AJCC 8


def size_groups(volume_mm3: pd.Series, limits_mm: Sequence[float] = SIZES_MM) -> pd.Series:
    """Return the group of each lesion by the diameter of a ball with the same volume.

    Parameters
    ----------
    volume_mm3 : Series
        Volume, mm3, such as the column `true_mm3` of the scores of masks. 0 means that there is no lesion.
    limits_mm : sequence of float
        Limits of the groups, mm, ascending. A diameter that equals a limit is in the lower group.

    Returns
    -------
    Series
        Ordered categories such as "<= 10 mm", "10-20 mm" and "> 70 mm"; "no lesion" comes first.

    Examples
    --------
    >>> size_groups(pd.Series([0.0, 500.0, 600.0, 1e6])).tolist()
    ['no lesion', '<= 10 mm', '10-20 mm', '> 70 mm']
    """
    limits = list(limits_mm)
    names = [f"<= {limits[0]:g} mm", *(f"{a:g}-{b:g} mm" for a, b in pairwise(limits))]
    names = ["no lesion", *names, f"> {limits[-1]:g} mm"]
    diameter = np.cbrt(6 * volume_mm3.to_numpy(dtype=float) / np.pi)
    groups = pd.cut(diameter, [-np.inf, 0.0, *limits, np.inf], labels=names)
    return pd.Series(groups, volume_mm3.index, name="size")


def scores_by(
    predictions: pd.DataFrame,
    by: str | Sequence[str],
    *,
    metrics: Sequence[str] = ("dice",),
    **options: object,
) -> pd.DataFrame:
    """Return metrics of every model within groups of patients, with intervals over patients.

    Parameters
    ----------
    predictions : DataFrame
        Scores of masks, as for `segmentation_table`, with the columns `by`.
    by : str or sequence of str
        Columns that define the groups, such as "size" or ["type", "site"].
    metrics : sequence of str
        Names in `SEGMENTATION_METRICS`. Means are over all patients of a group, whatever their fold.
    **options
        n_boot, level, random_state, as for `score_table`.

    Returns
    -------
    DataFrame
        One row per group, model and metric, in the order of the groups. Columns `by`, model, metric, n
        (patients), mean, lo, hi.

    Raises
    ------
    DataError
        If a column is missing, or if a patient has no group.

    Examples
    --------
    >>> from mmfusion.metrics.segmentation import MASK_SCORES
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": [0, 1, 0], "patient_id": ["a", "b", "c"]})
    >>> table = table.assign(**dict.fromkeys(MASK_SCORES, 1.0)).assign(dice=[0.7, 0.9, 0.2])
    >>> found = scores_by(table.assign(type=["solid", "solid", "cavity"]), "type", n_boot=10)
    >>> found[["type", "n", "mean"]].round(3).values.tolist()
    [['cavity', 1, 0.2], ['solid', 2, 0.8]]
    """
    by = [by] if isinstance(by, str) else list(by)
    if absent := [column for column in by if column not in predictions]:
        got = ", ".join(map(str, predictions.columns))
        raise DataError("predictions lack a column", column=", ".join(absent), got=got)
    unknown = predictions[by].isna().any(axis=1)
    if unknown.any():
        patient = predictions.loc[unknown, "patient_id"].iloc[0]
        raise DataError("a patient has no group", patient=patient, column=", ".join(by))
    rows = []
    for group, members in predictions.groupby(by, observed=True):
        table = segmentation_table(members.assign(fold=0), **options)
        for model, row in table.iterrows():
            n = members.loc[members["model"] == model, "patient_id"].nunique()
            own = dict(zip(by, group, strict=True)) | {"model": model}
            rows += [own | {"metric": m, "n": n, **row[m].to_dict()} for m in metrics]
    return pd.DataFrame(rows, columns=[*by, "model", "metric", "n", "mean", "lo", "hi"])
