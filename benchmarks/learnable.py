"""How much of the phantom's optimum can be learned from a few hundred patients?

    python benchmarks/learnable.py --seeds 71 72 73 74 75 76 77 78 79 80

A logistic regression is told more and more of the truth, and never reads a scan: it is given the diameter,
attenuation, ... of each lesion as they were drawn. The model is fitted on `--training` patients, who have all
modalities, and judged on 2,000 others. "Share" is its macro-AUC divided by the optimum of all patients.
A model that has to find the genes, and to read the lesions from voxels, has a harder task than any row.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mmfusion.metrics import macro_auc
from mmfusion.synthetic import model
from mmfusion.synthetic.genes import gene_programme
from mmfusion.synthetic.optimum import beliefs, class_probabilities, expected_macro_auc

NEW = 2000


def told(patients: model.Draw) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """Return inputs by what they tell of the truth, and the probabilities of the best possible model."""
    programme = gene_programme()
    score = programme.score(patients.genes)
    belief = beliefs(patients.lesions, score, patients.record, programme)
    best = class_probabilities(belief, model.MODALITIES, "planted")
    scores = pd.DataFrame({m: belief[m] @ model.GRID for m in model.MODALITIES})
    scores["ct x rna"] = scores["ct"] * scores["rna"]  # the law of the stage has this interaction
    genes = np.log2(patients.genes + 1)
    seen = [patients.lesions.astype(float), patients.record]
    inputs = {
        "all 500 genes; lesion; record": pd.concat([genes, *seen], axis=1),
        "the 20 planted genes; lesion; record": pd.concat([genes[programme.planted], *seen], axis=1),
        "true gene score; lesion; record": pd.concat([scores[["rna"]], *seen], axis=1),
        "true score of each modality, and of their interaction": scores,
    }
    return inputs, best


def logistic() -> Pipeline:
    """Return a logistic regression whose penalty is chosen by inner folds."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    names = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="unknown"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (names, make_column_selector(dtype_exclude="number")),
    )
    penalties = LogisticRegressionCV(
        Cs=np.logspace(-4, 1, 8),
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
        scoring="neg_log_loss",
        tol=1e-3,
        max_iter=2000,
    )
    return make_pipeline(columns, penalties)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[71, 72, 73])
    parser.add_argument("--training", type=int, nargs="+", default=[320, 1000, 4000])
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        patients = model.draw(max(args.training) + NEW, seed)
        stage, (inputs, best) = patients.stage, told(patients)
        optimum = expected_macro_auc(best[-NEW:])
        for (what, x), n in ((item, n) for item in inputs.items() for n in args.training):
            proba = logistic().fit(x[:n], stage[:n]).predict_proba(x[-NEW:])
            rows.append((what, n, seed, macro_auc(stage[-NEW:], proba, [0, 1, 2]) / optimum))
    table = pd.DataFrame(rows, columns=["told", "patients", "seed", "share"])
    found = table.groupby(["told", "patients"], sort=False)["share"].agg(["mean", "min", "max"]).round(3)
    cells = found["mean"].map("{:.3f}".format) + " [" + found["min"].map("{:.3f}".format)
    cells = (cells + ", " + found["max"].map("{:.3f}".format) + "]").unstack("patients", sort=False)
    print("| told | " + " | ".join(f"{n} training patients" for n in cells) + " |")
    print("|---" * (1 + len(cells.columns)) + "|")
    for what, row in cells.iterrows():
        print(f"| {what} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
