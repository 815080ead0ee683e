"""Stability under changed masks, and the differences between sites of radiomics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import distance_transform_edt

from mmfusion.data.load import load_cohort
from mmfusion.errors import DataError
from mmfusion.features import RadiomicsExtractor, extract, feature_stability
from mmfusion.features.perturbed_masks import perturbed_masks
from mmfusion.features.stability import PerturbedRadiomics
from mmfusion.imaging import Volume
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.quality import site_separability
from tests.features.lesions import lesion, needs_mirp, write_cohort

pytestmark = needs_mirp
FAMILIES = {"families": ("morphology", "statistics"), "spacing": 1.5}
SERIAL = {"n_jobs": 1, "progress": False}


@pytest.fixture(scope="module")
def cases():
    return {f"P{k}": lesion(k, radius=3.5 + k) for k in range(3)}


def test_masks_grow_shrink_and_their_contours_move(cases):
    """Volumes are those asked for; the contour moves by about 1 mm; the same seed gives the same masks."""
    scan, mask = cases["P2"]
    grid = RadiomicsExtractor("ct", {"spacing": 1.0}).grid(scan, mask, 14.0)
    n = grid.mask.sum()
    grown = perturbed_masks(grid, (-0.2, 0.0, 0.2), 0)
    assert [one.sum() for one in grown] == [round(0.8 * n), n, round(1.2 * n)]
    np.testing.assert_array_equal(grown[1], grid.mask)
    assert not (grown[0] & ~grid.mask).any() and not (grid.mask & ~grown[2]).any()
    moved = perturbed_masks(grid, (0.0,), 6, random_state=1)
    assert all(one.sum() == n for one in moved)
    outside = distance_transform_edt(~grid.mask)
    farthest = [outside[one].max() for one in moved]
    assert 0.5 < np.median(farthest) < 4.0
    dice = [2 * (one & grid.mask).sum() / (2 * n) for one in moved]
    assert min(dice) > 0.7 and max(dice) < 0.99
    for a, b in zip(perturbed_masks(grid, (0.0,), 6, random_state=1), moved):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(perturbed_masks(grid, (0.0,), 6), moved))


def test_stable_features_are_told_from_unstable_ones(cases, tmp_path):
    """Lesions of different sizes: their volumes are stable, the centre of mass shift is not."""
    missing = cases | {"P3": (cases["P0"][0], None)}
    found = feature_stability(write_cohort(tmp_path, missing), RadiomicsExtractor("ct", FAMILIES), **SERIAL)
    table = found.table
    assert list(table.columns) == ["icc", "low", "high", "patients"] and table.index.name == "feature"
    assert (table["patients"] == 3).all() and list(found.failures.index) == ["P3"]
    assert table.loc["morph_volume", "icc"] > 0.9 > table.loc["morph_com", "icc"]
    assert (table["low"] <= table["icc"]).all() and (table["icc"] <= table["high"]).all()
    assert found.robust == table.index[table["low"] >= 0.9].tolist()
    assert found.provenance["growth"] == [-0.15, 0.0, 0.15] and found.provenance["contours"] == 3
    assert "features are robust, 1 failures" in repr(found)


def test_computed_once(cases, tmp_path, monkeypatch):
    made, compute = [], PerturbedRadiomics.compute_row
    monkeypatch.setattr(
        PerturbedRadiomics, "compute_row", lambda self, row: made.append(1) or compute(self, row)
    )
    manifest = write_cohort(tmp_path, cases)
    radiomics = RadiomicsExtractor("ct", FAMILIES)
    few = {"growth": (-0.1, 0.1), "contours": 0, **SERIAL}
    first = feature_stability(manifest, radiomics, **few)
    pd.testing.assert_frame_equal(feature_stability(manifest, radiomics, **few).table, first.table)
    assert len(made) == 3
    feature_stability(manifest, radiomics, random_state=1, **few)
    assert len(made) == 6


def test_bad_input(cases, tmp_path):
    radiomics = RadiomicsExtractor("ct", FAMILIES)
    for bad in ({"growth": (0.1,), "contours": 0}, {"growth": (-1.0, 0.1)}, {"growth": ()}, {"contours": -1}):
        with pytest.raises(DataError, match="not perturbations"):
            PerturbedRadiomics(radiomics, **bad)
    single = {"P0": cases["P0"], "P1": (cases["P1"][0], None)}
    with pytest.raises(DataError, match=r"stability needs two lesions .got 1 with features; P1: no mask"):
        feature_stability(write_cohort(tmp_path, single), radiomics, growth=(0, 0.1), contours=0, **SERIAL)
    scan, mask = cases["P0"]
    point = np.zeros(mask.shape, np.uint8)
    point[10, 20:22, 20] = 1
    tiny = {"P0": cases["P0"], "P1": cases["P1"], "P2": (scan, Volume(point, mask.affine, unit="mask"))}
    unchanged = RadiomicsExtractor("ct", FAMILIES | {"spacing": None})
    few = {"growth": (-0.9, 0.1), "contours": 0, **SERIAL}
    found = feature_stability(write_cohort(tmp_path, tiny), unchanged, **few)
    assert found.failures["error"].to_dict()["P2"].startswith("a perturbed mask is empty or fills the box")
    assert found.table["patients"].max() == 2


@pytest.fixture(scope="module")
def two_sites(tmp_path_factory):
    """Radiomics of 24 lesions; the scanner of one site shifts all values by 200 HU."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("sites")
        patch.setenv("MMFUSION_CACHE", str(folder / "cache"))
        site = pd.Series({f"P{k}": "north" if k % 2 else "south" for k in range(24)}, name="site")
        cases = {
            p: lesion(k, radius=4.0, shape=(12, 24, 24), site=200.0 * (site[p] == "north"))
            for k, p in enumerate(site.index)
        }
        extractor = RadiomicsExtractor("ct", {"families": ("statistics", "glcm"), "spacing": 1.5})
        cohort = load_cohort(write_cohort(folder, cases))
        features = extract(cohort, extractor, **SERIAL).features
    return features, site


