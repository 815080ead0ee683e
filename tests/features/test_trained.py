"""Deep features of a segmenter that is trained inside the fold."""

from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import mmfusion as mf
from mmfusion.errors import DataError, ScanError
from mmfusion.evaluation.tasks.segmentation import without_masks
from mmfusion.features import DeepFeatures, SegmenterFeatures
from mmfusion.radiogenomics import GenotypeClassifier
from tests.features.segmenters import OPTIONS

EASY = {"types": ("solid",), "diameters": (12, 30), "thickness": (0.6, 2.5)}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("scans")
    return mf.lesion_phantom(16, 3, size=24, target="egfr", root=root, **EASY)


def extractor(**changes):
    tiny = {"options": OPTIONS, "size": 16, "spacing": 2.0, "max_epochs": 1, "threshold": 0.5}
    segmenter = mf.LesionSegmenter("raseg", **tiny, training={"warmup_epochs": 0})
    return SegmenterFeatures(segmenter, "mid", **changes)


def with_table(cohort):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(len(cohort), 3)), cohort.X.index, ["a", "b", "c"])
    return cohort.with_features("ct", table)


def test_the_features_are_those_of_a_segmenter_of_these_rows(cohort):
    X = cohort.X
    model = extractor().fit(X[:8])
    alone = clone(extractor().segmenter).fit(X[:8])
    rows = without_masks(X[8:10])
    expected = [DeepFeatures(alone, "mid").compute_row(row) for _, row in rows.iterrows()]
    found = model.transform(rows)
    assert np.array_equal(found.to_numpy(), np.array(expected, dtype=float))
    assert list(found.index) == list(rows.index) and found.columns[0] == "raseg_mid_0"
    assert not model.deep_.saw(X.index[8:]) and model.deep_.saw(X.index[:8]) == list(X.index[:8])


def test_held_out_rows_change_nothing(cohort):
    X, other = cohort.X, cohort.X.copy()
    other.iloc[8:, other.columns.get_loc(("ct", "volume"))] = "nowhere.nii.gz"
    one, two = extractor().fit(X[:8]), extractor().fit(other[:8])
    assert one.deep_.weights_hash == two.deep_.weights_hash


def test_the_memory_trains_each_segmenter_once(cohort, tmp_path, monkeypatch):
    X, fits = cohort.X, []
    fit = mf.LesionSegmenter.fit
    monkeypatch.setattr(mf.LesionSegmenter, "fit", lambda *a, **k: fits.append(1) or fit(*a, **k))
    memory = joblib.Memory(tmp_path, verbose=0)
    rows = without_masks(X[8:])
    first = extractor(memory=memory).fit(X[:8]).transform(rows)
    again = extractor(memory=memory).fit(X[:8]).transform(rows)
    assert len(fits) == 1
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    extractor(memory=memory).fit(X[:7])
    assert len(fits) == 2
    changed = X[:8].copy()
    mask = mf.imaging.read_mask(changed.iloc[0]["ct", "mask"])
    array = mask.array.copy()
    array[tuple(np.argwhere(array)[0])] = 0
    path = mf.imaging.write_nifti(replace(mask, array=array), tmp_path / "mask.nii.gz")
    changed.iloc[0, changed.columns.get_loc(("ct", "mask"))] = str(path)  # the same mask without one voxel
    extractor(memory=memory).fit(changed)
    assert len(fits) == 3


def test_a_table_is_joined(cohort):
    X = with_table(cohort).X
    deep, both = extractor().fit(X[:8]), extractor(table=["ct"]).fit(X[:8])
    found = both.transform(without_masks(X[8:]))
    assert [name for name in found if name.startswith("ct")] == ["ct_table: a", "ct_table: b", "ct_table: c"]
    assert np.array_equal(found.iloc[:, 3:].to_numpy(), deep.transform(without_masks(X[8:])).to_numpy())


def test_a_saved_model_has_its_segmenter(cohort, tmp_path):
    X = with_table(cohort).X
    y = pd.Series(pd.Categorical(["wildtype", "mutant"] * 8), X.index)
    model = GenotypeClassifier("none", "qda", extractor=extractor(table=["ct"]), cross_fit=False, inner=2,
                               preset="demo").fit(X, y)  # fmt: skip
    model.save(tmp_path / "model")
    loaded = mf.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.extractor.level == "mid" and list(loaded.extractor.table) == ["ct"]


def test_errors_come_before_the_training(cohort):
    X = cohort.X
    with pytest.raises(DataError, match="no patient has a mask"):
        extractor().fit(without_masks(X))
    with pytest.raises(DataError, match="the network has no features"):
        SegmenterFeatures(mf.LesionSegmenter("unet")).fit(X)
    with pytest.raises(DataError, match="unknown level of features"):
        SegmenterFeatures(level="deepest").fit(X)


def test_a_scan_that_cannot_be_read_names_the_patient(cohort):
    X = cohort.X
    model = extractor().fit(X[:8])
    rows = without_masks(X[8:10])
    rows.iloc[1, rows.columns.get_loc(("ct", "volume"))] = "nowhere.nii.gz"
    with pytest.raises(ScanError, match=f"patient {X.index[9]}"):
        model.transform(rows)
