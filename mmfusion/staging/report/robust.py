"""Sentences and tables of the report of robustness, from `evaluation.robustness`."""

from __future__ import annotations

import pandas as pd

from mmfusion.metrics.names import metric_title
from mmfusion.metrics.written import signed_text, unbroken, value_text

LIMITS = (
    "The changes are made in the image and in the tables. A real scan with less dose or another kernel is "
    "reconstructed from other raw data (a sinogram), which the cohort does not have. Low dose is therefore "
    "noise in the image, without streaks and without stronger noise behind bones.",
    "The SD of the noise, also that of a low dose, is per voxel of the scan. The model averages the scan to "
    "its own, usually larger voxels, so less noise is left in what it reads.",
    "Contrast multiplies all HU by a factor, as a wrong calibration would. It is not contrast agent. Values "
    "below -1024 HU, such as air with a factor above 1, are cut off.",
    "Thick slices are averages of the thin ones, put back on the old positions. A soft kernel is a Gaussian "
    "blur within each slice; a sharp kernel adds the difference to the blurred image. Neither acts between "
    "slices.",
    "The changes of a CT replace only the scan. Features that were measured from it before, such as columns "
    "of radiomics, stay as they are. A model that reads them looks more robust than it is.",
    "A batch shift moves each gene by a random amount that all patients share. Real batches also change the "
    "spread, and shift genes together.",
    "The models were not trained with these changes, except for the random changes of their training scans.",
    "Each change was drawn once, with the seed of the report.",
)
_SHOWN = 20  # warnings that the report lists


def verdict(found: pd.DataFrame, metric: str = "macro_auc") -> list[str]:
    """Return sentences about the changes that lower a metric; the first is the answer.

    "Lowers" means that the paired 95 % interval over patients lies below 0. A change with two directions,
    such as a factor below and above 1, is named with the weakest strength on each side. The first row of each
    perturbation must be the unchanged one, as in `evaluation.robustness`.

    Examples
    --------
    >>> rows = pd.DataFrame({"strength": [1.0, 0.8, 0.9, 1.1], "change": [0.0, -0.2, -0.1, -0.1]})
    >>> rows = rows.assign(perturbation="contrast", unit="factor", metric="macro_auc", value=0.6)
    >>> rows = rows.assign(change_lo=-0.3, change_hi=[0.0, -0.1, -0.01, -0.01], other_class=0.1)
    >>> verdict(rows)[0]
    '1 of 1 changes of the inputs lower the macro-AUC: contrast from 0.9 and from 1.1 (factor).'
    """
    rows = found[(found["metric"] == metric) & (found["change_hi"] < 0)]
    n = found["perturbation"].nunique()
    if rows.empty:
        first = f"No change of the inputs clearly lowers the {metric_title(metric)} ({n} kinds were tried)."
        return [first, *_worst(found, metric)]
    none = found.groupby("perturbation", sort=False)["strength"].first()
    parts = [
        f"{name} {_weakest(lower['strength'], none[name])} ({lower['unit'].iloc[0]})"
        for name, lower in rows.groupby("perturbation", sort=False)
    ]
    first = f"{len(parts)} of {n} changes of the inputs lower the {metric_title(metric)}: {'; '.join(parts)}."
    return [first, *_worst(found, metric)]


def _weakest(strengths: pd.Series, none: float) -> str:
    """Return the strengths nearest to the unchanged one, below it and above it, as text."""
    below, above = strengths[strengths < none], strengths[strengths > none]
    nearest = [*([below.max()] if len(below) else []), *([above.min()] if len(above) else [])]
    return " and ".join(f"from {strength:g}" for strength in nearest)


def strongest(found: pd.DataFrame, metric: str = "macro_auc") -> pd.DataFrame:
    """Return a row per perturbation: the strength with the largest loss of a metric, and its interval."""
    rows = _changed(found, metric)
    rows = rows.loc[rows.groupby("perturbation", sort=False)["change"].idxmin()]
    return _texts(rows, metric)


def shown_table(found: pd.DataFrame, metric: str = "macro_auc") -> pd.DataFrame:
    """Return all strengths with a metric as text, for a report; n is in the table of `strongest`."""
    return _texts(found[found["metric"] == metric], metric).drop(columns="n")


def warnings_of(found: pd.DataFrame) -> list[str]:
    """Return the warnings of the models for changed inputs that they did not give for the unchanged ones."""
    pairs = [text.split(": ", 1) for text in found.attrs.get("warnings", ())]
    usual = {text for name, text in pairs if name == "unchanged"}
    given = [f"{name}: {text}" for name, text in pairs if text not in usual]
    more = [f"... and {len(given) - _SHOWN} more"] if len(given) > _SHOWN else []
    return [*given[:_SHOWN], *more]


def _worst(found: pd.DataFrame, metric: str) -> list[str]:
    row = _changed(found, metric).sort_values("change").iloc[0]
    return [
        f"The largest loss is that by {row['perturbation']} at {row['strength']:g} ({row['unit']}): "
        f"{metric_title(metric)} {row['value']:.3f}, change {_signed(row)}; another class is named for "
        f"{row['other_class']:.0%} of the patients.",
        "A curve that does not fall may also mean that the models hardly use this input.",
        "The intervals are over patients. They are not adjusted for the number of changes.",
    ]


def _changed(found: pd.DataFrame, metric: str) -> pd.DataFrame:
    rows = found[found["metric"] == metric]
    return rows[rows.groupby("perturbation").cumcount() > 0]  # the first changes nothing


def _texts(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    title = metric_title(metric)
    texts = {
        "strength": rows["strength"],
        "unit": rows["unit"],
        "n": rows["n"],
        "other class": [f"{share:.0%}" for share in rows["other_class"]],
        title: [unbroken(value_text({"mean": r.value, "lo": r.lo, "hi": r.hi})) for r in rows.itertuples()],
        f"change of {title}": [unbroken(_signed(row)) for _, row in rows.iterrows()],
    }
    return pd.DataFrame(texts).set_axis(rows["perturbation"].rename("change"), axis=0)


def _signed(row: pd.Series) -> str:
    return signed_text({"diff": row["change"], "lo": row["change_lo"], "hi": row["change_hi"]})
