import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import _pylab_helpers
from matplotlib.figure import Figure

from mmfusion import figures
from mmfusion.data.targets import list_targets
from mmfusion.errors import DataError, ReportError
from mmfusion.explain import ScanAttribution
from mmfusion.figures.lesions import typical_patients
from mmfusion.figures.style import class_colours, new_grid
from mmfusion.imaging import Volume
from mmfusion.metrics import score_table, segmentation_table
from mmfusion.quality import compare_restorers
from tests.cohorts import tiny_cohort
from tests.figures.contents import (
    ball,
    correlations,
    histories,
    leaks,
    mask_table,
    out_of_fold,
    positions,
    scans,
    scores_by_stage,
    trend_table,
)
from tests.figures.gallery import every_figure
from tests.metrics.predictions import CLASSES, predictions


@pytest.fixture(scope="module")
def gallery():
    before = dict(mpl.rcParams)
    drawn = every_figure()
    assert dict(mpl.rcParams) == before
    return drawn


def test_every_figure_is_in_the_gallery(gallery):
    assert set(gallery) == set(figures.__all__)


@pytest.mark.parametrize("name", figures.__all__)
def test_drawn_within_the_report_and_nothing_cut_off(gallery, name):
    figure = gallery[name]
    assert isinstance(figure, Figure) and figure.get_size_inches()[0] <= 7.2
    png = figure._repr_png_()
    assert png.startswith(b"\x89PNG") and len(png) > 3000
    box = figure.get_tightbbox()  # inches
    width, height = figure.get_size_inches()
    assert box.x0 > -0.01 and box.y0 > -0.01 and box.x1 < width + 0.01 and box.y1 < height + 0.01
    assert not _pylab_helpers.Gcf.figs  # nothing is kept open


def texts(figure):
    figure.canvas.draw()
    found = [
        t.get_text()
        for ax in figure.axes
        for t in (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.title)
    ]
    return [t for t in found if t]


def test_hyperparameters_are_coloured_by_column():
    params = pd.DataFrame(
        {"lr": [1e-3, 3e-3], "fusion": ["gmu", "concat"], "head": ["softmax"] * 2}, index=["a", "b"]
    )
    figure = figures.hyperparameters(params)
    shade = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shade, [[0, 1, 0], [1, 0, 0]])
    assert {"0.001", "0.003", "gmu", "concat", "softmax"} <= set(texts(figure))
    with pytest.raises(ReportError, match="no parameters"):
        figures.hyperparameters(pd.DataFrame())


def test_confusions_count_every_patient_once_per_repeat():
    table = predictions("m", n=60, repeats=3)
    figure = figures.confusions(table, CLASSES, "m")
    pooled = figure.axes[5]
    assert pooled.get_title(loc="left") == "All, mean of 3 repeats"
    assert len(figure.axes[0].texts) == 9
    one = figures.confusions(table[table["repeat"] == 0], CLASSES, "m").axes[5]
    assert sum(int(t.get_text()) for t in one.texts) == 60


def test_best_epoch_is_marked():
    ax = figures.learning_curves(histories()).axes[0]
    first = histories().query("fold == 0")
    assert ax.lines[2].get_xdata()[0] == first.loc[first["valid_loss"].idxmin(), "epoch"]
    alone = figures.learning_curves(histories().drop(columns="valid_loss")).axes[0]
    assert [line.get_label() for line in alone.lines] == ["training rows"]


def test_models_are_ordered_and_numbers_written():
    table = out_of_fold(60)
    scores = score_table(table, CLASSES, metrics=["macro_auc"], n_boot=20)
    figure = figures.model_comparison(scores, references={"optimum": 0.95})
    found = texts(figure)
    best = scores["macro_auc"]["mean"].idxmax()
    assert figure.axes[0].get_yticklabels()[0].get_text() == best
    assert "optimum 0.95" in found and any(f"{scores['macro_auc']['mean'].max():.3f} [" in t for t in found)
    with pytest.raises(ReportError, match="no metric 'dice'"):
        figures.model_comparison(scores, metric="dice")


def test_small_groups_are_listed_but_not_plotted():
    table = pd.DataFrame(
        {
            "model": "m",
            "group": ["all", "few"],
            "n": [80, 4],
            "mean": [0.7, 1.0],
            "lo": [0.6, 1.0],
            "hi": [0.8, 1.0],
        }
    )
    figure = figures.by_presence(table)
    assert " too few patients" in texts(figure)
    assert len(figure.axes[0].collections[-1].get_offsets()) == 1


