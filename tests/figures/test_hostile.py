"""Names from data are drawn as they are written, and stop no figure."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.cbook import is_math_text
from matplotlib.text import Text

from mmfusion import figures
from mmfusion.explain.attributions import GeneAttribution
from mmfusion.explain.modalities import ModalityAttribution
from mmfusion.explain.scans import ScanAttribution
from mmfusion.imaging import Volume, montage, slider
from mmfusion.metrics import score_table, segmentation_table
from mmfusion.quality.separability import SiteSeparability
from tests.cohorts import tiny_cohort
from tests.figures.contents import (
    correlations,
    leaks,
    mask_table,
    positions,
    scores_by_stage,
    segmented,
    trend_table,
)

BAD = r"$\href{javascript:x}{y}$"
NAMES = [BAD, r"$\frac{$", r"_a\$^{_", "a\ud800\x00b", "$$", "<b>"]


def table(n=60):
    """Predictions of models with such names for classes with such names."""
    rng = np.random.default_rng(0)
    classes = NAMES[:3]
    p = rng.dirichlet(np.ones(3), size=n)
    rows = {"repeat": 0, "fold": np.arange(n) % 2, "patient_id": [f"P{i}" for i in range(n)]}
    rows["y_true"] = [classes[i % 3] for i in range(n)]
    rows |= {f"p_{c}": p[:, k] for k, c in enumerate(classes)}
    return pd.concat([pd.DataFrame(rows).assign(model=name) for name in (BAD, "_m", "ridge")]), classes


def hostile_figures():
    predictions, classes = table()
    scores = score_table(predictions, classes, n_boot=20)
    sizes = pd.DataFrame(np.ones((6, 3)), index=NAMES, columns=classes)
    ranked = pd.DataFrame({"mean_abs_shap": 1.0, "lower": 0.8, "upper": 1.2, "q": 0.05}, index=NAMES)
    values = np.random.default_rng(1).normal(size=(5, 6, 3))
    base = np.full((5, 3), 1 / 3)
    genes = GeneAttribution(
        values, np.ones((5, 6)), base + values.sum(1), base, tuple("abcde"), tuple(NAMES), tuple(classes)
    )
    modalities = ModalityAttribution(
        values[:, :2], np.ones((5, 2), bool), base, base[0], tuple("abcde"), tuple(NAMES[:2]), tuple(classes)
    )
    crop = np.random.default_rng(2).random((1, 8, 8, 8)).astype(np.float32)
    row = {"mean": 0.7, "lo": 0.6, "hi": 0.8, "n": 40, "n_train": 50, "model": "_m"}
    sites = SiteSeparability(
        pd.DataFrame({"auc": [0.9, 0.5]}, index=["before", "after"]),
        pd.DataFrame({"eta2_before": [0.4], "eta2_after": [0.1]}),
        pd.DataFrame(
            {"site": NAMES, **{f"pc{i}_{s}": range(6) for i in (1, 2) for s in ("before", "after")}}
        ),
    )
    cohort = tiny_cohort(20)
    named = cohort.table.rename(columns={"pack_years": BAD, "margin": NAMES[2]}, level=1)
    object.__setattr__(cohort, "table", named)
    object.__setattr__(cohort, "name", BAD)
    surveyed = pd.DataFrame([{"x_mm": 0.7, "z_mm": 3, "p1": -900, "p50": -100, "p99": 300}] * 2)
    mask = Volume((crop[0] > 0.5).astype(np.uint8), np.eye(4), unit="mask")
    scan = Volume(crop[0], np.eye(4))
    return {
        "hyperparameters": figures.hyperparameters(pd.DataFrame({BAD: NAMES}, index=NAMES)),
        "confusions": figures.confusions(predictions, classes, BAD),
        "class_probabilities": figures.class_probabilities(predictions, classes, BAD),
        "roc": figures.roc(predictions, classes, BAD),
        "reliability": figures.reliability(predictions, classes, [BAD, "_m"]),
        "model_comparison": figures.model_comparison(scores, main=BAD, references={BAD: 0.5}),
        "by_presence": figures.by_presence(pd.DataFrame([row | {"group": BAD}, row | {"group": "_"}])),
        "robustness_curves": figures.robustness_curves(
            pd.DataFrame(
                [
                    row
                    | {"perturbation": BAD, "unit": BAD, "strength": 0.0, "value": 0.6, "metric": "macro_auc"}
                ]
            )
        ),
        "subgroup_forest": figures.subgroup_forest(
            pd.DataFrame([row | {"by": BAD, "group": BAD, "value": 0.6, "metric": "macro_auc"}])
        ),
        "learning_curve": figures.learning_curve(pd.DataFrame([row, row | {"model": BAD}])),
        "gene_bars": figures.gene_bars(sizes, highlight=[BAD]),
        "gene_intervals": figures.gene_intervals(ranked, highlight=[BAD]),
        "gene_beeswarm": figures.gene_beeswarm(genes, BAD),
        "modality_contributions": figures.modality_contributions(modalities),
        "cohort_overview": figures.cohort_overview(cohort),
        "scan_slices": figures.scan_slices(crop[0], title=BAD),
        "gradcam_montage": figures.gradcam_montage(ScanAttribution(crop, crop, (BAD,), (BAD,))),
        "scan_maps": figures.scan_maps({BAD: ScanAttribution(crop, crop, (BAD,), (BAD,))}),
        "scan_survey": figures.scan_survey(surveyed.assign(lungs_ml=[4000, 5000], lesion_ml=[8, 2])),
        "site_effects": figures.site_effects(sites),
        "patient_probabilities": figures.patient_probabilities(dict.fromkeys(NAMES, 0.1), title=BAD),
        "correlation_null": figures.correlation_null(*correlations([BAD, "_m"]), best={BAD: 0.5}),
        "boxes_by_class": figures.boxes_by_class(*scores_by_stage([BAD, "_m"]), titles={BAD: BAD}),
        "trends": figures.trends(trend_table([BAD, "_m"])),
        "leak_gaps": figures.leak_gaps(leaks([BAD, "_m"]), metric="auc_patients"),
        "dice_against_iou": figures.dice_against_iou(pd.DataFrame({"iou": [0.8], "dice": [0.9]}, [BAD])),
        "ranges": figures.ranges(
            pd.DataFrame({"low": [0.1], "high": [0.2]}, [BAD]), title=BAD, references={BAD: 0.5}
        ),
        "lesion_overlays": figures.lesion_overlays(segmented([BAD])),
        "lesion_scores": figures.lesion_scores(
            mask_table([BAD, "_m"], n=len(NAMES)).assign(**{BAD: NAMES * 2}), BAD
        ),
        "slice_positions": figures.slice_positions(positions([BAD, "_m"])),
        "detection_table": figures.detection_table(segmentation_table(mask_table([BAD, "_m"]), n_boot=5)),
        "montage": montage(scan, {BAD: mask, "_roi": mask}, title=BAD, n=2),
        "slider": slider(scan, {BAD: mask}, title=BAD, n=2).still,
    }


@pytest.fixture(scope="module")
def drawn():
    return hostile_figures()


# a surrogate and a control character are drawn as the replacement character
def test_no_text_is_read_as_a_formula(drawn):
    for name, figure in drawn.items():
        assert figure._repr_png_().startswith(b"\x89PNG"), name
        for text in figure.findobj(Text):
            formula = text.get_parse_math() and is_math_text(text.get_text())
            assert not formula or "default" in text.get_text(), (name, text.get_text())


def test_names_with_an_underscore_stay_in_the_legend(drawn):
    figure = drawn["learning_curve"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [" _m", BAD]


def test_a_highlighted_name_is_highlighted(drawn):
    marked = [t for t in drawn["gene_bars"].axes[0].get_yticklabels() if t.get_fontweight() == "bold"]
    assert [t.get_text() for t in marked] == [BAD]


def test_volumes_on_a_log_axis_are_plain_numbers(drawn):
    labels = [t.get_text() for t in drawn["scan_survey"].axes[2].get_xticklabels()]
    assert "10" in labels and not any("$" in label for label in labels)
