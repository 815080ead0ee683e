"""Values of groups of patients, and the differences between groups, for one model and one metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import MMFusionError
from mmfusion.metrics.folds import ModelPredictions
from mmfusion.metrics.intervals import bootstrap_weights


def group_draws(
    model: ModelPredictions, members: pd.Series, metric: str, n_boot: int, random_state: int
) -> np.ndarray:
    """Return the metric of a group, and of its resamples.

    Every class keeps its size, except for metrics that depend on the shares of the classes.
    """
    rows = np.flatnonzero(members)
    _, one_each, person = np.unique(model.person_ids[rows], return_index=True, return_inverse=True)
    weights = np.zeros((len(members), 1 + n_boot))
    vary = model.depends_on_shares(metric)
    strata = np.zeros(len(one_each), int) if vary else model.codes[rows][one_each]
    weights[rows] = bootstrap_weights(strata, n_boot, random_state)[person]
    with np.errstate(all="ignore"):
        return model.draws(f"{metric}_pooled", weights)


def group_gap(
    model: ModelPredictions, groups: pd.Series, kept: Sequence[str], metric: str
) -> dict[str, object]:
    """Return the difference and the ratio of the groups, as fairlearn defines them.

    The difference has no interval. It is the largest value minus the smallest, in each resample too, so it is
    never below 0, and an interval would exclude 0 even if all groups were equal. `chance_of_gap` says if the
    difference is larger than chance.
    """
    frame = _metric_frame(model, groups, kept, metric)
    values = frame.by_group[metric].astype(float)
    return {
        "lowest": values.idxmin(),
        "highest": values.idxmax(),
        "difference": float(frame.difference()[metric]),
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
    """Return the share of random groups that differ at least as much.

    A random group has as many persons of each class as the real one: the groups are exchanged within each
    class. A group with few patients of a class has an uncertain value, and its random groups have so too.
    """
    rng = np.random.default_rng(random_state)
    rows = np.flatnonzero(groups.isin(kept))
    own = pd.Index(list(kept)).get_indexer(groups.to_numpy()[rows])
    drawn = random_groups(own, model.codes[rows], model.person_ids[rows], n_permutations, rng)
    weights = np.zeros((len(groups), n_permutations))
    values = []
    for group in range(len(kept)):
        weights[rows] = (drawn == group).T
        with np.errstate(all="ignore"):
            values.append(model.draws(f"{metric}_pooled", weights))
    of_random = np.fmax.reduce(values) - np.fmin.reduce(values)  # NaN if no group has a value
    of_random = of_random[np.isfinite(of_random)]
    return float((1 + (of_random >= difference - 1e-12).sum()) / (1 + len(of_random)))


def random_groups(
    groups: np.ndarray,
    codes: np.ndarray,
    person_ids: np.ndarray,
    n_permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Exchange the groups of persons within each class, many times.

    If they were exchanged between classes too, the random groups would all have the class shares of the
    cohort. A group with few patients of a class would then look unusual only because its value is uncertain.

    Parameters
    ----------
    groups, codes, person_ids : ndarray of int, shape (n,)
        Group, class and person of each patient id. All ids of a person move together; group and class of a
        person are those of the first id.
    n_permutations : int
        Number of permutations.
    rng : Generator
        Source of random numbers.

    Returns
    -------
    ndarray of int, shape (n_permutations, n)
        Random group of each patient id.

    Examples
    --------
    >>> groups, codes = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 1])
    >>> drawn = random_groups(groups, codes, np.arange(5), 3, np.random.default_rng(0))
    >>> [sorted(row[codes == 1].tolist()) for row in drawn]  # one of group 0, as in reality
    [[0, 1, 1], [0, 1, 1], [0, 1, 1]]
    """
    _, first, person = np.unique(person_ids, return_index=True, return_inverse=True)
    own, of_class = groups[first], codes[first]
    drawn = np.empty((n_permutations, len(own)), dtype=int)
    for code in np.unique(of_class):
        members = np.flatnonzero(of_class == code)
        order = np.argsort(rng.random((n_permutations, len(members))), axis=1)
        drawn[:, members] = own[members][order]
    return drawn[:, person]
