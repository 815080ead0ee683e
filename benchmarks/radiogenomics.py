"""EGFR and expression of NSCLC-Radiogenomics from radiomics, clinical models, permuted labels and a leak.

python benchmarks/radiogenomics.py genotype permuted leak records expression --data DATA --out OUT

DATA is the folder of the real data. Finished folds are kept in OUT, so that a stopped run goes on. `--preset
demo` tries fewer settings. Tables are printed, and the predictions are written to OUT.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import mmfusion as mf
from mmfusion.evaluation.leakage import demo_gaps, lda_demo
from mmfusion.metrics import paired_table, score_table, scores_by_group, target_table
from mmfusion.radiogenomics import expression_null, permuted_runs
from mmfusion.radiogenomics.report import study, verdict
from mmfusion.radiogenomics.steps import CLASSIFIERS, REDUCERS

PARTS = ("genotype", "permuted", "leak", "records", "expression")
_MAIN = (("none", "pca", "lda"), tuple(CLASSIFIERS))  # those of the paper


def folds_of(args: argparse.Namespace) -> dict[str, object]:
    return {"outer": args.outer, "repeats": args.repeats, "random_state": args.seed, "where": "serial"}


def genotype(data: study.Study, args: argparse.Namespace) -> None:
    settings = {"preset": args.preset, "inner": args.inner}
    main, _ = study.genotype_models(*_MAIN, data.modalities, **settings)
    _, single = study.genotype_models(REDUCERS, CLASSIFIERS, data.modalities, **settings)
    clinical, _ = study.clinical_models(data.cohort)
    models = {study.MAIN: main, **single, **clinical}
    models = {name: model for name, model in models.items() if not args.models or name in args.models}
    tables = []
    for name, model in models.items():
        options = {"out": args.out / "genotype", "progress": False, **folds_of(args)}
        result = mf.nested_cv(model, data.cohort, name=name, baselines=False, **options)
        tables.append(result.predictions)
        print(f"{name}: {result.seconds:.0f} s", flush=True)
        if name == study.MAIN:
            print(result.params()[["reducer", "classifier"]].value_counts().to_string())
    predictions = pd.concat(tables, ignore_index=True)
    predictions.to_csv(args.out / "genotype.csv", index=False)
    classes = list(data.cohort.y.cat.categories)
    print(verdict.with_intervals(score_table(predictions, classes)).to_string())
    if study.REFERENCE in models and len(models) > 1:
        paired = paired_table(predictions, classes, reference=study.REFERENCE)
        print(paired[["diff", "lo", "hi", "corrected_lo", "corrected_hi"]].round(3).to_string())
    shown = [m for m in models if m == study.MAIN or m.startswith(study.CLINICAL)]
    for name, groups in study.subgroups(data.cohort).items():
        some = predictions[predictions["model"].isin(shown)]
        print(f"by {name}\n{scores_by_group(some, classes, groups).round(3).to_string()}")


def permuted(data: study.Study, args: argparse.Namespace) -> None:
    main, _ = study.genotype_models(*_MAIN, data.modalities, preset="demo", inner=args.inner)
    runs = permuted_runs(
        main, data.cohort, args.permutations, out=args.out / "permuted", **folds_of(args) | {"repeats": 1}
    )
    print(runs.round(3).to_string())
    print(f"mean {runs['mean'].mean():.3f}, SD {runs['mean'].std():.3f}")


def leak(data: study.Study, args: argparse.Namespace) -> None:
    print(demo_gaps(lda_demo(args.seed, 5, cohort=data.cohort)).round(3).to_string())


def records(data: study.Study, args: argparse.Namespace) -> None:
    models, _ = study.clinical_models(data.everybody)
    first = next(iter(models))
    result = mf.nested_cv(
        models.pop(first), data.everybody, name=first, baselines=models, out=args.out / "records",
        progress=False, **folds_of(args),
    )  # fmt: skip
    print(f"{result.n} patients\n{verdict.with_intervals(result.scores).to_string()}")
    adenocarcinoma = data.everybody.X["ehr", "histology"] == "adenocarcinoma"
    groups = pd.Series(np.where(adenocarcinoma, "adenocarcinoma", "other"), data.everybody.X.index)
    print(scores_by_group(result.predictions, result.classes, groups).round(3).to_string())


def expression(data: study.Study, args: argparse.Namespace) -> None:
    panel, reason = study.expression_study(data, args.genes)
    if panel is None:
        print(reason)
        return
    model, others = study.expression_models(data, panel)
    result = mf.nested_cv(
        model, panel, name="features", baselines=others, out=args.out / "expression", progress=False,
        **folds_of(args),
    )  # fmt: skip
    null = expression_null(model, panel, result, n_permutations=args.permutations_expression)
    print(f"{result.n} patients, {len(result.task.names)} genes")
    print(verdict.with_intervals(result.scores, verdict.CORRELATIONS).to_string())
    print(null.table().round(3).to_string())
    by_gene = target_table(result.of(["features"]), result.task.names).loc["features"]
    print(verdict.with_intervals(by_gene, verdict.CORRELATIONS).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cohort", default="r01_egfr")
    parser.add_argument("--preset", default="full", choices=["demo", "full"])
    parser.add_argument("--models", nargs="*", help="names of some models; default: all")
    parser.add_argument("--outer", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--inner", type=int, default=4)
    parser.add_argument("--permutations", type=int, default=10, help="of the labels")
    parser.add_argument("--permutations-expression", type=int, default=200)
    parser.add_argument("--genes", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    data = study.load_study(args.cohort, str(args.data))
    for part in args.parts:
        globals()[part](data, args)


if __name__ == "__main__":
    main()
