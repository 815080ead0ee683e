"""How much of the macro-F1 is the rule that names a class? The ridge with the rule of the stage model.

    python benchmarks/decision_rule.py lung1 radiogenomics tcga_luad --data DATA --seed 2027

The rule of `StageClassifier` multiplies the probability of each class by a weight, so that rare stages are
named too. Here the ridge uses it as well, with weights from five inner folds. The outer folds are those of
`real_cohorts.py` with the same seed. Probabilities, and so macro-AUC, stay the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from real_cohorts import FOLDERS, TITLES
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import StratifiedKFold, cross_val_predict

import mmfusion as mf
from mmfusion.evaluation import ridge
from mmfusion.metrics import paired_table
from mmfusion.staging.decision import make_decision
from mmfusion.staging.report import benchmark


class WithRule(ClassifierMixin, BaseEstimator):
    """Classifier that names classes by the rule for macro-F1, learned on its left-out predictions."""

    def __init__(self, estimator: BaseEstimator, random_state: int = 0) -> None:
        self.estimator = estimator
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: pd.Series) -> WithRule:
        folds = StratifiedKFold(5, shuffle=True, random_state=self.random_state)
        left_out = cross_val_predict(clone(self.estimator), X, y, cv=folds, method="predict_proba")
        self.estimator_ = clone(self.estimator).fit(X, y)
        self.classes_ = self.estimator_.classes_
        codes = pd.Index(self.classes_).get_indexer(np.asarray(y))
        self.decision_ = make_decision("macro_f1", left_out, codes, self.classes_)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return self.estimator_.predict_proba(X)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.classes_[self.decision_.codes(self.predict_proba(X))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cohorts", nargs="+", choices=list(FOLDERS))
    parser.add_argument("--data", type=Path, required=True, help="folder with the official files")
    parser.add_argument("--seed", type=int, default=100, help="seed of the folds and fits")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--n-jobs", type=int, default=2)
    args = parser.parse_args()
    print("| cohort | macro-F1 of ridge: most probable class | with the rule | difference | accuracy: both |")
    print("|---|---|---|---|---|")
    for name in args.cohorts:
        cohort = benchmark.load(name, args.data / FOLDERS[name])
        plain = ridge(cohort.modalities, random_state=args.seed)
        result = mf.nested_cv(
            WithRule(plain, args.seed), cohort, name="the rule", baselines={"ridge": plain}, outer=5,
            repeats=args.repeats, random_state=args.seed, n_jobs=args.n_jobs, progress=False,
        )  # fmt: skip
        f1, accuracy = (result.scores[m]["mean"] for m in ("macro_f1", "accuracy"))
        gap = paired_table(result.predictions, result.classes, "ridge", metric="macro_f1").loc["the rule"]
        print(
            f"| {TITLES[name].split(':')[0]} | {f1['ridge']:.3f} | {f1['the rule']:.3f} | {gap['diff']:+.3f} "
            f"[{gap['lo']:+.3f}, {gap['hi']:+.3f}] | {accuracy['ridge']:.3f}, {accuracy['the rule']:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
