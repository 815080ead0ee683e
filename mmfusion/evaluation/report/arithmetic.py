"""The report of published numbers: the tables of three papers, and what their arithmetic says.

Every number here is the paper's own. Every conclusion is computed by `mmfusion.metrics.consistency` and
`mmfusion.metrics.implied`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pandas as pd

from mmfusion.metrics.consistency import patients_behind, possible_counts, possible_tables, rounded_range
from mmfusion.metrics.implied import (
    binormal_auc,
    dice_of_iou,
    f1_range,
    mean_dice_range,
    prevalence_range,
    wilson_interval,
)

OTHER = "in another sense"
RAEMD, RASEG, STAGE = "RAEMD-Net", "arXiv 2211.06620", "the stage paper"
PAPERS = {
    RAEMD: "segments lung tumours in CT (LUNA16) with residual attention, multi-scale features and a BiLSTM",
    RASEG: "segments lung tumours with RA-Seg, and classifies EGFR by deep features (Gollini et al. 2022)",
    STAGE: "Advanced Biomarker Discovery and Tumor Microenvironment Analysis Through High-Dimensional "
    "Imaging and Radiogenomics; it predicts the stage from CT, RNA and health records",
}
# mean over patients, as published; the rates of the other models are not used here
SEGMENTERS = pd.DataFrame(
    {
        "dice": [0.97, 0.93, 0.92, 0.91, 0.88],
        "iou": [0.94, 0.89, 0.87, 0.85, 0.82],
        "precision": [0.95, None, None, None, 0.85],
        "recall": [0.96, None, None, None, 0.87],
        "f1": [0.96, None, None, None, 0.86],
        "fpr": [0.02, None, None, None, 0.08],
    },
    index=pd.Index(["RAEMD-Net", "U-Net++", "3D U-Net", "Attention U-Net", "U-Net"], name="model"),
)
# class shares in the published model files, which tell on whom the model was fitted
PRIORS = {"LDA": (88 / 109, 21 / 109), "QDA after the LDA": (72 / 88, 16 / 88)}
_LDA_SCORE = (2.3226, 2.8738)  # difference of the means and sum of the variances, in the file of the QDA
EGFR = (23, 94)  # mutants and wild types, as the paper counts them
# patients of each stage in the official tables, by TCIA
STAGES = {
    "LUNG1": {"I": 93, "II": 40, "IIIA": 112, "IIIB": 176},
    "NSCLC-Radiogenomics": {"I": 93, "II": 34, "III": 24, "IV": 5},
}
ACCURACIES = {"baseline, 211 patients": (0.46, 211), "multimodal, 89 patients": (0.66, 89)}
LIMITATIONS = (
    "The numbers were copied from the text, the tables and the published files of the papers. The tables "
    "above show every number that was used, so that a mistake in copying can be found.",
    "A wrong number is no proof of a leak. It shows that a table cannot be used as a target.",
    "Some statements may be corrected in later versions of the papers.",
)


def overlaps() -> pd.DataFrame:
    """Return Dice and IoU of each segmenter, and the Dice that the IoU allows.

    Examples
    --------
    >>> print(*overlaps().loc["U-Net", ["Dice", "of one mask", "largest mean", "verdict"]])
    0.88 0.901 0.904 a mean over patients of unequal quality
    """
    rows = {}
    for model, row in SEGMENTERS.iterrows():
        low, high = mean_dice_range(row["iou"])
        one = tuple(dice_of_iou(iou) for iou in rounded_range(row["iou"]))
        said = rounded_range(row["dice"])
        if said[0] <= one[1] and said[1] >= one[0]:
            verdict = "fits one mask"
        elif said[0] <= high and said[1] >= low:
            verdict = "a mean over patients of unequal quality"
        else:
            verdict = "impossible"
        rows[model] = (row["dice"], row["iou"], round(dice_of_iou(row["iou"]), 3), round(low, 3),
                       round(high, 3), verdict)  # fmt: skip
    columns = ["Dice", "IoU", "of one mask", "smallest mean", "largest mean", "verdict"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def f1_and_dice() -> pd.DataFrame:
    """Return precision, recall, F1 and Dice; for one mask, F1 and Dice are the same number.

    Examples
    --------
    >>> print(*f1_and_dice().loc["U-Net", ["F1", "Dice", "verdict"]])
    0.86 0.88 F1 follows; the Dice is another mean
    """
    rows = {}
    for model, row in SEGMENTERS.dropna().iterrows():
        low, high = f1_range(row["precision"], row["recall"])
        follows = rounded_range(row["f1"])[0] <= high and rounded_range(row["f1"])[1] >= low
        same = row["f1"] == row["dice"]
        verdict = "F1 follows" if follows else "F1 does not follow"
        verdict += "; the Dice is the same" if same else "; the Dice is another mean"
        rows[model] = (row["precision"], row["recall"], row["f1"], round(low, 3), round(high, 3),
                       row["dice"], verdict)  # fmt: skip
    columns = ["precision", "recall", "F1", "smallest F1", "largest F1", "Dice", "verdict"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def tumour_shares() -> pd.DataFrame:
    """Return the range of the share of tumour pixels that precision, recall and false-positive rate imply.

    Examples
    --------
    >>> bool((tumour_shares()["low"] > 0.2).all())
    True
    """
    rows = {
        model: prevalence_range(row["precision"], row["recall"], row["fpr"])
        for model, row in SEGMENTERS.dropna().iterrows()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["low", "high"])


def accuracies() -> pd.DataFrame:
    """Return the 95 % intervals of the accuracies of the stage paper, and the shares of the largest classes.

    Examples
    --------
    >>> accuracies().round(2).loc["multimodal, 89 patients", ["low", "high"]].tolist()
    [0.56, 0.75]
    """
    rows = {
        name: (*wilson_interval(share, n), share, len(possible_counts(share, n)) > 0)
        for name, (share, n) in ACCURACIES.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["low", "high", "value", "possible"])


def largest_classes() -> dict[str, float]:
    """Return the accuracy of a model that always names the largest class, for each cohort.

    Examples
    --------
    >>> {name: round(share, 2) for name, share in largest_classes().items()}
    {'LUNG1': 0.42, 'NSCLC-Radiogenomics': 0.6}
    """
    return {name: max(counts.values()) / sum(counts.values()) for name, counts in STAGES.items()}


def mlp_parameters(*widths: int) -> int:
    """Return the number of parameters of an MLP with batch norm after each hidden layer.

    Examples
    --------
    >>> mlp_parameters(4114, 512, 128, 4)
    2174340
    """
    pairs = list(pairwise(widths))
    return sum(a * b + b for a, b in pairs) + sum(2 * b for _, b in pairs[:-1])


def findings() -> pd.DataFrame:
    """Return each checked statement: the paper, what it says, what follows, and if both agree.

    Examples
    --------
    >>> sorted(findings()["agrees"].value_counts().items())
    [('in another sense', 3), ('no', 5), ('not comparable', 1), ('yes', 3)]
    """
    found = [(RAEMD, *one) for one in _of_raemd()] + [(RASEG, *one) for one in _of_raseg()]
    found += [(STAGE, *one) for one in _of_stage()]
    return pd.DataFrame(found, columns=["paper", "published", "computed", "agrees"])


def _of_raemd() -> Iterator[tuple[str, str, str]]:
    both = overlaps()["verdict"].value_counts()
    counted = "; ".join(f"{n} {what}" for what, n in both.items())
    yield "Dice and IoU of five models", counted, "no" if "impossible" in both else "yes"
    yield "F1 0.96 and Dice 0.97 of one model", "equal for one mask", OTHER
    least = tumour_shares()["low"].min()
    implied = f"at least {least:.0%} of the pixels are tumour: crops, not whole slices"
    yield "precision, recall and false-positive rate", implied, OTHER
    yield "Dice 0.96 in the abstract, 0.97 in the table", "two numbers for one result", "no"
    yield "Hausdorff distance reduced by 12 %", f"6.8 mm to 3.6 mm is {1 - 3.6 / 6.8:.0%}", "no"


def _of_raseg() -> Iterator[tuple[str, str, str]]:
    n = patients_behind(PRIORS["LDA"])
    yield "117 patients with a known EGFR status", f"the published LDA was fitted on {n}", "no"
    fitted = f"the QDA was fitted on 88 patients, the LDA before it on all {n}"
    yield "results by 5-fold cross-validation", fitted, "no"
    auc = binormal_auc(_LDA_SCORE[0], (_LDA_SCORE[1] / 2, _LDA_SCORE[1] / 2))
    yield "AUC 0.90 of QDA after LDA", f"{auc:.3f} by the means and variances in its file", "yes"
    few = possible_tables(*EGFR, {"accuracy": 0.97, "f1": 0.95})
    macro = possible_tables(*EGFR, {"accuracy": 0.97, "macro_f1": 0.95})
    tables = f"{len(few)} possible tables for the F1 of the mutants, {len(macro)} for the macro-F1"
    yield "accuracy 0.97 and F1 0.95 of the forest", tables, OTHER


def _of_stage() -> Iterator[tuple[str, str, str]]:
    yield "about 2.2 million parameters", f"{mlp_parameters(4114, 512, 128, 4):,}", "yes"
    shares = ", ".join(f"{share:.2f} in {name}" for name, share in largest_classes().items())
    yield "accuracy 0.46 well above the largest class, 211 patients", shares, "no"
    yield "0.66 with 89 patients against 0.46 with 211", "other patients in each", "not comparable"


def verdict() -> list[str]:
    """Return the conclusions of the report.

    Examples
    --------
    >>> verdict()[0]
    '5 of 12 published statements do not agree with their own numbers, and 3 hold only in another sense.'
    """
    table = findings()
    counts = table["agrees"].value_counts()
    first = (
        f"{counts.get('no', 0)} of {len(table)} published statements do not agree with their own numbers, "
        f"and {counts.get(OTHER, 0)} hold only in another sense."
    )
    wrong = table[table["agrees"] == "no"]
    return [
        first,
        *(f"{row.paper}: {row.published}. Computed: {row.computed}." for row in wrong.itertuples()),
    ]
