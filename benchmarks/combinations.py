"""Would the mean of several models be better than each? The mean probability of every combination.

    python benchmarks/real_cohorts.py run lung1 radiogenomics tcga_luad --data DATA --out OUT --seed 100 \\
        --repeats 2 --trials 0 --only ridge forest boosting
    python benchmarks/combinations.py --out OUT

This reads the predictions of a finished run of `real_cohorts.py`, and fits nothing. Use a fold seed of
development: what is chosen here must not be judged on the same folds. Members have equal weights.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import pandas as pd
from real_cohorts import finished

from mmfusion.metrics import score_table

KEYS = ["repeat", "fold", "patient_id"]


def mean_of(predictions: pd.DataFrame, members: tuple[str, ...], classes: list[str]) -> pd.DataFrame:
    """Return the predictions of the mean probability of some models, as one more model."""
    columns = [f"p_{c}" for c in classes]
    parts = [predictions[predictions["model"] == m].set_index(KEYS).sort_index() for m in members]
    proba = sum(part[columns] for part in parts) / len(parts)
    named = proba.to_numpy().argmax(axis=1)
    table = parts[0].assign(**proba, y_pred=[classes[k] for k in named], model=" + ".join(members))
    return table.reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of a run of real_cohorts.py")
    parser.add_argument("--members", nargs="+", default=["daft", "ridge", "forest", "boosting"])
    args = parser.parse_args()
    found = {}
    for facts in finished(args.out):
        file = args.out / f"{facts['cohort']}-{facts['seed']}" / "predictions.csv"
        predictions = pd.read_csv(file, dtype={"patient_id": str, "y_true": str, "y_pred": str})
        classes = list(facts["classes"])
        sizes = range(1, len(args.members) + 1)
        groups = [group for k in sizes for group in combinations(args.members, k)]
        every = pd.concat([mean_of(predictions, group, classes) for group in groups])
        scores = score_table(every, classes, metrics=("macro_auc",), n_boot=2)
        found[f"{facts['cohort']}, n = {facts['n']}"] = scores["macro_auc", "mean"]
    table = pd.DataFrame(found)
    table["mean"] = table.mean(axis=1)
    print(f"| model | {' | '.join(table)} |\n{'|---' * (1 + len(table.columns))}|")
    for name, row in table.iterrows():
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in row)} |")


if __name__ == "__main__":
    main()
