"""Seconds of a fit of the stage model on patients with genes, and its macro-AUC, by setting.

    python benchmarks/fitting.py tcga_luad radiogenomics phantom --data DATA --out OUT
    python benchmarks/fitting.py tcga_luad --data DATA --out OUT --settings former default --seed 101

Each cohort has one training set: four fifths of the patients, drawn with the fold seed 100. The settings are
compared on inner folds of this set, the same for all. The other patients are never read. Seconds are those of
the processor for one fit. A finished row is a JSON file in OUT, and is not repeated.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from real_cohorts import FOLDERS
from sklearn.model_selection import StratifiedKFold

import mmfusion as mf
from mmfusion.data.gene_sets import gene_sets
from mmfusion.metrics import score_table
from mmfusion.staging.report import benchmark

_FORMER = {"max_epochs": 20, "lr": 1e-3}
_TWO_LAYERS = {"encoder_options": {"gene_gat": {"layers": 2}}}
# "former" was the default until one graph layer, 14 epochs and a learning rate of 0.002 were chosen here
# gene-set tokens read all genes that vary; their sets are files in DATA/gene_sets
GENE_SETS = {
    "two networks, tokens of the groups of MCAT": "mcat_signatures.csv",
    "two networks, tokens of Hallmark": "h.all.v7.0.symbols.gmt",
}
SETTINGS: dict[str, dict[str, object]] = {
    "former": {**_FORMER, "network": _TWO_LAYERS},
    "one graph layer": _FORMER,
    "10 epochs, lr 0.002": {"network": _TWO_LAYERS, "max_epochs": 10, "lr": 2e-3},
    "one graph layer, 10 epochs, lr 0.002": {"max_epochs": 10, "lr": 2e-3},
    "default": {},
    "one graph layer of width 8": {
        **_FORMER, "network": {"encoder_options": {"gene_gat": {"width": 8}}}
    },
    "no graph attention": {"encoders": {"rna": "gene_mlp"}},
    "250 genes": {"n_genes": 250},
    "two networks": {"n_members": 2},
    "two networks, gene_mlp": {"n_members": 2, "encoders": {"rna": "gene_mlp"}},
}  # fmt: skip


def options_of(setting: str, data: Path) -> dict[str, object]:
    """Return the parameters of a setting; gene sets are read from their file."""
    if setting not in GENE_SETS:
        return SETTINGS[setting]
    options = {"gene_sets": {"sets": gene_sets(data / "gene_sets" / GENE_SETS[setting])}}
    network = {"encoders": {"rna": "gene_sets"}, "encoder_options": options}
    return {"n_members": 2, "n_genes": None, "network": network, "preprocessing": {"graph": "none"}}


def training_set(name: str, data: Path, seed: int) -> mf.Cohort:
    """Return four fifths of the patients of a cohort; of the phantom, with or without scans."""
    if name.startswith("phantom"):
        modalities = ("rna", "ehr") if name == "phantom" else ("ct", "rna", "ehr")
        cohort = mf.phantom(400, 21, missing=0.0, modalities=modalities)[0]
    else:
        cohort = benchmark.load(name, data / FOLDERS[name])
    train, _ = next(StratifiedKFold(5, shuffle=True, random_state=seed).split(cohort.X, cohort.y))
    return cohort.select(patients=list(cohort.X.index[train]))


def carry_out(name: str, setting: str, args: argparse.Namespace) -> dict[str, object]:
    """Fit a setting on every inner fold; return the predictions' scores and the seconds of a fit."""
    file = args.out / f"{name}-{setting.replace(' ', '_')}-{args.seed}.json"
    if file.exists():
        return json.loads(file.read_text())
    cohort = training_set(name, args.data, args.seed)
    X, y = cohort.X, cohort.y
    seconds, scores = [], []
    for train, test in StratifiedKFold(args.folds, shuffle=True, random_state=args.seed).split(X, y):
        model = mf.StageClassifier(random_state=args.seed, **options_of(setting, args.data))
        start = time.process_time()
        model.fit(X.iloc[train], y.iloc[train])
        seconds.append(time.process_time() - start)
        proba = model.predict_proba(X.iloc[test])
        table = pd.DataFrame(proba, columns=[f"p_{c}" for c in model.classes_])
        table.insert(0, "y_true", y.iloc[test].to_numpy())
        table.insert(1, "y_pred", model.predict(X.iloc[test]))
        keys = {
            "model": setting,
            "repeat": 0,
            "fold": 0,
            "patient_id": X.index[test],
            "person": X.index[test],
        }
        table = table.assign(**keys)
        found = score_table(table, list(model.classes_), metrics=("macro_auc", "macro_f1"), n_boot=2)
        scores.append(found.xs("mean", axis=1, level=1).iloc[0].to_dict())
    result = {"seconds": seconds, "scores": scores, "n": len(X)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cohorts", nargs="+", choices=[*FOLDERS, "phantom", "phantom_ct"])
    parser.add_argument("--data", type=Path, help="folder with the official files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=[*SETTINGS, *GENE_SETS])
    parser.add_argument("--seed", type=int, default=100, help="seed of the folds and fits")
    parser.add_argument("--folds", type=int, default=4, help="inner folds")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # words of health records that are in one fold only
    for name in args.cohorts:
        print(f"\n{name}\n\n| setting | s per fit | macro-AUC | minus the first | macro-F1 |")
        print("|---|---|---|---|---|")
        first = None
        for setting in args.settings:
            found = carry_out(name, setting, args)
            auc, f1 = (np.array([one[m] for one in found["scores"]]) for m in ("macro_auc", "macro_f1"))
            first = auc if first is None else first
            gap = auc - first
            cells = f"{auc.mean():.3f} | {gap.mean():+.3f} (SD {gap.std(ddof=1):.3f}) | {f1.mean():.3f}"
            print(f"| {setting} | {np.mean(found['seconds']):.1f} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
