"""Macro-AUC on the phantom compared with its optimum, and a check that nothing is found without signal.

python benchmarks/phantom.py planted   # share of the optimum, gain over the best single modality, genes, ECE
python benchmarks/phantom.py planted --family nominal   # the same where stages are not ordered in one score
python benchmarks/phantom.py null      # Holm-adjusted intervals of every model cover 0.5
python benchmarks/phantom.py missing   # loss of AUC if half of the patients lack a modality
python benchmarks/phantom.py sets      # coverage of the sets of stages, warnings of usual patients, ECE
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

import mmfusion as mf
from mmfusion.errors import gathered
from mmfusion.explain.gene_attribution import gene_shap
from mmfusion.metrics import ece_band, holm_intervals
from mmfusion.staging.fitting import left_out_part
from mmfusion.staging.novelty import unusual
from mmfusion.staging.stage_sets import COVERAGES, fit_sets


def evaluate(
    cohort: mf.Cohort, model: mf.StageClassifier, folder: Path, **options: object
) -> mf.evaluation.NestedResult:
    """Run five outer folds without a search, so that nothing is chosen on the reported folds."""
    return mf.nested_cv(model, cohort, outer=5, out=folder, **options)


def top_genes(
    result: mf.evaluation.NestedResult, cohort: mf.Cohort, n: int = 10, patients: int = 10
) -> pd.Series:
    """Return the genes with the largest mean |SHAP| of held-out patients, by the models of their folds."""
    sizes = []
    for (repeat, fold), bundle in result.bundles().items():
        rows = result.predictions.set_index(["model", "repeat", "fold"]).loc[[(result.main, repeat, fold)]]
        X = cohort.X.loc[rows["patient_id"]]
        X = X[X["rna"].notna().any(axis=1)][:patients]
        sizes.append(gene_shap(mf.load(bundle), X, n_samples=50).mean_abs())
    return pd.concat(sizes, axis=1).fillna(0).mean(axis=1).sort_values(ascending=False)[:n]


def beyond_the_optimum(result: mf.evaluation.NestedResult, optimum: pd.Series) -> list[str]:
    """Return the models with an interval above the optimum of their inputs."""
    inputs = {
        m: "+".join(i for i in ("ct", "rna", "ehr") if i in read) for m, read in result.inputs().items()
    }
    auc = result.scores["macro_auc"]
    return [m for m in result.models if inputs[m] and auc.loc[m, "lo"] > optimum[inputs[m]]]


def recalls(result: mf.evaluation.NestedResult) -> dict[str, float]:
    """Return the recall of each class by the decision of the main model."""
    mine = result.of([result.main])
    return (mine["y_pred"] == mine["y_true"]).groupby(mine["y_true"]).mean().round(3).to_dict()


def calibration(result: mf.evaluation.NestedResult, seed: int) -> mf.metrics.CalibrationBand:
    """Return the ECE of the main model on held-out patients, and its band under perfect calibration."""
    mine = result.of([result.main])
    columns = [f"p_{c}" for c in result.classes]
    return ece_band(mine["y_true"], mine[columns], result.classes, random_state=seed)


def best_of_these(cohort: mf.Cohort) -> float:
    """Return the macro-AUC of the best possible model on these patients, which differ between seeds."""
    best = mf.synthetic.posterior(cohort)
    return float(mf.metrics.macro_auc(np.asarray(cohort.y).astype(str), best.to_numpy(), list(best.columns)))


def planted(args: argparse.Namespace, model: mf.StageClassifier) -> None:
    rows = []
    for seed in args.seeds:
        cohort, optimum = mf.phantom(args.n, seed, missing=args.missing, family=args.family)
        best = optimum["macro_auc"]
        with tempfile.TemporaryDirectory() as folder:
            kept = args.out / f"{args.family}-{args.n}-{seed}" if args.out else Path(folder)
            result = evaluate(
                cohort, model, kept, fusions=args.fusions, singles=not args.quick, random_state=seed
            )
            genes = top_genes(result, cohort)
        auc = result.scores["macro_auc"]["mean"]
        singles = auc[[m for m in auc.index if m.endswith(" only")]]
        hits = len(set(genes.index) & set(cohort.provenance["planted_genes"]))
        print(f"{result}\n{best.round(3).to_dict()}\nplanted among the top 10: {hits} {list(genes.index)}")
        print(f"above the optimum of their inputs: {beyond_the_optimum(result, best) or 'none'}", flush=True)
        band = calibration(result, seed)
        print(f"recall of each class: {recalls(result)}\n{band}", flush=True)
        reached, f1 = auc[model.fusion], result.scores.loc[model.fusion, ("macro_f1", "mean")]
        here = best_of_these(cohort)
        shares, margin = [reached / best["observed"], reached / here], reached - singles.max()
        rows.append([reached, best["observed"], here, *shares, margin, hits, f1, band.inside])
    columns = ["auc", "optimum", "of_these", "share", "share_of_these", "margin", "planted_in_top_10"]
    columns += ["macro_f1", "ece_inside"]
    table = pd.DataFrame(rows, index=pd.Index(args.seeds, name="seed"), columns=columns)
    print(table.round(3).to_string())
    mean = table.mean().round(3)
    print(f"share of the best possible model on the same patients {mean['share_of_these']}")
    print(f"share of the optimum {mean['share']} (>= 0.97), over the best single {mean['margin']} (>= 0.05)")
    print(f"planted among the top 10: {list(table['planted_in_top_10'])} (>= 9)")
    print(f"ECE inside its band: {list(table['ece_inside'])}")


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


def sets(args: argparse.Namespace, model: mf.StageClassifier) -> None:
    """Fit on `--n` patients with genes and health records, and judge 2,000 others."""
    print(
        "| seed | coverage | true stage in the set | mean size of the set | left-out rows | with a warning "
        "| ECE [band of perfect calibration] | log-loss of the optimum: left-out rows, new patients |"
    )
    print("|---|---|---|---|---|---|---|---|")
    limits, coverage = [], {}
    for seed in args.seeds:
        kind = {"missing": args.missing, "modalities": ("rna", "ehr"), "family": args.family}
        train, other = (mf.phantom(n, s, **kind)[0] for n, s in ((args.n, seed), (2000, seed + 1000)))
        fitted = clone(model).set_params(random_state=seed).fit(train.X, train.y)
        with gathered():  # categories that no training patient has
            inputs = fitted.transformer_.transform(other.X)
        proba = fitted.probabilities(inputs)
        truth = pd.Index(fitted.classes_).get_indexer(np.asarray(other.y).astype(str))
        specs = fitted.transformer_.specs_
        said = [any(unusual(fitted.usual_, inputs.rows(slice(k, k + 1)), specs)) for k in range(len(other.X))]
        band = ece_band(truth, proba, range(proba.shape[1]))
        said = f"{np.mean(said):.1%}"
        ece = f"{band.ece:.3f} [{band.lo:.3f}, {band.hi:.3f}] {'inside' if band.inside else 'outside'}"
        own = pd.Index(fitted.classes_).get_indexer(np.asarray(train.y).astype(str))
        hard = optimal_log_loss(train, left_out_part(own, fitted.n_members, seed) >= 0)
        hard = f"{hard:.3f}, {optimal_log_loss(other):.3f}"
        for level in fitted.sets_.thresholds:
            inside = fitted.sets_.members(proba, level)
            hit, size = inside[np.arange(len(truth)), truth].mean(), inside.sum(axis=1).mean()
            coverage.setdefault(level, []).append(hit)
            print(
                f"| {seed} | {level} | {hit:.3f} | {size:.2f} | {fitted.sets_.n} | {said} | {ece} | {hard} |",
                flush=True,
            )
        mean, sd, within = reachable(proba, truth, fitted.sets_.n)
        limits.append(f"seed {seed}: mean {mean.round(3)}, SD {sd.round(3)}, all within 0.03: {within:.0%}")
    for level, hits in coverage.items():
        print(f"coverage {level}: mean {np.mean(hits):.3f}, SD over seeds {np.std(hits):.3f}")
    print("Thresholds from as many new patients, for comparison:", *limits, sep="\n")


def optimal_log_loss(cohort: mf.Cohort, rows: np.ndarray | slice = slice(None)) -> float:
    """Return the log-loss of the best possible model for some patients; it says how hard they are."""
    best = mf.synthetic.posterior(cohort)
    truth = best.columns.get_indexer(np.asarray(cohort.y).astype(str))
    return float(-np.log(best.to_numpy()[np.arange(len(truth)), truth])[rows].mean())


def reachable(
    proba: np.ndarray, truth: np.ndarray, rows: int, repeats: int = 100
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return mean and SD of the coverage if the thresholds come from new patients, without any bias.

    Thresholds are learned on `rows` of the new patients and judged on the others, by the same four networks.
    The last value is the share of draws in which all three coverages are within 0.03.
    """
    rng, found = np.random.default_rng(0), []
    for _ in range(repeats):
        order = rng.permutation(len(truth))
        own, rest = order[:rows], order[rows:]
        learned = fit_sets(proba[own], truth[own])
        found.append(
            [learned.members(proba[rest], c)[np.arange(len(rest)), truth[rest]].mean() for c in COVERAGES]
        )
    hit = np.array(found)
    return hit.mean(axis=0), hit.std(axis=0), float((np.abs(hit - COVERAGES) <= 0.03).all(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["planted", "null", "missing", "sets"])
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--missing", type=float, default=0.1)
    parser.add_argument("--family", default="ordered", choices=["ordered", "nominal"])
    parser.add_argument("--quick", action="store_true", help="no single modalities")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fusion", default="", help="fusion of the main model; default that of the preset")
    parser.add_argument("--fusions", nargs="*", default=[], help="other fusions, on the same folds")
    parser.add_argument("--out", type=Path, help="folder that keeps the finished folds of planted")
    parser.add_argument("--preset", default="", help="a preset; default the estimator's own settings")
    args = parser.parse_args()
    np.set_printoptions(precision=3)
    model = mf.StageClassifier.from_preset(args.preset) if args.preset else mf.StageClassifier()
    model.set_params(fusion=args.fusion or model.fusion)
    {"planted": planted, "null": null, "missing": missing, "sets": sets}[args.what](args, model)


if __name__ == "__main__":
    main()
