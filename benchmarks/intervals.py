"""How often is a difference, or a result, found where there is none?

python benchmarks/intervals.py

Each column is a setting, simulated many times. The rates should be 0.05. The models are logistic and ridge
regressions, fitted in a cross-validation. The second table is the coverage of the interval of an AUC, which
should be 0.95, in a group with few patients of a class.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold

from mmfusion.metrics import bootstrap_metrics, paired_table, score_table, widened_score
from mmfusion.metrics.judged import overlap_factor
from mmfusion.radiogenomics import prediction_null

N, FEATURES, N_BOOT, N_PERMUTATIONS = 120, 10, 500, 99
CLASSES = ("0", "1")


def cross_validated(folds: int, signal: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return the predictions of two models, each with own features of equal signal."""
    y = rng.permutation(np.arange(N) % 2)
    tables = []
    for name in ("one", "ridge"):
        X = rng.normal(size=(N, FEATURES))
        X[:, 0] += signal * y
        for fold, (train, test) in enumerate(StratifiedKFold(folds).split(X, y)):
            p = LogisticRegression().fit(X[train], y[train]).predict_proba(X[test])
            keys = {"model": name, "repeat": 0, "fold": fold, "patient_id": test.astype(str)}
            own = {"y_true": y[test].astype(str), "p_0": p[:, 0], "p_1": p[:, 1]}
            tables.append(pd.DataFrame(keys | own))
    return pd.concat(tables, ignore_index=True)


def leaves_out(row: pd.Series, value: float, lo: str = "lo", hi: str = "hi") -> bool:
    return not row[lo] <= value <= row[hi]


def differences(folds: int, signal: float, runs: int) -> dict[str, float]:
    """Return how often an interval leaves out the true value."""
    rows = []
    for seed in range(runs):
        table = cross_validated(folds, signal, np.random.default_rng(seed))
        options = {"n_boot": N_BOOT, "random_state": seed}
        plain, wide = (paired_table(table, CLASSES, overlap=o, **options).loc["one"] for o in (False, True))
        row = {
            "difference, plain": leaves_out(plain, 0),
            "difference, widened": leaves_out(wide, 0),
            "difference, t-test over folds": leaves_out(plain, 0, "corrected_lo", "corrected_hi"),
        }
        if not signal:
            score = score_table(table, CLASSES, metrics=["macro_auc"], **options).loc["ridge", "macro_auc"]
            row["AUC, plain"] = leaves_out(score, 0.5)
            row["AUC, widened"] = leaves_out(widened_score(score, table), 0.5)
        rows.append(row)
    return pd.DataFrame(rows).mean().to_dict()


def permutations(folds: int, runs: int) -> dict[str, float]:
    """Return how often a ridge on noise has p of 0.05 or less, if its predictions are permuted."""
    rows = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(N // 2, FEATURES)), rng.normal(size=N // 2)
        ids = np.arange(N // 2).astype(str)
        table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ids, "true_A": y})
        for fold, (train, test) in enumerate(KFold(folds).split(X)):
            table.loc[test, "fold"] = fold
            table.loc[test, "pred_A"] = Ridge(10.0).fit(X[train], y[train]).predict(X[test])
        found = prediction_null(table, ["A"], n_permutations=N_PERMUTATIONS, random_state=seed)
        null, observed = found.null["A"], found.observed["A"]
        narrow = null.mean() + (null - null.mean()) / overlap_factor(table)
        plain, wide = ((1 + (draws >= observed).sum()) / (1 + len(draws)) for draws in (narrow, null))
        rows.append({"permuted predictions, plain": plain <= 0.05, "... widened": wide <= 0.05})
    return pd.DataFrame(rows).mean().to_dict()


def few_positives(runs: int, n: int = 25, shift: float = 1.0) -> pd.Series:
    """Return the coverage of the 95 % interval of an AUC in groups with few patients of a class."""
    true, found = norm.cdf(shift / np.sqrt(2)), {}
    for positives in (1, 2, 3, 4, 5, 10):
        y = (np.arange(n) < positives).astype(int)
        hits = []
        for seed in range(runs):
            p = expit(np.random.default_rng(seed).normal(size=n) + shift * y)
            table = np.column_stack([1 - p, p])
            options = {"metrics": ["macro_auc"], "n_boot": N_BOOT, "random_state": seed}
            row = bootstrap_metrics(y.astype(str), table, CLASSES, **options).loc["macro_auc"]
            hits.append(row["lo"] <= true <= row["hi"])
        found[positives] = np.mean(hits)
    return pd.Series(found, name="coverage").rename_axis("patients of a class, of 25")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=400)
    args = parser.parse_args()
    settings = {}
    for folds in (2, 3, 5):
        none = differences(folds, 0.0, args.runs) | permutations(folds, args.runs)
        settings[f"no signal, {folds} folds"] = none
        settings[f"equal signal, {folds} folds"] = differences(folds, 1.0, args.runs)
    print(pd.DataFrame(settings).round(3).to_string(na_rep=""))
    print(few_positives(args.runs).round(2).to_string())


if __name__ == "__main__":
    main()
