"""Simulated coverage of the sets of stages: rows left out by one network, by two, or by all four.

python benchmarks/set_coverage.py   # training sets with 160 rows to learn from, 2,000 new patients each

A patient has true log-odds, an error that all networks share, and an error of each network, "spread". The
last one shrinks when four networks are averaged, so that the average is better than each of them. The four
networks of the phantom agree as those of spread 0.45 do (correlation of their log-probabilities 0.93).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.special import log_softmax, softmax

from mmfusion.nn.calibration import fit_calibration
from mmfusion.staging.stage_sets import COVERAGES, StageSets, fit_sets

MEMBERS, CLASSES = 4, 3
Scores = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # left-out probabilities, their classes, probabilities of new


def draw(n: int, shared: float, spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities of each network, shape (members, n, classes), and the classes."""
    true = 1.5 * rng.normal(size=(n, CLASSES))
    codes = (softmax(true, 1).cumsum(1) > rng.random((n, 1))).argmax(1)
    seen = true + shared * rng.normal(size=true.shape)
    each = seen + spread * rng.normal(size=(MEMBERS, n, CLASSES))
    return log_softmax(1.5 * each, 2), codes


def mean_of(log_p: np.ndarray, slope: float, bias: np.ndarray) -> np.ndarray:
    """Return the mean probability of the calibrated networks."""
    return softmax(slope * log_p + bias, -1).mean(0)


def by_one(log_p: np.ndarray, codes: np.ndarray, new: np.ndarray) -> Scores:
    """Each row is left out by one network, as `StageClassifier` does it."""
    rows = np.arange(len(codes))
    own = log_p[rows % MEMBERS, rows]
    fitted = fit_calibration(own, codes)
    return mean_of(own[None], *fitted), codes, mean_of(new, *fitted)


def by_two(log_p: np.ndarray, codes: np.ndarray, new: np.ndarray) -> Scores:
    """Half as many rows, each left out by two networks; every network is trained on as many as before."""
    rows = np.arange(len(codes) // 2)
    own = log_p[np.stack([rows % MEMBERS, (rows + 1) % MEMBERS]), rows]
    fitted = fit_calibration(own.reshape(-1, CLASSES), np.tile(codes[rows], 2))
    return mean_of(own, *fitted), codes[rows], mean_of(new, *fitted)


def by_all(log_p: np.ndarray, codes: np.ndarray, new: np.ndarray) -> Scores:
    """A quarter as many rows, left out by all networks; no network learns from them."""
    rows = np.arange(len(codes) // MEMBERS)
    own = log_p[:, rows]
    fitted = fit_calibration(own.reshape(-1, CLASSES), np.tile(codes[rows], MEMBERS))
    return mean_of(own, *fitted), codes[rows], mean_of(new, *fitted)


def limit(log_p: np.ndarray, codes: np.ndarray, new: np.ndarray) -> Scores:
    """All rows left out by all networks: as many further patients, which a real training does not have."""
    fitted = fit_calibration(log_p.reshape(-1, CLASSES), np.tile(codes, MEMBERS))
    return mean_of(log_p, *fitted), codes, mean_of(new, *fitted)


WAYS: dict[str, Callable[..., Scores]] = {
    "by one network (today)": by_one,
    "by two, half the rows": by_two,
    "by all, a quarter of the rows": by_all,
    "by all, all rows (not possible)": limit,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=100)
    args = parser.parse_args()
    print("| spread | left out | mean coverage | SD over training sets | all within .03 | mean size |")
    print("|---|---|---|---|---|---|")
    for shared, spread in ((0.8, 0.45), (0.8, 0.8)):
        rng = np.random.default_rng(0)
        found: dict[str, list] = {name: [] for name in WAYS}
        for _ in range(args.repeats):
            (log_p, codes), (new, truth) = (draw(n, shared, spread, rng) for n in (args.rows, 2000))
            for name, way in WAYS.items():
                own, own_codes, proba = way(log_p, codes, new)
                found[name].append(coverage(fit_sets(own, own_codes), proba, truth))
        for name, values in found.items():
            hit, size = np.moveaxis(np.array(values), -1, 0)
            within = (np.abs(hit - COVERAGES) <= 0.03).all(axis=1).mean()
            texts = [" / ".join(f"{v:.3f}" for v in part) for part in (hit.mean(0), hit.std(0))]
            print(
                f"| {spread} | {name} | {texts[0]} | {texts[1]} | {within:.0%} | {size.mean():.2f} |",
                flush=True,
            )


def coverage(sets: StageSets, proba: np.ndarray, truth: np.ndarray) -> list[tuple[float, float]]:
    """Return coverage and mean size of the sets at each level."""
    inside = [sets.members(proba, level) for level in COVERAGES]
    return [(one[np.arange(len(truth)), truth].mean(), one.sum(axis=1).mean()) for one in inside]


if __name__ == "__main__":
    main()
