"""Values of groups of patients, and the differences between groups, for one model and one metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import MMFusionError
from mmfusion.metrics.folds import ModelPredictions
from mmfusion.metrics.intervals import bootstrap_weights, interval


def group_draws(
    model: ModelPredictions, members: pd.Series, metric: str, n_boot: int, random_state: int
) -> np.ndarray:
    """Return the metric of a group, and of its resamples; every class keeps its size."""
    rows = np.flatnonzero(members)
    _, one_each, person = np.unique(model.person_ids[rows], return_index=True, return_inverse=True)
    weights = np.zeros((len(members), 1 + n_boot))
    weights[rows] = bootstrap_weights(model.codes[rows][one_each], n_boot, random_state)[person]
    with np.errstate(all="ignore"):
        return model.draws(f"{metric}_pooled", weights)


def group_gap(
    model: ModelPredictions,
    groups: pd.Series,
    kept: Sequence[str],
    draws: Mapping[str, np.ndarray],
    metric: str,
) -> dict[str, object]:
    """Return the difference and the ratio of the groups as fairlearn defines them, with an interval."""
    frame = _metric_frame(model, groups, kept, metric)
    values = frame.by_group[metric].astype(float)
    several = np.stack([draws[g] for g in kept])
    lo, hi = interval(several[:, 1:].max(axis=0) - several[:, 1:].min(axis=0))
    return {
        "lowest": values.idxmin(),
        "highest": values.idxmax(),
        "difference": float(frame.difference()[metric]),
        "lo": lo,
        "hi": hi,
        "ratio": float(frame.ratio()[metric]),
    }


def _metric_frame(model: ModelPredictions, groups: pd.Series, kept: Sequence[str], metric: str) -> object:
    """Return fairlearn's table of a metric by group; each patient is a row, with all its predictions."""
    try:
        from fairlearn.metrics import MetricFrame
    except ImportError as error:
        raise MMFusionError(
            "the comparison of groups needs fairlearn", hint="pip install 'mmfusion[fairness]'"
        ) from error

    def of_patients(_: np.ndarray, patients: np.ndarray) -> float:
        weights = np.zeros((len(model.patients), 1))
        weights[np.asarray(patients, dtype=int)] = 1
        return float(model.draws(f"{metric}_pooled", weights)[0])

    rows = np.flatnonzero(groups.isin(kept))
    return MetricFrame(
        metrics={metric: of_patients},
        y_true=model.codes[rows],
        y_pred=rows,
        sensitive_features=pd.Series(groups.to_numpy()[rows], name="group"),
    )


def chance_of_gap(
    model: ModelPredictions,
    groups: pd.Series,
    kept: Sequence[str],
    metric: str,
    difference: float,
    n_permutations: int,
    random_state: int,
) -> float:
    """Return the share of random groups, of the same sizes, that differ at least as much."""
    rng = np.random.default_rng(random_state)
    rows = np.flatnonzero(groups.isin(kept))
    own = groups.to_numpy()[rows]
    order = np.argsort(rng.random((n_permutations, len(rows))), axis=1)
    weights = np.zeros((len(groups), n_permutations))
    values = []
    for group in kept:
        weights[rows] = (own[order] == group).T
        with np.errstate(all="ignore"):
            values.append(model.draws(f"{metric}_pooled", weights))
    of_random = np.fmax.reduce(values) - np.fmin.reduce(values)  # NaN if no group has a value
    of_random = of_random[np.isfinite(of_random)]
    return float((1 + (of_random >= difference - 1e-12).sum()) / (1 + len(of_random)))
