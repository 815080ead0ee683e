"""The study of subgroups: models with balanced training rows, and what the report says about groups."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from sklearn.base import clone

from mmfusion.data.cohort import Cohort
from mmfusion.evaluation.by_subgroup import Subgroups
from mmfusion.evaluation.result import NestedResult
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.written import unbroken, value_text
from mmfusion.nn.training.plan import BALANCES
from mmfusion.staging.classifier import StageClassifier

MAIN = "as it is"
_NAMES = {"reweight": "reweighted", "oversample": "oversampled"}


def default_balance(cohort: Cohort) -> str:
    """Return what the training rows are balanced by: the site, or the class if all patients are of one site.

    Examples
    --------
    >>> from mmfusion import phantom
    >>> [default_balance(phantom(40, modalities=("ehr",), sites=n)[0]) for n in (1, 3)]
    ['class', 'meta.site']
    """
    sites = cohort.table["meta", "site"] if ("meta", "site") in cohort.table else pd.Series(dtype=str)
    return "meta.site" if sites.nunique() > 1 else "class"


def balanced_models(model: StageClassifier, by: str) -> dict[str, StageClassifier]:
    """Return the model with reweighted and with oversampled training rows, by name.

    Parameters
    ----------
    model : StageClassifier
        Model without balance.
    by : str
        "class", or a column such as "meta.site".

    Examples
    --------
    >>> list(balanced_models(StageClassifier(), "ehr.sex"))
    ['reweighted', 'oversampled']
    """
    return {
        _NAMES[how]: clone(model).set_params(training__balance=how, training__balance_by=by)
        for how in BALANCES
    }


def verdict(found: Subgroups, model: str, metric: str = "macro_auc") -> list[str]:
    """Return sentences about the differences between groups; the first is the answer."""
    gaps = found.gaps[(found.gaps["model"] == model) & (found.gaps["metric"] == metric)]
    if gaps.empty:
        return ["No grouping has two groups that are large enough to be compared.", *found.notes]
    clear = gaps[gaps["p_holm"] < 0.05]
    names = ", ".join(clear["by"])
    n = len(gaps)
    first = (
        f"The {metric_title(metric)} differs between groups by {names}, more than between random groups."
        if len(clear)
        else f"No difference in {metric_title(metric)} between groups is larger than between random groups."
    )
    largest = gaps.loc[gaps["p_chance"].idxmin()]
    rows = found.table[(found.table["model"] == model) & (found.table["metric"] == metric)]
    rows = rows[rows["by"] == largest["by"]].set_index("group")
    return [
        f"{first} Groupings compared: {n}; p-values are adjusted for their number (Holm).",
        f"The clearest difference is that by {largest['by']}: {_group(rows, largest['lowest'])} to "
        f"{_group(rows, largest['highest'])}. Among random groups with as many patients of each class, "
        f"{largest['p_chance']:.1%} differ at least as much.",
        "A real difference can be missed, because small groups have wide intervals.",
    ]


def effect(result: NestedResult, reference: str = MAIN) -> list[str]:
    """Return a sentence per balanced model: its macro-AUC for all patients beside that of the plain model."""
    paired = result.paired(reference)
    lines = []
    for name in [m for m in result.models if m in _NAMES.values()]:
        row = paired.loc[name]
        says = "better" if row["lo"] > 0 else "worse" if row["hi"] < 0 else "not shown to be better or worse"
        lines.append(
            f"{name}: {says} for all patients together (macro-AUC {row['diff']:+.3f} "
            f"[{row['lo']:+.3f}, {row['hi']:+.3f}])."
        )
    return lines


def shown_table(found: Subgroups, models: Sequence[str], metric: str = "macro_auc") -> pd.DataFrame:
    """Return the groups that are judged, with a column of text per model, such as "0.71 [0.60, 0.82]"."""
    rows = found.table[(found.table["metric"] == metric) & found.table["model"].isin(list(models))]
    rows = rows[rows["value"].notna()]
    cells = rows.assign(text=[_cell(row) for row in rows.itertuples()])
    wide = cells.pivot_table("text", ["by", "group", "n"], "model", aggfunc="first", sort=False)
    wide = wide.reindex(columns=list(models)).reset_index()
    return wide.set_index("by").rename_axis(columns=None)


def shown_gaps(
    found: Subgroups, models: Sequence[str], metrics: Sequence[str] = ("macro_auc", "balanced_accuracy")
) -> pd.DataFrame:
    """Return the differences between groups for a report, rounded.

    A difference between the highest and the lowest group has no interval, see `Subgroups`; p says if it is
    larger than chance.
    """
    gaps = found.gaps[found.gaps["model"].isin(list(models)) & found.gaps["metric"].isin(list(metrics))]
    gaps = gaps.assign(metric=gaps["metric"].map(metric_title))
    gaps = gaps.rename(columns={"p_chance": "p", "p_holm": "p (Holm)"})
    columns = ["by", "model", "metric", "lowest", "highest", "difference", "ratio", "p", "p (Holm)"]
    return gaps[columns].round(3).set_index("by")


def _group(rows: pd.DataFrame, group: str) -> str:
    row = rows.loc[group]
    return f"{row['value']:.3f} ({group}, n = {row['n']})"


def _cell(row: object) -> str:
    text = unbroken(value_text({"mean": row.value, "lo": row.lo, "hi": row.hi}))
    return f"{text}; {row.said}" if row.said else text
