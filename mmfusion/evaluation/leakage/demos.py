"""Tables of the leak demonstrations, which run one analysis twice: with a leak, and without it.

A demonstration is a function of a seed and a number of repeats. It returns one row per result, with the
columns `DEMO_COLUMNS`. The protocol is "leaky" or "honest". The cohort says what there is to find: "null"
means that there is nothing, so that a good result can only come from the leak.
"""

from __future__ import annotations

from numbers import Integral

import pandas as pd

from mmfusion.errors import DataError, check_whole

DEMO_COLUMNS = ("demo", "protocol", "cohort", "rep", "metric", "value")
PROTOCOLS = ("leaky", "honest")


def demo_rows(demo: str, protocol: str, cohort: str, rep: int, **metrics: float) -> pd.DataFrame:
    """Return the rows of one run of a demonstration, one per metric.

    Parameters
    ----------
    demo : str
        Name of the demonstration.
    protocol : {"leaky", "honest"}
        How it was run.
    cohort : str
        Name of the cohort.
    rep : int
        Number of the repeat.
    **metrics
        Metric -> value.

    Raises
    ------
    DataError
        If the protocol has another name.

    Examples
    --------
    >>> demo_rows("slices", "leaky", "null", 0, auc=0.9)[["protocol", "metric", "value"]].values.tolist()
    [['leaky', 'auc', 0.9]]
    """
    if protocol not in PROTOCOLS:
        raise DataError("no such protocol of a demonstration", expected=", ".join(PROTOCOLS), got=protocol)
    found = [(demo, protocol, cohort, rep, metric, float(value)) for metric, value in metrics.items()]
    return pd.DataFrame(found, columns=list(DEMO_COLUMNS))


def repeats(n_rep: int) -> range:
    """Return the numbers of the repeats of a demonstration.

    Raises
    ------
    DataError
        If there is none, or `n_rep` is no whole number.

    Examples
    --------
    >>> repeats(2)
    range(0, 2)
    """
    if not isinstance(n_rep, Integral):
        check_whole("n_rep", n_rep)
    if n_rep < 1:
        raise DataError("a demonstration without a repeat", expected="n_rep of 1 or more", got=n_rep)
    return range(n_rep)


def demo_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what a leak adds to each metric, as the mean over repeats.

    Parameters
    ----------
    rows : DataFrame
        Rows of one or more demonstrations, with the columns `DEMO_COLUMNS`.

    Returns
    -------
    DataFrame
        Index (demo, cohort, metric). Columns leaky, honest (means), gap (mean of leaky - honest within a
        repeat), gap_sd (standard deviation of the gap over repeats; NaN with one repeat) and reps.

    Raises
    ------
    DataError
        If a column is absent, or a repeat was not run by both protocols.

    Examples
    --------
    >>> runs = [demo_rows("slices", p, "null", 0, auc=v) for p, v in (("leaky", 0.9), ("honest", 0.5))]
    >>> demo_gaps(pd.concat(runs))["gap"].round(3).to_dict()
    {('slices', 'null', 'auc'): 0.4}
    """
    if lacking := [name for name in DEMO_COLUMNS if name not in rows]:
        raise DataError("not the rows of a demonstration", expected=", ".join(DEMO_COLUMNS),
                        got=f"no {', '.join(lacking)}")  # fmt: skip
    wide = rows.pivot(index=["demo", "cohort", "metric", "rep"], columns="protocol", values="value")
    wide = wide.reindex(columns=list(PROTOCOLS))
    if wide.isna().any(axis=None):
        demo, cohort, metric, rep = wide.index[wide.isna().any(axis=1)][0]
        raise DataError("a repeat without both protocols", expected="leaky and honest",
                        got=f"{demo}, {cohort}, {metric}, repeat {rep}")  # fmt: skip
    groups = wide.assign(gap=wide["leaky"] - wide["honest"]).groupby(level=[0, 1, 2], sort=False)
    return groups.mean().assign(gap_sd=groups["gap"].std(), reps=groups.size())
