import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from mmfusion.metrics import score_table
from mmfusion.metrics.curves import mean_roc, reliability
from tests.metrics.predictions import CLASSES, predictions


def test_one_fold_is_the_curve_of_scikit_learn():
    table = predictions("m", n=80, folds=1)
    curves, aucs = mean_roc(table, CLASSES, "m", n_boot=20)
    for c in CLASSES:
        fpr, tpr, _ = roc_curve(table["y_true"] == c, table[f"p_{c}"], drop_intermediate=False)
        ours = curves[curves["class"] == c]
        between = ~np.isin(np.round(ours["fpr"], 9), np.round(fpr, 9))  # at a step, either end is right
        np.testing.assert_allclose(ours["tpr"][between], np.interp(ours["fpr"][between], fpr, tpr), atol=1e-9)
        assert aucs.loc[c, "mean"] == pytest.approx(roc_auc_score(table["y_true"] == c, table[f"p_{c}"]))


def test_areas_average_to_the_headline():
    table = predictions("m", n=90, repeats=2)
    curves, aucs = mean_roc(table, CLASSES, "m", n_boot=50)
    headline = score_table(table, CLASSES, metrics=["macro_auc"], n_boot=5).loc["m", ("macro_auc", "mean")]
    assert aucs["mean"].mean() == pytest.approx(headline)
    for c, curve in curves.groupby("class"):
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(aucs.loc[c, "mean"], abs=0.02)
        assert (curve["lo"] <= curve["tpr"] + 1e-9).mean() > 0.95 and (
            curve["tpr"].diff().dropna() >= -1e-12
        ).all()


def test_reliability_of_calibrated_predictions():
    # labels drawn from the probabilities themselves
    rng = np.random.default_rng(0)
    table = predictions("m", n=4000, folds=1, signal=0)
    p = table[[f"p_{c}" for c in CLASSES]].to_numpy()
    table["y_true"] = np.array(CLASSES)[(p.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)]
    out = reliability(table, CLASSES, "m", n_boot=50)
    assert len(out) == 10 and out["n"].sum() == 4000
    np.testing.assert_allclose(out["accuracy"], out["confidence"], atol=0.09)
    assert (out["lo"] <= out["accuracy"]).all() and (out["accuracy"] <= out["hi"]).all()
    flat = table.assign(p_I=0.5, p_II=0.3, p_III=0.2)
    assert len(reliability(flat, CLASSES, "m", n_boot=5)) == 1
