"""Networks that read boxes: of the true mask, changed at random, of a detector, or none."""

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.evaluation.tasks import SegmentationTask
from mmfusion.imaging import Volume
from mmfusion.imaging.boxes import lesion_boxes
from mmfusion.lesions.cases import training_cases
from mmfusion.lesions.detector import Detector, _moved
from mmfusion.lesions.training import training_boxes
from tests.lesions.conftest import dice

SCAN, MASK = ("ct", "volume"), ("ct", "mask")
pytestmark = pytest.mark.usefixtures("test_networks")


def fitted(X, mode, **options):
    return mf.LesionSegmenter("cued", box_mode=mode, **options).fit(X)


def test_oracle_boxes_need_masks_and_are_stamped(X, tmp_path):
    model = fitted(X, "oracle", threshold=0.5)
    masks = list(model.predict(X))
    assert {mask.provenance for mask in masks} == {"oracle"}
    assert next(model.probabilities(X)).provenance == "oracle"
    assert model.short_name == "cued (oracle boxes)" and model.reads_masks
    with pytest.raises(DataError, match=r"patient P0, column mask: no mask, and box_mode='oracle'"):
        next(model.predict(X[[SCAN]]))
    # its predictions follow the mask that it is given: this is why they are stamped
    other = X.copy()
    other[MASK] = [*X[MASK][1:], X[MASK].iloc[0]]
    assert any(not np.array_equal(a.array, b.array) for a, b in zip(masks, model.predict(other), strict=True))
    SegmentationTask().predict(model, X[:1], X[MASK][:1])  # an evaluation leaves the masks to it
    one = model.segment(X[SCAN].iloc[0], mask=X[MASK].iloc[0])
    np.testing.assert_array_equal(one.array, masks[0].array)
    model.save(tmp_path / "oracle")
    assert "box of the true mask" in (tmp_path / "oracle" / "README.md").read_text()
    assert next(mf.load(tmp_path / "oracle").predict(X)).provenance == "oracle"


@pytest.mark.parametrize("mode", ["none", "jittered"])
def test_other_modes_do_not_read_masks(X, mode):
    model = fitted(X, mode, max_epochs=1, threshold=0.5)
    for a, b in zip(model.predict(X), model.predict(X[[SCAN]]), strict=True):
        np.testing.assert_array_equal(a.array, b.array)
        assert a.provenance is None
    assert not model.reads_masks


def test_boxes_in_training(X):
    reader = mf.LesionSegmenter("cued").settings
    cases = training_cases(X, None, mf.lesions.segmenter.ScanReader(reader.modalities, reader.spacing))
    rng = np.random.RandomState(0)
    assert training_boxes(cases, "none") is None
    assert training_boxes(cases, "oracle")(2, rng) == lesion_boxes(cases[2].mask)
    drawn = [training_boxes(cases, "jittered")(2, rng) for _ in range(50)]
    assert any(one is None for one in drawn) and len({str(one) for one in drawn}) >= 2


def test_a_detector_is_fitted_and_finds_the_lesion(X, tmp_path, monkeypatch):
    usual = Detector.settings
    small = {"options": {"channels": (6, 12)}, "size": 8, "lr": 0.03, "batch_size": 16}
    monkeypatch.setattr(Detector, "settings", staticmethod(lambda main: usual(main) | small))
    model = fitted(X, "detector", max_epochs=20)
    coarse = model.detector_.segmenter
    assert coarse.fitted_.spacing == (6.0, 6.0, 6.0) and coarse.box_mode == "none"
    # it learns from the same patients as the network, not from those on whom the threshold is chosen
    assert len(coarse.patients_) == len(X) - 1 and set(coarse.patients_) < set(model.patients_)
    inside = 0
    for _, row in X.iterrows():
        scans = model.reader.prepare(row)
        true = np.argwhere(model.reader.mask(row, row[MASK], scans)).mean(axis=0)
        boxes = model.detector_.find(row, scans) or []
        inside += any(all(s.start <= c < s.stop for c, s in zip(true, box, strict=True)) for box in boxes)
    assert inside >= 5
    masks = list(model.predict(X[[SCAN]]))
    assert np.mean(dice(masks, X[MASK])) > 0.1  # the toy network is small
    model.save(tmp_path / "two")
    loaded = mf.load(tmp_path / "two")
    for a, b in zip(masks, loaded.predict(X), strict=True):
        np.testing.assert_array_equal(a.array, b.array)


def test_the_threshold_of_a_detector_is_chosen_on_held_out_patients(X, monkeypatch):
    """A detector that has hardly learned has low probabilities; it must find something all the same."""
    usual = Detector.settings
    small = {"options": {"channels": (6, 12)}, "size": 8, "lr": 0.003, "max_epochs": 6}
    monkeypatch.setattr(Detector, "settings", staticmethod(lambda main: usual(main) | small))
    model = fitted(X, "detector", max_epochs=1)
    coarse = model.detector_.segmenter
    assert coarse.threshold_ != 0.5
    found = [model.detector_.find(row, model.reader.prepare(row)) for _, row in X.iterrows()]
    assert sum(boxes is not None for boxes in found) >= 5
    fixed = fitted(X, "detector", max_epochs=1, threshold=0.4)
    assert fixed.detector_.segmenter.threshold_ == 0.5


def test_boxes_of_the_coarse_grid_cover_the_same_place(X):
    scan = Volume(np.zeros((20, 30, 40), np.int16), np.diag([1.5, 1.5, 2.5, 1.0]))
    fine, coarse = scan.resample(2.0), scan.resample(4.0)
    box = (slice(2, 5), slice(3, 6), slice(1, 8))
    moved = _moved(box, np.linalg.inv(fine.affine) @ coarse.affine, fine.shape)
    for ends, at, sign in (
        ([s.start - 1.0 for s in box], [s.start - 0.5 for s in moved], 1),  # with half a coarse voxel
        ([s.stop for s in box], [s.stop - 0.5 for s in moved], -1),
    ):
        apart = coarse.voxel_to_mm(ends[::-1]) - fine.voxel_to_mm(at[::-1])
        assert (sign * apart >= -1e-6).all() and (np.abs(apart) < 2).all()
    everywhere = _moved((slice(0, 99),) * 3, np.linalg.inv(fine.affine) @ coarse.affine, fine.shape)
    assert everywhere == tuple(slice(0, n) for n in fine.shape)
