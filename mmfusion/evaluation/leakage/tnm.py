"""Demonstration of a leak through the inputs: T, N and M are given, and the stage is predicted.

The stage group is a function of T, N and M (`mmfusion.data.targets.ajcc`). A model that reads them looks the
stage up. It has learned nothing that helps a patient whose T, N and M are not yet known.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from mmfusion.data.cohort import Cohort
from mmfusion.data.load import load_cohort
from mmfusion.data.targets.ajcc import stage_group
from mmfusion.data.targets.stage import normalise_stage, target_labels
from mmfusion.errors import gathered
from mmfusion.evaluation.leakage.demos import PROTOCOLS, demo_rows, repeats
from mmfusion.evaluation.leakage.real import folder_of
from mmfusion.evaluation.leakage.registry import register_demo
from mmfusion.evaluation.leakage.tables import SIGNALS
from mmfusion.preprocessing.flat import FlatTransformer

DEMO = "TNM"
TNM_COLUMNS = ("t_stage", "n_stage", "m_stage")
_CUTS = {  # shares of the patients below each category, from small to large tumours
    "t": ((0.0, "T1a"), (0.2, "T1b"), (0.4, "T2a"), (0.65, "T2b"), (0.78, "T3"), (0.92, "T4")),
    "n": ((0.0, "N0"), (0.6, "N1"), (0.78, "N2"), (0.95, "N3")),
}
_LINK = 0.6  # correlation of the health records with size and spread, in the planted cohort
_FOLDS, _TREES = 5, 60


def _on(name: str) -> object:
    """Return the run of the demonstration on a known cohort."""

    def run(root: str | Path, seed: int, n_rep: int) -> pd.DataFrame:
        folder = folder_of(name, root)
        leaky = load_cohort(name, folder, allow_leaky=True)
        return tnm_demo(seed, n_rep, cohort=leaky)

    return run


@register_demo(
    "D3",
    DEMO,
    title="T, N and M as inputs, the stage as the label",
    leaky="The health records with T, N and M are the inputs.",
    honest="The health records without T, N and M are the inputs.",
    metric="macro_auc",
    rows=("L-6",),
    real={"lung1": _on("lung1"), "radiogenomics": _on("radiogenomics")},
)
def tnm_demo(seed: int = 0, n_rep: int = 3, *, cohort: Cohort | None = None, n: int = 200) -> pd.DataFrame:
    """Predict the stage by a random forest from health records, with T, N and M and without.

    Parameters
    ----------
    seed, n_rep : int
        Seed, and number of repeats, each with its own folds and its own synthetic patients.
    cohort : Cohort, optional
        Cohort that was loaded with `allow_leaky=True`. By default synthetic patients are used, whose stage
        follows from T, N and M by AJCC 7. In the cohort "null" the health records tell nothing about them.
    n : int
        Number of synthetic patients.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metrics `macro_auc` (mean of the AUCs of one class against the others; chance
        is 0.5), `balanced_accuracy` (chance is 1 / number of classes) and `accuracy`, by 5-fold
        cross-validation.

    Notes
    -----
    The stage of NSCLC-Radiogenomics is itself derived from pathological T, N and M.

    Examples
    --------
    >>> from mmfusion.evaluation.leakage import demo_gaps
    >>> gaps = demo_gaps(tnm_demo(n_rep=1, n=100))
    >>> bool(gaps.loc[("TNM", "null", "macro_auc"), "leaky"] > 0.9)
    True
    """
    runs: list[pd.DataFrame] = []
    for rep in repeats(n_rep):
        for name, X, y in _tables(cohort, n, seed, rep):
            known = y.notna()
            for protocol in PROTOCOLS:
                given = X if protocol == "leaky" else X.drop(columns=[("ehr", c) for c in TNM_COLUMNS])
                found = _scores(given[known], y[known].cat.remove_unused_categories(), seed + rep)
                runs.append(demo_rows(DEMO, protocol, name, rep, **found))
    return pd.concat(runs, ignore_index=True)


def _tables(cohort: Cohort | None, n: int, seed: int, rep: int) -> list[tuple[str, pd.DataFrame, pd.Series]]:
    if cohort is not None:
        return [(cohort.name, cohort.X[["ehr"]], cohort.y)]
    return [
        (signal, *_synthetic(n, np.random.default_rng([seed, rep, number]), planted=signal == "planted"))
        for number, signal in enumerate(SIGNALS)
    ]


def _synthetic(n: int, rng: np.random.Generator, *, planted: bool) -> tuple[pd.DataFrame, pd.Series]:
    """Return health records with T, N and M, and the stage."""
    size, spread = rng.standard_normal((2, n))
    spread = 0.5 * size + np.sqrt(0.75) * spread  # larger tumours spread more often
    tnm = pd.DataFrame(
        {"t_stage": _cut(size, "t"), "n_stage": _cut(spread, "n"), "m_stage": np.full(n, "M0")}
    )
    groups = [normalise_stage(stage_group(*row, edition=7)) for row in tnm.itertuples(index=False)]
    link = _LINK if planted else 0.0
    records = [link * x + np.sqrt(1 - link**2) * rng.standard_normal(n) for x in (size, spread)]
    table = pd.DataFrame(
        {
            "age": 66 + 9 * rng.standard_normal(n),
            "sex": rng.choice(["female", "male"], n),
            "pack_years": 40 + 15 * records[0],
            "weight": 75 - 12 * records[1],
        }
    ).join(tnm)
    ids = pd.Index([f"S{i:03d}" for i in range(n)], name="patient_id")
    stage = target_labels(pd.Series(groups, ids), "stage3_ajcc7")
    return pd.concat({"ehr": table.set_axis(ids)}, axis=1), stage


def _cut(values: np.ndarray, which: str) -> np.ndarray:
    """Return the category of each patient, such that the categories have given shares."""
    shares, names = zip(*_CUTS[which])
    rank = values.argsort().argsort() / len(values)
    return np.array(names)[np.searchsorted(shares, rank, side="right") - 1]


def _scores(X: pd.DataFrame, y: pd.Series, seed: int) -> dict[str, float]:
    """Return the metrics of the out-of-fold predictions of a random forest."""
    model = make_pipeline(FlatTransformer(), RandomForestClassifier(_TREES, random_state=seed))
    codes = y.cat.codes.to_numpy()
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    with gathered():  # a category may be absent from some training folds, and is then read as unknown
        probability = cross_val_predict(model, X, codes, cv=folds, method="predict_proba")
    predicted = probability.argmax(axis=1)
    return {
        "macro_auc": roc_auc_score(codes, probability, multi_class="ovr"),
        "balanced_accuracy": balanced_accuracy_score(codes, predicted),
        "accuracy": accuracy_score(codes, predicted),
    }
