"""The default model on three public cohorts, compared with simple models on the same folds.

python benchmarks/cohorts.py lung1 radiogenomics tcga_luad --data DATA --seed 100

There is one default for all cohorts, and no search. Choices were made with the fold seed 100. The seed
2026 is for the final figures only. With `--out`, finished folds are kept, and the same command resumes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

import mmfusion as mf
from mmfusion.data.cohort import presence
from mmfusion.evaluation.baselines import forest, ridge
from mmfusion.metrics import paired_table, score_table
from mmfusion.modalities import IMAGING, RESERVED
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.staging.decision import make_decision

FOLDERS = {"lung1": "lung1", "radiogenomics": "nsclc_radiogenomics", "tcga_luad": "tcga"}
TARGETS = {"radiogenomics": "stage3_ajcc7"}
METRICS = ("macro_auc", "macro_f1", "balanced_accuracy", "accuracy", "brier", "log_loss")


class SameRule(ClassifierMixin, BaseEstimator):
    """A simple model with the decision of `StageClassifier`, learned on three inner folds."""

    def __init__(self, estimator: BaseEstimator, random_state: int = 0) -> None:
        self.estimator = estimator
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: pd.Series) -> SameRule:
        self.estimator_ = clone(self.estimator).fit(X, y)
        self.classes_ = self.estimator_.classes_
        folds = StratifiedKFold(3, shuffle=True, random_state=self.random_state)
        held_out = cross_val_predict(clone(self.estimator), X, y, cv=folds, method="predict_proba")
        codes = pd.Index(self.classes_).get_indexer(np.asarray(y))
        self.decision_ = make_decision("macro_f1", held_out, codes, self.classes_)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return self.estimator_.predict_proba(X)

    def decide(self, proba: np.ndarray) -> np.ndarray:
        return np.asarray(self.classes_)[self.decision_.codes(proba)]

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.decide(self.predict_proba(X))


def load(name: str, data: Path) -> mf.Cohort:
    """Return a cohort; scans are left out, because the folder has the scan of one patient only."""
    cohort = mf.load_cohort(name, root=data / FOLDERS[name])
    scans = [c for c in cohort.table.columns if c[0] in IMAGING and c[1] in RESERVED]
    cohort = replace(cohort, table=cohort.table.drop(columns=scans))
    if name in TARGETS:
        cohort = cohort.with_target(TARGETS[name])
    if name == "tcga_luad":  # complete patients, as in published comparisons
        complete = presence(cohort.X).all(axis=1)
        cohort = cohort.select(patients=complete.index[complete])
    return cohort


def simple_models(seed: int, *, same_rule: bool) -> dict[str, BaseEstimator]:
    boosting = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=8, random_state=seed
    )
    models = {
        "ridge": ridge(random_state=seed),
        "forest": forest(random_state=seed),
        "boosting": make_pipeline(FlatTransformer(n_genes=1000), boosting),
    }
    return {name: SameRule(model) for name, model in models.items()} if same_rule else models


def prevalence(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return the mean predicted probability of each class, and its share among the held-out patients."""
    rows = {
        m: r[[f"p_{c}" for c in classes]].mean().to_numpy() for m, r in table.groupby("model", sort=False)
    }
    one = table[table["model"] == table["model"].iloc[0]]
    rows["share of the patients"] = one["y_true"].value_counts(normalize=True).reindex(classes).to_numpy()
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(classes))


def report(result: mf.evaluation.NestedResult, seconds: pd.Series) -> None:
    table, classes = result.predictions, list(result.classes)
    scores = score_table(table, classes, metrics=METRICS, n_boot=500)
    print(f"\n{result.cohort}, {result.target}, n = {result.n}")
    print(scores.xs("mean", axis=1, level=1).assign(**{"s per fit": seconds}).round(3).to_string())
    for metric in ("macro_auc", "macro_f1"):
        for reference in ("ridge", "forest"):
            found = paired_table(table, classes, reference, metric=metric, n_boot=200).loc[result.main]
            lo, hi = found["corrected_lo"], found["corrected_hi"]
            print(f"{metric}: {result.main} - {reference} = {found['diff']:+.3f} [{lo:+.3f}, {hi:+.3f}]")
    print(prevalence(table, classes).round(3).to_string())
    mine = table[table["model"] == result.main]
    recalls = (mine["y_pred"] == mine["y_true"]).groupby(mine["y_true"]).mean().reindex(classes)
    print(f"recall of each class: {recalls.round(3).to_dict()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cohorts", nargs="+", choices=list(FOLDERS))
    parser.add_argument("--data", type=Path, required=True, help="folder with the official files")
    parser.add_argument("--seed", type=int, default=100, help="seed of the folds and fits")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--out", type=Path, help="folder for finished folds and predictions.csv")
    parser.add_argument("--same-rule", action="store_true", help="simple models use our decision too")
    parser.add_argument("--where", default="serial", help="auto: folds on all cores")
    args = parser.parse_args()
    for name in args.cohorts:
        folder = args.out and args.out / f"{name}-{args.seed}{'-same-rule' if args.same_rule else ''}"
        result = mf.nested_cv(
            mf.StageClassifier(),
            load(name, args.data),
            repeats=args.repeats,
            random_state=args.seed,
            baselines=simple_models(args.seed, same_rule=args.same_rule),
            out=folder,
            where=args.where,
            progress=False,
        )
        if folder:
            result.predictions.to_csv(folder / "predictions.csv", index=False)
        seconds = pd.DataFrame([(f.model, f.seconds) for f in result.folds]).groupby(0)[1].mean()
        report(result, seconds)


if __name__ == "__main__":
    main()
