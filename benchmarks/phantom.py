"""How much of the possible is reached on the planted phantom, and that nothing is found on the null one.

python benchmarks/phantom.py planted   # share of the optimum, margin over the best single modality, SHAP genes
python benchmarks/phantom.py null      # Holm-adjusted intervals of every model cover 0.5
python benchmarks/phantom.py missing   # what is lost when half of the patients miss a modality
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import mmfusion as mf
from mmfusion.explain.gene_attribution import gene_shap
from mmfusion.metrics import holm_intervals


def evaluate(
    cohort: mf.Cohort, model: mf.StageClassifier, folder: Path, **options: object
) -> mf.evaluation.NestedResult:
    """Five outer folds at one setting: nothing is searched, so nothing is chosen on the reported folds."""
    return mf.nested_cv(model, cohort, outer=5, out=folder, **options)


def top_genes(
    result: mf.evaluation.NestedResult, cohort: mf.Cohort, n: int = 10, patients: int = 10
) -> pd.Series:
    """Mean |SHAP| of held-out patients, each explained by the model of the fold that left them out."""
    sizes = []
    for (repeat, fold), bundle in result.bundles().items():
        rows = result.predictions.set_index(["model", "repeat", "fold"]).loc[[(result.main, repeat, fold)]]
        X = cohort.X.loc[rows["patient_id"]]
        X = X[X["rna"].notna().any(axis=1)][:patients]
        sizes.append(gene_shap(mf.load(bundle), X, n_samples=50).mean_abs())
    return pd.concat(sizes, axis=1).fillna(0).mean(axis=1).sort_values(ascending=False)[:n]


def beyond_the_optimum(result: mf.evaluation.NestedResult, optimum: pd.Series) -> list[str]:
    """Models whose interval lies above the optimum of what they read."""
    inputs = {
        m: "+".join(i for i in ("ct", "rna", "ehr") if i in read) for m, read in result.inputs().items()
    }
    auc = result.scores["macro_auc"]
    return [m for m in result.models if inputs[m] and auc.loc[m, "lo"] > optimum[inputs[m]]]


def planted(args: argparse.Namespace, model: mf.StageClassifier) -> None:
    rows = []
    for seed in args.seeds:
        cohort, optimum = mf.phantom(args.n, seed, missing=args.missing)
        best = optimum["macro_auc"]
        with tempfile.TemporaryDirectory() as folder:
            result = evaluate(
                cohort, model, Path(folder), fusions=args.fusions, singles=True, random_state=seed
            )
            genes = top_genes(result, cohort)
        auc = result.scores["macro_auc"]["mean"]
        singles = auc[[m for m in auc.index if m.endswith(" only")]]
        hits = len(set(genes.index) & set(cohort.provenance["planted_genes"]))
        print(f"{result}\n{best.round(3).to_dict()}\nplanted among the top 10: {hits} {list(genes.index)}")
        print(f"above the optimum of their inputs: {beyond_the_optimum(result, best) or 'none'}", flush=True)
        reached = auc[model.fusion]
        rows.append([reached, best["observed"], reached / best["observed"], reached - singles.max(), hits])
    columns = ["auc", "optimum", "share", "margin", "planted_in_top_10"]
    table = pd.DataFrame(rows, index=pd.Index(args.seeds, name="seed"), columns=columns)
    print(table.round(3).to_string())
    mean = table.mean().round(3)
    print(f"share of the optimum {mean['share']} (>= 0.95), over the best single {mean['margin']} (>= 0.05)")
    print(f"planted among the top 10: {list(table['planted_in_top_10'])} (>= 8)")


def null(args: argparse.Namespace, model: mf.StageClassifier) -> None:
    cohort, _ = mf.phantom(args.n, args.seeds[0], "null", missing=args.missing)
    with tempfile.TemporaryDirectory() as folder:
        result = evaluate(cohort, model, Path(folder), fusions=args.fusions, singles=True)
    models = [m for m in result.models if m != "majority"]
    intervals = holm_intervals(result.of(models), result.classes)
    covers = (intervals["lo"] <= 0.5) & (intervals["hi"] >= 0.5)
    print(intervals.assign(covers=covers).round(3).to_string())
    print(f"{covers.sum()} of {len(covers)} Holm-adjusted intervals cover 0.5")


def missing(args: argparse.Namespace, model: mf.StageClassifier) -> None:
    rows = []
    for seed in args.seeds:
        row = {}
        for share in (0.0, 0.5):
            cohort, optimum = mf.phantom(args.n, seed, missing=share)
            with tempfile.TemporaryDirectory() as folder:
                result = evaluate(cohort, model, Path(folder), baselines=False, random_state=seed)
            row[f"auc {share:g}"] = result.scores["macro_auc"]["mean"].iloc[0]
            row[f"optimum {share:g}"] = optimum.loc["observed", "macro_auc"]
        rows.append(row)
    table = pd.DataFrame(rows, index=args.seeds)
    lost = (table["auc 0"] - table["auc 0.5"]).mean()
    possible = (table["optimum 0"] - table["optimum 0.5"]).mean()
    print(table.round(3).to_string())
    print(f"lost {lost:.3f}, the optimum itself loses {possible:.3f}: excess {lost - possible:.3f} (<= 0.03)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["planted", "null", "missing"])
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--missing", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fusions", nargs="*", default=[])
    parser.add_argument("--preset", default="", help="a preset; default the estimator's own settings")
    args = parser.parse_args()
    np.set_printoptions(precision=3)
    model = mf.StageClassifier.from_preset(args.preset) if args.preset else mf.StageClassifier()
    {"planted": planted, "null": null, "missing": missing}[args.what](args, model)


if __name__ == "__main__":
    main()
