"""All fusions on the phantom: macro-AUC, macro-F1 and log-loss over many seeds, on the same folds.

    python benchmarks/fusions.py --out OUT --seeds 101 102 103 104 105 106 107 108 109 110
    python benchmarks/fusions.py --out OUT --modalities rna ehr --n 300    # without scans it takes minutes

The difference to `crossmodal` is paired by seed; its interval is that of a t-test over seeds. Each seed is
another cohort, so that the seeds are independent. Finished folds are kept in OUT.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import mmfusion as mf
from mmfusion.evaluation.baselines import forest, ridge

METRICS = ("macro_auc", "macro_f1", "log_loss")
REFERENCE = "crossmodal"


def judge(seed: int, args: argparse.Namespace) -> pd.DataFrame:
    """Return the scores of all fusions on one cohort; index model, columns metric."""
    cohort, optimum = mf.phantom(args.n, seed, family=args.family, modalities=args.modalities)
    model = mf.StageClassifier() if args.preset == "default" else mf.StageClassifier.from_preset(args.preset)
    result = mf.nested_cv(
        model,
        cohort,
        outer=args.outer,
        baselines={"ridge": ridge(random_state=seed), "forest": forest(random_state=seed)},
        fusions=[name for name in mf.list_fusions().index if name != REFERENCE],
        random_state=seed,
        out=args.out / "-".join([args.preset, args.family, *args.modalities, str(args.n), str(seed)]),
        where=args.where,
        n_jobs=2,
        progress=False,
    )
    scores = result.scores.xs("mean", axis=1, level=1)[list(METRICS)]
    best = optimum.loc["observed", "macro_auc"]
    print(f"seed {seed}, optimum {best:.3f}\n{scores.round(3).to_string()}", flush=True)
    return scores.assign(share=scores["macro_auc"] / best)


def summary(scores: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Return mean scores over seeds, and the paired difference to crossmodal with its 95 % interval."""
    every = pd.concat(scores, names=["seed"])
    out = every.groupby(level=1).mean()
    for metric in ("macro_auc", "macro_f1"):
        wide = every[metric].unstack()
        gap = wide.sub(wide[REFERENCE], axis=0)
        half = stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap))
        out[f"{metric} minus {REFERENCE}"] = [
            ""
            if name == REFERENCE
            else f"{gap[name].mean():+.3f} [{gap[name].mean() - half[name]:+.3f}, "
            f"{gap[name].mean() + half[name]:+.3f}]"
            for name in out.index
        ]
    return out.sort_values("macro_auc", ascending=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for finished folds")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(101, 111)))
    parser.add_argument("--preset", default="demo", help="demo, or default: StageClassifier()")
    parser.add_argument("--family", default="ordered", choices=("ordered", "nominal"))
    parser.add_argument("--modalities", nargs="+", default=["ct", "rna", "ehr"])
    parser.add_argument("--n", type=int, default=120, help="patients")
    parser.add_argument("--outer", type=int, default=3, help="outer folds")
    parser.add_argument("--where", default="loky", help="serial, or loky: folds in processes")
    args = parser.parse_args()
    table = summary({seed: judge(seed, args) for seed in args.seeds})
    print(f"\n{len(args.seeds)} seeds, n = {args.n}, {args.outer} folds, preset {args.preset}\n")
    print(f"| fusion | {' | '.join(table.columns)} |\n|{'---|' * (len(table.columns) + 1)}")
    for name, row in table.iterrows():
        print(f"| {name} | {' | '.join(v if isinstance(v, str) else f'{v:.3f}' for v in row)} |")


if __name__ == "__main__":
    main()
