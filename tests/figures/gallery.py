"""Every figure, for the tests and for a look by eye."""

import numpy as np
import pandas as pd

from mmfusion import figures
from mmfusion.evaluation.report.arithmetic import SEGMENTERS, accuracies, largest_classes
from mmfusion.metrics import (
    minimum_detectable_difference,
    paired_table,
    score_table,
    scores_by_group,
    segmentation_table,
    selective_prediction,
)
from tests.cohorts import tiny_cohort
from tests.figures.contents import (
    ball,
    correlations,
    cosines,
    gene_null_table,
    genes,
    histories,
    leaks,
    mask_table,
    measured,
    modalities,
    out_of_fold,
    perturbed_rows,
    positions,
    ranked_genes,
    restored,
    scans,
    scores_by_stage,
    segmented,
    sites,
    subgroup_rows,
    surveyed,
    trend_table,
)
from tests.metrics.predictions import CLASSES


def every_figure():
    table = out_of_fold()
    scores = score_table(table, CLASSES, n_boot=200)
    paired = paired_table(table, CLASSES, n_boot=200)
    patients = table["patient_id"].unique()
    has = np.random.default_rng(5).choice(
        ["ct + rna + ehr", "rna + ehr", "ct + ehr", "ehr"], len(patients), p=[0.6, 0.2, 0.14, 0.06]
    )
    groups = scores_by_group(
        table[table["model"].isin(["crossmodal", "ridge"])], CLASSES, pd.Series(has, patients), n_boot=100
    )
    params = pd.DataFrame(
        {
            "lr": [3e-3, 1e-3, 2.2e-3, 1e-3, 5e-4],
            "dropout": [0.3, 0.1, 0.3, 0.5, 0.3],
            "hidden": [64, 128, 64, 64, 128],
            "fusion": ["concat", "crossmodal", "crossmodal", "gmu", "crossmodal"],
            "head": ["softmax"] * 5,
        },
        index=[f"r0 fold {i}" for i in range(1, 6)],
    )
    external = pd.DataFrame(
        {
            "fold": list(range(1, 6)) * 2,
            "metric": ["macro_auc"] * 5 + ["macro_f1"] * 5,
            "cv": [0.71, 0.66, 0.74, 0.69, 0.7, 0.52, 0.47, 0.55, 0.5, 0.49],
            "external": [0.66, 0.65, 0.68, 0.64, 0.67, 0.45, 0.44, 0.47, 0.46, 0.43],
        }
    )
    curve = pd.DataFrame(
        {
            "model": ["crossmodal"] * 4 + ["ridge"] * 4,
            "n_train": [24, 48, 72, 96] * 2,
            "mean": [0.6, 0.68, 0.72, 0.74, 0.62, 0.67, 0.69, 0.7],
        }
    ).assign(lo=lambda t: t["mean"] - 0.05, hi=lambda t: t["mean"] + 0.05)
    crop, heat, mask = ball()
    ablation = (
        scores["macro_auc"]
        .loc[["crossmodal", "rna only", "clinical ridge"]]
        .set_axis(["ct + rna + ehr", "rna", "ehr"])
    )
    found = genes()
    return {
        "hyperparameters": figures.hyperparameters(params),
        "confusions": figures.confusions(table, CLASSES, "crossmodal"),
        "learning_curves": figures.learning_curves(histories()),
        "class_probabilities": figures.class_probabilities(table, CLASSES, "crossmodal"),
        "roc": figures.roc(table, CLASSES, "crossmodal"),
        "cv_vs_external": figures.cv_vs_external(external),
        "decision_curve": figures.decision_curve(table, CLASSES, ["crossmodal", "ridge", "majority"]),
        "selective_prediction": figures.selective_prediction(
            {m: selective_prediction(table, CLASSES, m, n_boot=100) for m in ("crossmodal", "ridge")}
        ),
        "reliability": figures.reliability(table, CLASSES, ["crossmodal", "ridge", "forest"]),
        "model_comparison": figures.model_comparison(
            scores, main="crossmodal", references={"chance": 0.5, "optimum": 0.93}
        ),
        "paired_differences": figures.paired_differences(
            paired,
            main="crossmodal",
            detectable=minimum_detectable_difference(table, CLASSES, "crossmodal", n_boot=200),
        ),
        "modality_ablation": figures.modality_ablation(
            ablation, optimum={"ct + rna + ehr": 0.93, "rna": 0.8, "ehr": 0.78}
        ),
        "by_presence": figures.by_presence(groups),
        "robustness_curves": figures.robustness_curves(perturbed_rows()),
        "subgroup_forest": figures.subgroup_forest(
            subgroup_rows(), overall={"crossmodal": 0.66, "ridge": 0.61}
        ),
        "learning_curve": figures.learning_curve(curve),
        "gene_bars": figures.gene_bars(found.table()["mean_abs"], highlight=["EGFR", "KRT5"]),
        "gene_beeswarm": figures.gene_beeswarm(found, "III", highlight=["EGFR"]),
        "boxes_by_class": figures.boxes_by_class(*scores_by_stage(), titles={"hypoxia": "rho +0.60"}),
        "trends": figures.trends(trend_table()),
        "gene_null": figures.gene_null(gene_null_table()),
        "gene_intervals": figures.gene_intervals(ranked_genes(), highlight=["GENE0"]),
        "modality_contributions": figures.modality_contributions(modalities()),
        "cohort_overview": figures.cohort_overview(tiny_cohort(120, genes=60)),
        "scan_slices": figures.scan_slices(
            crop, overlay=heat, mask=mask, at=(16, 16, 18), spacing=3.0, title="R01-001"
        ),
        "gradcam_montage": figures.gradcam_montage(scans(), masks=np.stack([mask, mask])),
        "scan_maps": figures.scan_maps(
            {"HiResCAM": scans(), "occlusion": scans()}, masks=np.stack([mask, mask]), spacing=3.0
        ),
        "correlation_null": figures.correlation_null(*correlations(), best={"EGFR": 0.6}),
        "gradient_cosines": figures.gradient_cosines(cosines()),
        "leak_gaps": figures.leak_gaps(leaks(), metric="auc_patients", chance=0.5),
        "dice_against_iou": figures.dice_against_iou(SEGMENTERS),
        "ranges": figures.ranges(accuracies(), title="accuracy", references=largest_classes()),
        "lesion_overlays": figures.lesion_overlays(segmented()),
        "lesion_scores": figures.lesion_scores(mask_table(), "size"),
        "measured_sizes": figures.measured_sizes(measured()),
        "slice_positions": figures.slice_positions(positions()),
        "detection_table": figures.detection_table(segmentation_table(mask_table(), n_boot=50)),
        "restoration_panel": figures.restoration_panel(restored(), zoom_mm=40),
        "scan_survey": figures.scan_survey(surveyed()),
        "site_effects": figures.site_effects(sites()),
        "patient_probabilities": figures.patient_probabilities(
            {"I": 0.21, "II": 0.17, "III": 0.62},
            prior={"I": 0.65, "II": 0.2, "III": 0.15},
            title="Patient R01-001",
        ),
    }
