"""How well sites can be told apart, before and after harmonisation."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.preprocessing.crop_features import crop_features
from mmfusion.preprocessing.histograms import HistogramMatching
from mmfusion.preprocessing.scans import ScanTransformer
from mmfusion.quality.separability import site_separability
from mmfusion.synthetic import phantom
from tests.preprocessing.sites import ids, shifted

SIZE = "piece_diameter_mm"


def test_separability_falls_with_combat():
    frame, _ = shifted()
    found = site_separability(frame.drop(columns="site"), frame["site"])
    assert found.table.loc["before", "auc"] > 0.95 > 0.65 > found.table.loc["after", "auc"]
    assert (found.features["eta2_after"] < found.features["eta2_before"]).mean() > 0.9
    assert found.table.loc["after", "epsilon2_median"] < 0.05 < found.table.loc["before", "epsilon2_median"]
    assert found.features[["eta2_before", "epsilon2_before"]].stack().between(0, 1).all()
    assert list(found.pca.index) == list(frame.index) and found.pca.notna().all(axis=None)


def test_eta_and_epsilon_squared_golden():
    """Three groups of three: scipy.stats.f_oneway gives F = 27, so eta2 = 2 * 27 / (2 * 27 + 6) = 0.9."""
    frame = pd.DataFrame({"x": [1.0, 2, 3, 4, 5, 6, 7, 8, 9], "y": np.arange(9.0)[::-1]}, index=ids(9))
    site = pd.Series(list("aaabbbccc"), index=frame.index)
    found = site_separability(frame, site, harmonise=lambda train, rows: frame.iloc[rows], folds=3, repeats=1)
    np.testing.assert_allclose(found.features["eta2_before"], 0.9)
    np.testing.assert_allclose(found.features["epsilon2_before"], 0.9)  # H = 7.2, over n - 1
    pd.testing.assert_series_equal(found.table.loc["before"], found.table.loc["after"], check_names=False)


def test_the_harmoniser_is_fitted_in_the_fold():
    frame, _ = shifted(60)
    features, calls = frame.drop(columns="site"), []

    def watch(train, rows):
        calls.append((set(train), set(rows)))
        return features.iloc[rows]

    site_separability(features, frame["site"], harmonise=watch, repeats=1)
    folds = calls[1:]  # the first is the description, of everybody
    assert len(folds) == 10 and all(not rows - train or not rows & train for train, rows in folds)
    assert sorted(k for train, rows in folds if not rows & train for k in rows) == list(range(60))


def test_groups_stay_together():
    frame, _ = shifted(60)
    groups = np.repeat(np.arange(30), 2)
    frame["site"] = np.repeat(frame["site"].to_numpy()[::2], 2)
    features, seen = frame.drop(columns="site"), []

    def watch(train, rows):
        if not set(train) & set(rows):
            seen.append(not set(groups[train]) & set(groups[rows]))
        return features.iloc[rows]

    site_separability(features, frame["site"], groups, harmonise=watch, repeats=1)
    assert seen == [True] * 5


def test_sites_that_are_too_small_are_left_out():
    frame, _ = shifted(60)
    site = frame["site"].astype(object)
    site.iloc[:3] = "tiny"
    site.iloc[3:5] = None
    found = site_separability(frame.drop(columns="site"), site)
    assert set(found.pca["site"]) == {"A", "B", "C"} and len(found.pca) == 55
    with pytest.raises(DataError, match="fewer than two sites"):
        site_separability(frame.drop(columns="site"), frame["site"].map(lambda _: "A"))
    with pytest.raises(DataError, match="not about the same patients"):
        site_separability(frame.drop(columns="site"), frame["site"].iloc[::-1])


@pytest.mark.slow
def test_phantom_scanners_are_less_separable_and_the_stage_no_worse(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    cohort, _ = phantom(120, seed=11, sites=4, modalities=("ct",), missing=0, root=tmp_path / "p")
    X, site = cohort.X["ct"], cohort.X[("meta", "site")]
    crops = ScanTransformer().fit(X).transform(X)
    code = np.searchsorted(sorted(site.unique()), site)
    offset = (np.array([0, 40, -40, 70]) / 1400)[code].reshape(-1, 1, 1, 1, 1)
    crops = np.where(crops > 0, np.clip(crops + offset, 0, 1), 0).astype(np.float32)

    def describe(values, rows=slice(None)):
        return crop_features(values, index=X.index[rows])

    def matched(train, rows):
        return describe(HistogramMatching().fit(crops[train]).transform(crops[rows]), rows)

    raw = describe(crops)
    by_combat = site_separability(raw, site, repeats=1).table["auc"]
    by_matching = site_separability(raw, site, harmonise=matched, repeats=1).table["auc"]
    assert by_combat["before"] > 0.85
    assert by_combat["after"] < 0.65 and by_matching["after"] < by_matching["before"] - 0.1
    size = raw[SIZE]
    harmonised = describe(HistogramMatching().fit(crops).transform(crops))[SIZE]
    assert np.corrcoef(size, harmonised)[0, 1] > 0.95


def test_a_seed_that_cannot_be_used():
    frame, _ = shifted(60)
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        site_separability(frame.drop(columns="site"), frame["site"], random_state=-1)
