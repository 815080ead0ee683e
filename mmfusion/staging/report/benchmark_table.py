"""Tables of the benchmark: scores, differences to ridge, time and memory of each model."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mmfusion.evaluation import NestedResult
from mmfusion.metrics import holm, paired_table
from mmfusion.metrics.written import p_text, signed_text, unbroken, value_text

METRICS = ("macro_auc", "macro_f1")
_TITLES = {"macro_auc": "macro-AUC", "macro_f1": "macro-F1"}
_ALPHA = 0.05


def table(result: NestedResult, reference: str = "ridge") -> pd.DataFrame:
    """Return one row per model: scores with intervals, difference to the reference, time and memory.

    Parameters
    ----------
    result : NestedResult
        Result of `run`.
    reference : str
        Model that the others are compared with.

    Returns
    -------
    DataFrame
        Index model, sorted by macro-AUC. Columns, for each of macro-AUC and macro-F1: the mean over folds,
        `_lo` and `_hi` (95 % bootstrap over patients), `_diff`, `_diff_lo` and `_diff_hi` (difference to the
        reference with the interval of Nadeau and Bengio 2003 over folds), and `_p_holm` (its p-value,
        adjusted over the models by Holm's method). `accuracy`; `seconds` of the processor and `peak_mib`,
        MiB, of one fit with its predictions.
    """
    found = pd.DataFrame(index=pd.Index(result.models, name="model"))
    for metric in METRICS:
        scores = result.scores[metric]
        against = paired_table(result.predictions, result.classes, reference, metric=metric, n_boot=200)
        p_holm = pd.Series(holm(against["corrected_p"]), against.index)
        against = against.reindex(found.index)
        found[metric] = scores["mean"]
        found[f"{metric}_lo"], found[f"{metric}_hi"] = scores["lo"], scores["hi"]
        found[f"{metric}_diff"] = against["diff"]
        found[f"{metric}_diff_lo"] = against["corrected_lo"]
        found[f"{metric}_diff_hi"] = against["corrected_hi"]
        found[f"{metric}_p_holm"] = p_holm
    found["accuracy"] = result.scores["accuracy"]["mean"]
    whole = [fold for fold in result.folds if fold.train_fraction == 1]
    cost = pd.DataFrame([(f.model, f.cpu_seconds, f.peak_mib) for f in whole]).groupby(0)
    found["seconds"], found["peak_mib"] = cost[1].mean(), cost[2].max()
    return found.sort_values("macro_auc", ascending=False, kind="stable")


def to_metrics(tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, dict[str, object]]]:
    """Return the tables as JSON values: cohort -> model -> scores; NaN becomes None.

    Examples
    --------
    >>> to_metrics({"demo": pd.DataFrame({"macro_auc": [0.7]}, index=["ridge"])})
    {'demo': {'ridge': {'macro_auc': 0.7}}}
    """
    return {
        name: {
            model: {key: None if pd.isna(value) else float(value) for key, value in row.items()}
            for model, row in frame.to_dict("index").items()
        }
        for name, frame in tables.items()
    }


def shown_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of all models with their intervals, time and memory, as text for a report.

    Parameters
    ----------
    table : DataFrame
        Result of `table`.
    """
    out = pd.DataFrame(index=table.index)
    for metric in METRICS:
        own = table[[metric, f"{metric}_lo", f"{metric}_hi"]].set_axis(["mean", "lo", "hi"], axis=1)
        out[_TITLES[metric]] = [unbroken(value_text(row)) for _, row in own.iterrows()]
    out["accuracy"] = table["accuracy"].map("{:.3f}".format)
    out["seconds"] = table["seconds"].map("{:.1f}".format)
    out["memory, MiB"] = table["peak_mib"].map("{:.0f}".format)
    return out


def shown_differences(table: pd.DataFrame) -> pd.DataFrame:
    """Return the differences to the reference with corrected intervals and p, as text for a report.

    Parameters
    ----------
    table : DataFrame
        Result of `table`. The reference has no difference and is left out.
    """
    others = table[table["macro_auc_diff"].notna()]
    out = pd.DataFrame(index=others.index)
    for metric in METRICS:
        gap = others[[f"{metric}_{end}" for end in ("diff", "diff_lo", "diff_hi")]]
        gap = gap.set_axis(["diff", "lo", "hi"], axis=1)
        out[_TITLES[metric]] = [unbroken(signed_text(row)) for _, row in gap.iterrows()]
        out[f"p of {_TITLES[metric]}"] = [p_text(p) for p in others[f"{metric}_p_holm"]]
    return out


def sentence(result: NestedResult, table: pd.DataFrame) -> str:
    """Return the result of one cohort in one or two sentences.

    Parameters
    ----------
    result : NestedResult
        Result of `benchmark.run`.
    table : DataFrame
        Its `table`.
    """
    first, row = table.index[0], table.loc[result.main]
    text = f"{result.cohort}: the largest macro-AUC is {table['macro_auc'].iloc[0]:.3f} ({first})"
    if first != result.main:
        text += f"; {result.main} has {row['macro_auc']:.3f}"
    better = table.index[(table["macro_auc_p_holm"] < _ALPHA) & (table["macro_auc_diff"] > 0)]
    if len(better):
        return f"{text}. Better than ridge by more than chance: {', '.join(better)}."
    return f"{text}. No model is better than ridge by more than chance."
