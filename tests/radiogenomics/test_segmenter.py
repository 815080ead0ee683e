"""Genotype from the masks that a segmenter predicts, with the segmenter trained inside the folds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone

import mmfusion as mf
from mmfusion.imaging import read
from mmfusion.radiogenomics import GenotypeClassifier
from mmfusion.synthetic import lesion_optimum


class OfPredictedMasks(TransformerMixin, BaseEstimator):
    """Size and density of what a segmenter marks; the whole crop where it marks nothing."""

    def __init__(self, segmenter: mf.LesionSegmenter) -> None:
        self.segmenter = segmenter

    def fit(self, X, y=None, groups=None):
        assert y is None and X["ct", "mask"].notna().all()
        self.segmenter_ = clone(self.segmenter).fit(X, groups=groups)
        return self

    def transform(self, X):
        assert not X["ct", "mask"].notna().any()
        found = []
        for scan, mask in zip(X["ct", "volume"], self.segmenter_.predict(X), strict=True):
            volume = read(scan)
            inside = mask.array > 0 if mask.array.any() else np.ones(volume.array.shape, dtype=bool)
            values = volume.array[inside].astype(float)
            ml = inside.sum() * np.prod(volume.spacing) / 1000
            found.append([np.log(ml), values.mean(), values.std(), *np.percentile(values, [10, 90])])
        return pd.DataFrame(found, X.index, ["log_ml", "mean", "sd", "low", "high"])


@pytest.mark.slow
def test_genotype_from_predicted_masks(tmp_path):
    """The segmenter of a fold never saw its test patients; the AUC is below the best possible one."""
    easy = {"types": ("ground-glass", "solid", "calcified"), "diameters": (12, 50), "thickness": (0.6, 2.5)}
    cohort = mf.lesion_phantom(60, 3, size=32, target="egfr", root=tmp_path / "scans", **easy)
    segmenter = mf.LesionSegmenter("unet", size=32, max_epochs=8, batch_size=8, lr=3e-3, threshold=0.5)
    extractor = OfPredictedMasks(segmenter)
    model = GenotypeClassifier(
        "none", ["qda", "svc"], extractor=extractor, cross_fit=False, inner=3, preset="demo"
    )  # fmt: skip
    options = {"outer": 2, "baselines": False, "where": "serial", "progress": False}
    result = mf.nested_cv(model, cohort, name="deep", **options)
    row = result.scores["macro_auc"].loc["deep"]
    assert row["mean"] > 0.5 and row["lo"] < lesion_optimum(cohort).egfr_auc
    assert set(result.params()["classifier"]) <= {"qda", "svc"}
