"""Do the Shapley values of the modalities have the order of the planted strengths?

    python benchmarks/modality_order.py --seeds 61 62 63

In each cohort one modality is left as it is, and the other two are weakened: a share of the patients gets
the scan, the genes or the health record of another patient. All six orders of strong, middle and weak are
made of each seed. The planted strength is the macro-AUC of the best possible model of that modality alone.
Two summaries of the Shapley values of new patients are compared with it: the mean absolute value over classes
(how much the modality moves the prediction), and the mean value for the true class (how much it helps).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd

import mmfusion as mf
from mmfusion.errors import gathered
from mmfusion.explain import modality_shapley
from mmfusion.metrics import macro_auc
from mmfusion.synthetic import posterior

MODALITIES = ("ct", "rna", "ehr")
SUMMARIES = ("mean_abs", "gain")


def weaken(cohort: mf.Cohort, shares: dict[str, float], seed: int) -> tuple[mf.Cohort, dict[str, float]]:
    """Exchange modalities between a share of the patients; return also the strength that is left of each."""
    strength, blocks = {}, {}
    for modality, share in shares.items():
        # one stream for each modality, so that different patients are exchanged
        rng = np.random.default_rng([seed, MODALITIES.index(modality)])
        order = np.arange(len(cohort.table))
        some = np.flatnonzero(rng.random(len(order)) < share)
        order[some] = rng.permutation(some)
        best = posterior(cohort, [modality])
        strength[modality] = macro_auc(cohort.y, best.to_numpy()[order], list(best))
        blocks[modality] = cohort.table[modality].iloc[order].set_axis(cohort.table.index)
    table = pd.concat({**blocks, "meta": cohort.table["meta"]}, axis=1, names=cohort.table.columns.names)
    return replace(cohort, table=table), strength


def judge(seed: int, shares: dict[str, float], args: argparse.Namespace) -> pd.DataFrame:
    """Return planted strength and mean absolute Shapley value; one row per modality."""
    n = args.training + args.explained
    cohort, _ = mf.phantom(n, seed, missing=0.0)
    cohort, strength = weaken(cohort, shares, seed)
    train, test = cohort.X[: args.training], cohort.X[args.training :]
    model = mf.StageClassifier.from_preset("demo").set_params(random_state=seed)
    with gathered():
        model.fit(train, cohort.y.loc[train.index])
        found = modality_shapley(model, test).gain(cohort.y.loc[test.index])
    return pd.DataFrame({"strength": strength}).join(found).loc[list(shares)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[61, 62, 63])
    parser.add_argument("--training", type=int, default=200, help="patients the model is fitted on")
    parser.add_argument("--explained", type=int, default=100, help="other patients, who are explained")
    parser.add_argument("--shares", type=float, nargs=3, default=[0.0, 0.4, 0.8], help="exchanged patients")
    args = parser.parse_args()
    print("| seed | strong, middle, weak | strength | mean absolute | same order | gain | same order |")
    print("|---|---|---|---|---|---|---|")
    right = []
    for seed in args.seeds:
        for order in permutations(MODALITIES):
            found = judge(seed, dict(zip(order, args.shares, strict=True)), args)
            ranks = found.rank()
            right.append({c: bool((ranks[c] == ranks["strength"]).all()) for c in SUMMARIES})
            row = [str(seed), ", ".join(order), listed(found["strength"])]
            for one in SUMMARIES:
                row += [listed(found[one]), "yes" if right[-1][one] else "no"]
            print(f"| {' | '.join(row)} |", flush=True)
    print(f"the same order in {pd.DataFrame(right).sum().to_dict()} of {len(right)} cohorts")


def listed(values: pd.Series) -> str:
    return ", ".join(f"{v:.3f}" for v in values)


if __name__ == "__main__":
    main()