def test_cohort_overview_shows_what_is_missing():
    cohort = tiny_cohort(80, missing=0.3, genes=50)
    figure = figures.cohort_overview(cohort)
    cells = np.asarray(next(ax for ax in figure.axes if ax.images).images[0].get_array())
    names = [t for t in texts(figure) if ": " in t]
    rna = names.index("rna: 50 features")
    assert (cells[rna] == 0).sum() == cohort.X["rna"].isna().all(axis=1).sum()
    pack_years = names.index("ehr: pack_years")
    assert (cells[pack_years] == 1).sum() == cohort.X[("ehr", "pack_years")].isna().sum()


def test_maps_name_their_scan_and_the_side_of_the_patient():
    crop = np.random.default_rng(0).random((1, 6, 6, 6)).astype(np.float32)
    of = {name: ScanAttribution(crop, crop, ("P1",), ("II",), name) for name in ("ct", "pet")}
    for name, title in (("ct", "CT"), ("pet", "PET")):
        figure = figures.scan_maps({"map": of[name]})
        assert [ax.get_title(loc="left") for ax in figure.axes] == [title, "map"]
        assert figure.get_supxlabel() == "axial slices; the patient's right is on the left"
        assert figure.axes[0].images[0].get_array().shape == (6, 6) and not figure.axes[0].xaxis_inverted()
    with pytest.raises(ReportError, match=r"'b' has maps of other scans \(expected ct; got pet\)"):
        figures.scan_maps({"a": of["ct"], "b": of["pet"]})


def test_slices_go_through_the_point():
    crop = np.zeros((4, 5, 6))
    crop[1, 2, 3] = 1
    figure = figures.scan_slices(crop, at=(1, 2, 3), spacing=(3, 1, 1))
    for ax, shape, (row, column) in zip(
        figure.axes, [(5, 6), (4, 6), (4, 5)], [(2, 3), (1, 3), (1, 2)], strict=True
    ):
        image = np.asarray(ax.images[0].get_array())
        assert image.shape == shape and image[row, column] == 1 and image.sum() == 1
    assert figure.axes[1].get_aspect() == 3  # z is three times as coarse
    assert figure.axes[1].images[0].origin == "lower"  # the head is up


def test_restorers_are_shown_with_their_measurements(gallery):
    figure = gallery["restoration_panel"]
    images = [np.asarray(image.get_array()) for ax in figure.axes for image in ax.images]
    assert len(images) >= 12 and all(image.shape == (40, 40) for image in images[:12])
    for before, after, delta in zip(images[0:12:3], images[1:12:3], images[2:12:3], strict=True):
        np.testing.assert_allclose(delta, after - before, atol=1e-3)
    said = " ".join(texts(figure))
    assert "SSIM to input 1.000" in said and "PSNR to reference" in said and "prediction shifts" in said
    assert "not how good" in figure._supxlabel.get_text()
    with pytest.raises(ReportError, match="no restorer"):
        figures.restoration_panel(compare_restorers(Volume(np.zeros((2, 8, 8), np.float32), np.eye(4)), []))


def test_outlines_of_lesions(gallery):
    figure = gallery["lesion_overlays"]
    titles = [ax.get_title(loc="left") for ax in figure.axes[::3]]
    assert [t.split("\n")[0] for t in titles] == ["best: R01-001", "median: R01-002", "worst: R01-003"]
    dice = [float(t.split()[-1]) for t in titles]
    assert dice[0] == 1 > dice[1] > dice[2] > 0.3
    axial, coronal = figure.axes[:2]
    assert coronal.get_aspect() == 2 and coronal.images[0].origin == "lower"  # 3 mm slices of 1.5 mm pixels
    true, predicted = (c.get_paths()[0].get_extents() for c in figure.axes[6].collections)
    assert (predicted.x0 - true.x0, predicted.y0 - true.y0) == pytest.approx((4, 0), abs=0.6)  # voxels
    assert axial.get_xlim() == (-0.5, axial.images[0].get_array().shape[1] - 0.5)


def test_an_outline_at_the_edge_and_an_empty_mask():
    scan = Volume(np.zeros((4, 30, 30), np.float32), np.diag([2.0, 2, 5, 1]), "PT", "SUVbw")
    edge, none = (Volume(np.zeros((4, 30, 30), np.uint8), scan.affine, unit="mask") for _ in range(2))
    edge.array[:, :5, :5] = 1
    figure = figures.lesion_overlays({"missed": (scan, edge, none), "nothing": (scan, none, none)})
    assert len(figure.axes[0].collections) == 1 and not figure.axes[3].collections
    assert figure.axes[3].get_title(loc="left").endswith("Dice 1.00")  # both are empty


def test_a_lesion_without_a_true_mask():
    scan = Volume(np.zeros((4, 30, 30), np.int16), np.diag([2.0, 2, 5, 1]))
    mask = Volume(np.zeros((4, 30, 30), np.uint8), scan.affine, unit="mask")
    mask.array[1:3, 5:10, 5:15] = 1
    axes = figures.lesion_overlays({"R01-001": (scan, None, mask)}).axes
    assert axes[0].get_title(loc="left") == "R01-001\n2.0 mL, no true mask"
    assert [len(ax.collections) for ax in axes[:3]] == [1, 1, 1]  # the predicted outline alone


