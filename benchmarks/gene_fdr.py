"""Does the false discovery rate of genes hold, and how many planted genes are found?

    python benchmarks/gene_fdr.py linear --seeds 100   # logistic regression: minutes for hundreds of cohorts
    python benchmarks/gene_fdr.py network --seeds 4    # the stage model, through mf.explain.genes

Each row of the table is one kind of cohort: "null" (labels independent of everything), "genes shuffled"
(health records tell the stage, but the genes were shuffled between patients) and "planted". In the first two,
every gene with q < 0.1 is a false discovery, so that the share of cohorts with any must be at most about 0.1.
For comparison, "pooled" is a simpler rule: it compares raw importances with those of all genes of all refits.
The regularisation of the linear model differs from fit to fit, as early stopping does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import mmfusion as mf
from mmfusion.errors import gathered
from mmfusion.explain import compare_with_refits

KINDS = ("null", "genes shuffled", "planted")
LEVEL = 0.1


def make_cohort(kind: str, seed: int, n: int, n_genes: int) -> mf.Cohort:
    """Return a phantom with genes and health records, all present."""
    signal = "null" if kind == "null" else "planted"
    cohort, _ = mf.phantom(n, seed, signal, missing=0.0, n_genes=n_genes, modalities=("rna", "ehr"))
    if kind == "genes shuffled":
        order = np.random.default_rng(seed).permutation(len(cohort.table))
        cohort.table["rna"] = cohort.table["rna"].to_numpy()[order]
    return cohort


def linear(cohort: mf.Cohort, seed: int, args: argparse.Namespace) -> tuple[pd.DataFrame, list[pd.Series]]:
    """Return the genes of a logistic regression compared with its refits, and those of the refits."""
    rna, ehr = np.log2(cohort.X["rna"].astype(float) + 1), cohort.X["ehr"].select_dtypes("number")
    x = np.hstack([StandardScaler().fit_transform(part.fillna(part.mean())) for part in (rna, ehr)])
    y, train, test = cohort.y.to_numpy(), slice(args.training), slice(args.training, None)
    rng = np.random.default_rng(seed)

    def importance(labels: np.ndarray) -> pd.Series:
        model = LogisticRegression(C=1e-3 * np.exp(1.5 * rng.normal()), tol=1e-3, max_iter=300)
        model.fit(x[train], labels)
        size = np.abs(model.coef_).mean(axis=0) * np.abs(x[test] - x[train].mean(axis=0)).mean(axis=0)
        return pd.Series(size[: rna.shape[1]], rna.columns)

    observed = importance(y[train])
    null = [importance(rng.permutation(y[train])) for _ in range(args.refits)]
    return compare_with_refits(observed, null), null


def network(cohort: mf.Cohort, seed: int, args: argparse.Namespace) -> tuple[pd.DataFrame, list[pd.Series]]:
    """Return the genes of the stage model of the preset "demo", compared with its refits."""
    train, test = cohort.X[: args.training], cohort.X[args.training :]
    model = mf.StageClassifier.from_preset("demo").set_params(
        max_epochs=args.epochs, random_state=1000 * seed
    )
    with gathered():
        model.fit(train, cohort.y.loc[train.index])
    null = (train, cohort.y.loc[train.index])
    options = {"n_samples": args.samples, "random_state": 1000 * seed}
    return mf.explain.genes(model, test, null=null, n_null=args.refits, **options).set_index("gene"), []


def judged(table: pd.DataFrame, null: list[pd.Series], planted: set[str]) -> dict[str, float]:
    """Return what was found in one cohort."""
    size = table.iloc[:, 0]
    found = set(table.index[table["q"] < LEVEL])
    row = {"found": len(found), "planted": len(found & planted), "p < .05": float((table["p"] < 0.05).mean())}
    row["top10"] = len(set(size.sort_values(ascending=False).index[:10]) & planted)
    if null:
        pool = np.sort(np.concatenate([one.to_numpy() for one in null]))
        p = (1 + len(pool) - np.searchsorted(pool, size.to_numpy())) / (1 + len(pool))
        row["pooled"] = int((false_discovery_control(p) < LEVEL).sum())
    return row


def rows(kind: str, args: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Yield the result of each cohort of a kind."""
    compare = {"linear": linear, "network": network}[args.model]
    for seed in range(args.first, args.first + args.seeds):
        cohort = make_cohort(kind, seed, args.training + args.explained, args.genes)
        planted = set(cohort.provenance["planted_genes"]) if kind == "planted" else set()
        yield judged(*compare(cohort, seed, args), planted)
        print(".", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=("linear", "network"))
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--seeds", type=int, default=4, help="cohorts of each kind")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--training", type=int, default=180, help="patients the model is fitted on")
    parser.add_argument("--explained", type=int, default=30, help="other patients, who are explained")
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--refits", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=10, help="of the network")
    parser.add_argument("--samples", type=int, default=20, help="gradients per patient and class")
    args = parser.parse_args()
    print(
        "| cohorts | seeds | any q < .1 | genes found | planted of 20 | of top 10 | p < .05 | any by pooled |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for kind in args.kinds:
        t = pd.DataFrame(list(rows(kind, args)))
        real = kind == "planted"
        cells = [kind, len(t), f"{(t['found'] > 0).mean():.3f}", f"{t['found'].mean():.1f}"]
        cells += [f"{t[c].mean():.1f}" if real else "" for c in ("planted", "top10")]
        cells += [f"{t['p < .05'].mean():.3f}", f"{(t['pooled'] > 0).mean():.3f}" if "pooled" in t else ""]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