def test_the_site_is_seen_in_radiomics_and_removed_by_combat(two_sites):
    features, site = two_sites
    found = site_separability(features, site)
    assert found.table.loc["before", "auc"] > 0.9
    assert found.table.loc["after", "auc"] < found.table.loc["before", "auc"] - 0.2
    assert (
        found.features.loc["stat_mean", "eta2_after"] < 0.1 * found.features.loc["stat_mean", "eta2_before"]
    )


def test_combat_of_the_pipeline_harmonises_radiomics_on_the_training_rows(two_sites, tmp_path):
    """The columns of the CT block pass through `harmonise="combat"`; held-out rows change nothing fitted."""
    features, site = two_sites
    X = pd.concat({"ct": features, "meta": site.to_frame()}, axis=1)
    train, test = X.iloc[:16], X.iloc[16:]
    fitted = CohortTransformer(harmonise="combat").fit(train)
    combat = fitted.harmonisers_["ct_table"]
    assert set(combat.features_) == set(features.columns)
    wild = X.copy()
    wild.loc[test.index, "ct"] = 1e6
    again = CohortTransformer(harmonise="combat").fit(wild.iloc[:16]).harmonisers_["ct_table"]
    np.testing.assert_array_equal(combat.location_, again.location_)
    column = list(combat.features_).index("stat_mean")
    plain = CohortTransformer().fit(train).transform(test).arrays["ct_table"][:, 0, column]
    clean = fitted.transform(test).arrays["ct_table"][:, 0, column]
    north = (site[test.index] == "north").to_numpy()
    assert abs(clean[north].mean() - clean[~north].mean()) < abs(plain[north].mean() - plain[~north].mean())
