"""Deep features of a segmenter: their number, where the patch lies, and what they depend on."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch

import mmfusion as mf
from mmfusion.data.load import load_cohort
from mmfusion.errors import DataError
from mmfusion.features import DeepFeatures, extract
from mmfusion.features import deep as module
from tests.features.lesions import lesion, write_cohort
from tests.features.segmenters import segmenter


@pytest.fixture
def cohort(tmp_path):
    cases = {f"P{k}": lesion(k, shape=(24, 60, 56), radius=6.0) for k in range(3)}
    return load_cohort(write_cohort(tmp_path, cases))


def run_extract(cohort, extractor):
    return extract(cohort, extractor, n_jobs=1, progress=False)


@pytest.mark.parametrize(("level", "n"), [("high", 8192), ("mid", 8192), ("multi", 16384)])
def test_the_full_size_has_as_many_features_as_the_paper(level, n):
    """Gollini et al. 2022: 64 channels x 128 slices; found from shapes, without the weights."""
    model = segmenter()
    model.fitted_ = mf.LesionSegmenter("raseg", preset="full").settings
    extractor = DeepFeatures(model, level)
    assert extractor.n_features == n
    assert extractor.columns[-1] == f"raseg_{level}_{n - 1}"


def test_the_features_are_those_of_the_network(cohort):
    """One patch around the lesion, windowed; "multi" is "high" and then "mid"."""
    model = segmenter()
    results = {level: run_extract(cohort, DeepFeatures(model, level)) for level in ("high", "mid", "multi")}
    assert not any(len(result.failures) for result in results.values())
    high, mid, multi = (results[level].features for level in ("high", "mid", "multi"))
    assert high.shape == (3, 4 * 8) and mid.shape == (3, 6 * 4)
    np.testing.assert_array_equal(multi, np.hstack([high, mid]))
    row = cohort.table.loc["P1"]
    scans = model.reader.prepare(row)
    mask = model.reader.mask(row, row["ct", "mask"], scans)
    starts = []
    for axis, n in enumerate(mask.shape):
        at = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        middle = (at[0] + at[-1]) / 2
        starts.append(int(np.clip(round(middle - 7.5), 0, n - 16)))
    box = tuple(slice(start, start + 16) for start in starts)
    with torch.no_grad():
        x = torch.from_numpy(scans.image[(slice(None), *box)].astype(np.float32))[None]
        expected = model.module_.features(x)[0]
    np.testing.assert_allclose(high.loc["P1"], expected, rtol=1e-5, atol=1e-7)
    assert set(results["mid"].provenance) >= {"model", "weights", "level", "patch_voxels", "spacing_mm"}


def test_a_saved_segmenter_gives_the_same_features(cohort, tmp_path):
    model = segmenter()
    model.save(tmp_path / "raseg")
    here, there = DeepFeatures(model), DeepFeatures(tmp_path / "raseg")
    assert here.weights_hash == there.weights_hash
    row = cohort.table.loc["P0"]
    np.testing.assert_array_equal(there.compute_row(row), here.compute_row(row))
    module._loaded.cache_clear()
    sent = pickle.loads(pickle.dumps(there))
    assert sent._model is None  # read from the folder, not sent to each process
    np.testing.assert_array_equal(sent.compute_row(row), here.compute_row(row))


def test_kept_under_all_that_it_depends_on(cohort, monkeypatch):
    made, compute = [], DeepFeatures.compute_row
    monkeypatch.setattr(DeepFeatures, "compute_row", lambda self, row: made.append(1) or compute(self, row))
    one = cohort.select(patients=["P0"])
    run_extract(one, DeepFeatures(segmenter()))
    run_extract(one, DeepFeatures(segmenter()))
    assert len(made) == 1
    run_extract(one, DeepFeatures(segmenter(), "mid"))
    run_extract(one, DeepFeatures(segmenter(1)))
    run_extract(one, DeepFeatures(segmenter(size=24)))
    assert len(made) == 4


def test_the_place_of_the_patch(tmp_path):
    """The mask, else the seed, else the middle of a scan that fits; a larger scan needs one of them."""
    scan, mask = lesion(0, shape=(24, 60, 56), radius=6.0)
    table = load_cohort(write_cohort(tmp_path, {"P0": (scan, mask), "P1": (scan, None)})).table
    seeds = pd.DataFrame(dict.fromkeys([("ct", f"seed_{x}") for x in "xyz"], np.nan), table.index)
    rows = pd.concat([table, seeds], axis=1)
    extractor = DeepFeatures(segmenter(size=8))
    marked = extractor.compute_row(rows.loc["P0"])
    with pytest.raises(mf.MMFusionError, match=r"no lesion and no seed.*give a mask, or seed_x"):
        extractor.compute_row(rows.loc["P1"])
    box = mask.bounding_box_mm()
    rows.loc["P1", [("ct", f"seed_{x}") for x in "xyz"]] = np.mean(box, axis=0)
    np.testing.assert_allclose(extractor.compute_row(rows.loc["P1"]), marked, rtol=1e-5)
    wide = DeepFeatures(segmenter(size=24))
    np.testing.assert_array_equal(wide.compute_row(table.loc["P1"]), wide.compute_row(rows.loc["P0"]))


def test_boxes_are_those_of_prediction(cohort):
    """The mode "oracle" reads the box of the mask, and says so in the provenance."""
    row = cohort.table.loc["P0"]
    plain, oracle = (DeepFeatures(segmenter(box_mode=mode)) for mode in ("none", "oracle"))
    assert not np.allclose(plain.compute_row(row), oracle.compute_row(row))
    assert oracle.provenance["box_mode"] == "oracle" and "oracle boxes" in oracle.provenance["model"]


def test_bad_input(cohort, tmp_path):
    with pytest.raises(DataError, match=r"the network has no features .expected one of raseg; got unet"):
        DeepFeatures(mf.LesionSegmenter("unet"))
    with pytest.raises(DataError, match=r"unknown level of features .expected high, mid, multi; got low"):
        DeepFeatures(segmenter(), "low")
    both = segmenter(modalities=("ct", "pet"))
    result = run_extract(cohort, DeepFeatures(both))
    assert (
        not len(result.features)
        and (result.failures["error"] == "no pet scan (expected scans: ct, pet)").all()
    )
    scan = cohort.table.loc["P0", ("ct", "volume")]
    broken = pd.Series({("ct", "volume"): scan}, name="P0")
    with pytest.raises(mf.MMFusionError, match="no lesion and no seed"):
        DeepFeatures(segmenter(size=8)).compute_row(broken)