def test_gaps_of_leaks(gallery):
    (ax,) = gallery["leak_gaps"].axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["slices: null", "slices: planted"]
    means = [np.mean(line.get_xdata()) for line in ax.lines[:2]]
    assert means == pytest.approx([0.73, 0.73])  # half way between the means of both protocols
    assert [len(dots.get_offsets()) for dots in ax.collections] == [3, 3, 3, 3]


def test_correlations_beside_their_permutations(gallery):
    (ax,) = gallery["correlation_null"].axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["EGFR", "KRAS", "MET"]  # the best on top
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.16] * 3)
    best = [line for line in ax.lines if line.get_label() == "best possible"]
    assert len(best) == 1 and best[0].get_xdata() == pytest.approx([0.6])


def test_boxes_have_a_point_per_patient(gallery):
    shown = [ax for ax in gallery["boxes_by_class"].axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == ["hypoxia\nrho +0.60", "exhaustion"]
    assert [len(dots.get_offsets()) for dots in shown[0].collections] == [20, 20, 20]
    assert [text.get_text() for text in shown[0].get_xticklabels()] == [f"{c}\nn = 20" for c in CLASSES]


def test_trends_beside_those_of_random_sets(gallery):
    (ax,) = gallery["trends"].axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["hypoxia", "exhaustion"]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.4, 0.4])
    assert [bar.get_x() for bar in ax.patches] == pytest.approx([-0.2, -0.2])


def test_cosines_of_folds_and_their_mean(gallery):
    (ax,) = gallery["gradient_cosines"].axes
    zero, *folds, mean = ax.lines
    assert len(folds) == 2 and set(zero.get_ydata()) == {0}
    assert mean.get_ydata() == pytest.approx(np.mean([one.get_ydata() for one in folds], axis=0))


def test_best_median_and_worst():
    scores = pd.Series([0.5, np.nan, 0.9, 0.1, 0.7, 0.3], list("abcdef"))
    assert typical_patients(scores) == {"best": "c", "median": "a", "worst": "d"}
    assert typical_patients(scores[:3]) == {"best": "c", "worst": "a"}
    assert typical_patients(scores[:1]) == {"best": "a"}


def test_every_patient_is_a_point_of_its_group():
    table = mask_table()
    figure = figures.lesion_scores(table, "size")
    points = [c.get_offsets() for c in figure.axes[0].collections if len(c.get_offsets())]
    assert sum(map(len, points)) == len(table)
    heights = np.sort(np.concatenate([p[:, 1] for p in points]))
    np.testing.assert_allclose(heights, np.sort(table["dice"]))
    assert "n = 11" in " ".join(t.get_text() for t in figure.axes[0].get_xticklabels())


def test_numbers_of_the_detection_table():
    scores = segmentation_table(mask_table(), n_boot=20)
    found = texts(figures.detection_table(scores))
    assert {"unet", "cspat", f"{scores.loc['unet', ('dice', 'mean')]:.2f}"} <= set(found)
    scores.loc["unet", ("lesion_sensitivity_pooled", "mean")] = np.nan
    assert "–" in texts(figures.detection_table(scores))


