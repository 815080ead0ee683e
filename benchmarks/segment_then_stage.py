"""Segment the lesion, then predict the stage: does its measured size and shape help beside the CT?

    python benchmarks/segment_then_stage.py --out OUT

Every patient of the phantom has a CT and nothing else. The best possible macro-AUC of a reader of CT is
known. The same model is judged on the same folds, without a search, with two inputs: the CT alone; and the CT
and the measures of the lesion that one click finds (`mf.segment_lesion` at the seed). Ridge on the measures
alone stands beside them, from one click and from the true mask: their difference is what errors of the
segmentation cost. Finished folds are in OUT and are not repeated.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

import mmfusion as mf
from mmfusion.features import LesionMeasures, extract
from mmfusion.metrics import paired_table, score_table

CT, CLICK = "CT", "CT and measures"


def measured(cohort: mf.Cohort) -> dict[str, mf.Cohort]:
    """Return the cohort with the measures of one click, and with those of the true mask."""
    without = replace(cohort, table=cohort.table.drop(columns=[("ct", "mask")]))
    found = {}
    for name, source in (("one click", without), ("true mask", cohort)):
        done = extract(source, LesionMeasures(), progress=False)
        print(f"{name}: {len(done.features)} of {len(cohort)} lesions measured", flush=True)
        found[name] = cohort.with_features("ct", done.features)
    return found


def judge(args: argparse.Namespace, seed: int) -> pd.DataFrame:
    """Return the scores of every model on one phantom, and the differences to the CT alone."""
    root = args.out / f"phantom-{args.n}-{seed}"
    cohort, optimum = mf.phantom(args.n, seed, modalities=("ct",), missing=0, root=root)
    cohorts = measured(cohort)
    with_size = cohorts["one click"]
    ridge = mf.evaluation.ridge(["ct"])
    network = mf.StageClassifier(modalities=["ct"], n_members=args.members)
    runs = {
        CT: (network, cohort),
        CLICK: (network, with_size),
        **{f"ridge on measures, {name}": (ridge, one) for name, one in cohorts.items()},
    }
    predictions = []
    for name, (model, one) in runs.items():
        folder = args.out / f"{name.replace(' ', '-').replace(',', '').lower()}-{args.n}-{seed}"
        result = mf.nested_cv(
            model, one, name=name, baselines=False, outer=args.outer, random_state=seed, out=folder,
            n_jobs=args.n_jobs, progress=False,
        )  # fmt: skip
        predictions.append(result.predictions)
    both = pd.concat(predictions)
    scores = score_table(both, result.classes)
    paired = paired_table(both, result.classes, CT)
    table = pd.DataFrame(
        {
            "macro-AUC": scores["macro_auc"]["mean"],
            "macro-F1": scores["macro_f1"]["mean"],
            **{name: paired[name] for name in ("diff", "lo", "hi", "p")},
        }
    )
    table.insert(0, "optimum", optimum.loc["ct", "macro_auc"])
    return table.rename_axis("model")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--outer", type=int, default=5)
    parser.add_argument("--members", type=int, default=4, help="networks in each model; their mean predicts")
    parser.add_argument("--n-jobs", type=int, default=None)
    args = parser.parse_args()
    tables = {}
    for seed in args.seeds:
        tables[seed] = judge(args, seed)
        print(f"\nseed {seed}\n{tables[seed].round(3).to_string()}", flush=True)
    every = pd.concat(tables, names=["seed"])
    print(f"\nmean over seeds\n{every.groupby('model', sort=False).mean().round(3).to_string()}")


if __name__ == "__main__":
    main()