def test_site_effects_show_the_auc_of_the_site(gallery):
    figure = gallery["site_effects"]
    said = [ax.get_title(loc="left") for ax in figure.axes]
    assert said[0].startswith("before: site AUC") and said[1].startswith("after: site AUC")
    assert float(said[0][-4:]) > float(said[1][-4:])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.scan_slices(np.zeros((4, 4))), "not a volume"),
        (lambda: figures.scan_slices(ball()[0], mask=np.ones((4, 4, 4))), "mask does not fit"),
        (lambda: figures.scan_slices(ball()[0], at=(40, 0, 0)), "outside the scan"),
        (lambda: figures.gradcam_montage(scans(), patients=["X"]), "none of these patients"),
        (lambda: figures.scan_maps({}), "no maps"),
        (lambda: figures.scan_maps({"a": scans(), "b": scans(1)}), "'b' has maps of other patients"),
        (lambda: figures.scan_maps({"a": scans()}, masks=np.ones((1, 4, 4, 4))), "masks do not fit"),
        (lambda: figures.scan_maps({"a": scans()}, patients=["X"]), "none of these patients"),
        (lambda: figures.scan_maps({"a": scans()}, spacing=[1.0, 2.0]), "spacing does not fit"),
        (lambda: figures.scan_maps({"a": scans()}, spacing=0.0), "spacing does not fit"),
        (lambda: figures.learning_curve(pd.DataFrame()), "no learning curve"),
        (lambda: figures.learning_curves(pd.DataFrame()), "no learning curves"),
        (lambda: figures.paired_differences(pd.DataFrame()), "no model other than the reference"),
        (lambda: figures.by_presence(pd.DataFrame()), "no groups"),
        (lambda: figures.gene_bars(pd.DataFrame()), "no genes"),
        (lambda: figures.gene_intervals(pd.DataFrame()), "no genes"),
        (lambda: figures.lesion_overlays({}), "no lesion to show"),
        (lambda: figures.leak_gaps(leaks(), metric="dice"), "no result of the demonstrations"),
        (lambda: figures.ranges(pd.DataFrame(), title="share"), "no range to show"),
        (lambda: figures.dice_against_iou(pd.DataFrame()), "no pair of Dice and IoU"),
        (lambda: figures.correlation_null(*correlations(())), "no genes to show"),
        (lambda: figures.correlation_null(correlations()[0], correlations(["A"])[1]), "without permutations"),
        (lambda: figures.boxes_by_class(scores_by_stage()[0].iloc[:, :0], None), "no numbers to show"),
        (lambda: figures.boxes_by_class(scores_by_stage()[0] * np.nan, None), "no numbers to show"),
        (lambda: figures.trends(trend_table() * np.nan), "no trend is estimable"),
        (lambda: figures.gradient_cosines(pd.DataFrame({"cosine": []})), "no cosines to show"),
        (lambda: typical_patients(pd.Series([np.nan])), "no patient has a score"),
        (lambda: figures.lesion_scores(pd.DataFrame(), "size"), "lack a column"),
        (lambda: figures.lesion_scores(mask_table().assign(dice=np.nan), "size"), "no patient has a score"),
        (lambda: figures.slice_positions(positions().query("position == 'outside'")), "no slices"),
        (lambda: figures.detection_table(score_table(out_of_fold(20), CLASSES, n_boot=2)), "lack a metric"),
        (lambda: figures.cv_vs_external(pd.DataFrame({"cv": [0.5]})), "nothing to compare"),
    ],
)
def test_nothing_to_show_is_an_error(call, message):
    with pytest.raises(ReportError, match=message):
        call()


def test_unknown_model():
    with pytest.raises(DataError, match="no predictions of 'x'"):
        figures.roc(out_of_fold(40), CLASSES, "x")


def test_same_figure_twice():
    table = out_of_fold(60)
    bytes_ = []
    for _ in range(2):
        buffer = io.BytesIO()
        figures.roc(table, CLASSES, "ridge").savefig(buffer, format="raw")
        bytes_.append(buffer.getvalue())
    assert bytes_[0] == bytes_[1]


def test_a_stage_has_one_colour_under_every_target():
    four = class_colours(["I", "II", "III", "IV"])
    assert len(set(four.values())) == 4
    for classes in list_targets().query("kind == 'ordinal'")["classes"].str.split(", "):
        colours = class_colours(classes)
        assert len(set(colours.values())) == len(classes)
        assert all(colours[name] == four[name] for name in colours if name in four)
    mixed = class_colours(["I", "x", "y"])
    assert mixed["I"] == four["I"] and len(set(mixed.values())) == 3


def test_a_cohort_with_a_vector_for_a_label():
    cohort = tiny_cohort(20).with_target("expression:GENE1,GENE2")
    axes = figures.cohort_overview(cohort).axes
    assert [t.get_text() for t in axes[0].get_xticklabels()] == ["GENE1", "GENE2"]


def test_left_over_panels_are_hidden():
    figure, axes = new_grid(4, columns=3, row=2.0, rest=0.5, panel=2.0)
    assert axes.shape == (2, 3) and [ax.get_visible() for ax in axes.flat] == [True] * 4 + [False] * 2
    assert tuple(figure.get_size_inches()) == (6.0, 4.5)


def test_the_named_stage_is_bold_even_if_another_is_more_probable():
    def bold(**options):
        ax = figures.patient_probabilities({"I": 0.4, "II": 0.35, "III": 0.25}, **options).axes[0]
        return [label.get_text() for label in ax.get_yticklabels() if label.get_fontweight() == "bold"]

    assert bold(stage="II") == ["II"] and bold() == ["I"]


@pytest.mark.parametrize("folds", [True, False])
def test_paired_differences_say_which_interval_they_show(folds):
    ends = [-0.01, 0.11] if folds else [np.nan, np.nan]
    columns = ["diff", "lo", "hi", "corrected_lo", "corrected_hi", "p_holm"]
    table = pd.DataFrame([[0.05, 0.01, 0.09, *ends, 0.04]], ["crossmodal"], columns)
    figure = figures.paired_differences(table)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert ("over patients, widened for the folds" in texts) is folds
    assert ("over patients" in texts) is not folds
