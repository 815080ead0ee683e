"""Masks on the grid of a network, and masks of every kind of file."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import LeakageError, ScanError
from mmfusion.imaging import Volume, write_nifti, write_rtstruct, write_seg
from mmfusion.lesions import write_mask
from mmfusion.lesions.cases import LabelWarning, training_cases
from mmfusion.lesions.labels import mask_on_grid
from mmfusion.lesions.scans import ScanReader
from tests.imaging.structure_sets import ball, scan
from tests.lesions.conftest import TINY, patient, table

SCAN, MASK = ("ct", "volume"), ("ct", "mask")
COARSE = np.diag([4.0, 4.0, 4.0, 1.0])


def mask(*voxels, shape=(20, 20, 20)):
    array = np.zeros(shape, np.uint8)
    for voxel in voxels:
        array[voxel] = 1
    return Volume(array, np.eye(4), unit="mask")


def test_lesions_smaller_than_a_voxel_of_the_grid_are_kept():
    there = mask_on_grid(mask((2, 9, 13), (17, 5, 5)), COARSE, (5, 5, 5))
    assert np.argwhere(there).tolist() == [[0, 2, 3], [4, 1, 1]]


def test_the_volume_of_larger_lesions_stays():
    there = mask_on_grid(mask((slice(4, 12), slice(3, 11), slice(5, 13))), COARSE, (5, 5, 5))
    assert there.sum() == 8
    assert not mask_on_grid(mask(), COARSE, (5, 5, 5)).any()


def test_a_mask_outside_the_grid():
    with pytest.raises(ScanError, match="outside the scan"):
        mask_on_grid(mask((19, 19, 19)), COARSE, (3, 3, 3))
    assert mask_on_grid(mask((19, 19, 19), (1, 1, 1)), COARSE, (3, 3, 3)).sum() == 1


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    """Folder of a CT, the scan, and two balls as mask."""
    folder, volume = scan(
        tmp_path_factory.mktemp("dicom") / "ct", shape=(14, 44, 40), spacing=(2.0, 1.0, 1.0)
    )
    both = ball(volume, 5.0, off=(8, 8, 2)).array | ball(volume, 4.0, off=(-8, -8, -3)).array
    return folder, volume, Volume(both, volume.affine, unit="mask")


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize(("form", "least"), [("nifti", 1.0), ("seg", 1.0), ("rtstruct", 0.9)])
def test_masks_as_files_are_learned_from_and_read_back(dicom, tmp_path, form, least):
    folder, volume, true = dicom
    name = "mask.nii.gz" if form == "nifti" else "mask.dcm"
    path = write_mask(true, tmp_path / name, folder, form=form)
    back = mf.imaging.read_mask(path, volume)
    assert back.same_grid(volume) and dice(back.array, true.array) >= least
    if least == 1.0:
        np.testing.assert_array_equal(back.array, true.array)
    reader = ScanReader(("ct",), (2.0, 1.0, 1.0))
    X = table({"P1": {SCAN: str(folder), MASK: str(path)}})
    (case,) = training_cases(X, None, reader)
    assert dice(case.mask, true.to_lps().array) >= least and len(case.boxes) == 2


def test_a_region_of_a_file_with_several(dicom, tmp_path):
    folder, volume, true = dicom
    small = ball(volume, 4.0)
    X = table({"P1": {SCAN: str(folder), MASK: "", ("ct", "mask_part"): "Node"}})
    for write in (write_seg, write_rtstruct):
        path = write({"Tumour": true, "Node": small}, folder, tmp_path / f"{write.__name__}.dcm")
        X[MASK] = [str(path)]
        (case,) = training_cases(X, None, ScanReader(("ct",), (2.0, 1.0, 1.0)))
        assert dice(case.mask, small.to_lps().array) > 0.85
        with pytest.raises(ScanError, match="patient P1"):
            training_cases(X.drop(columns=[("ct", "mask_part")]), None, ScanReader(("ct",), (2.0, 1.0, 1.0)))


def test_predictions_of_a_dicom_scan_as_files(model, dicom, tmp_path):
    folder, volume, _ = dicom
    found = model.segment(folder)
    assert found.same_grid(volume) and found.frame_of_reference == volume.frame_of_reference
    if not found.array.any():
        found = Volume(found.array | ball(volume, 5.0).array, found.affine, unit="mask",
                       frame_of_reference=volume.frame_of_reference)  # fmt: skip
    for form, least in (("nifti", 1.0), ("seg", 1.0), ("rtstruct", 0.9)):
        path = tmp_path / ("m.nii.gz" if form == "nifti" else f"{form}.dcm")
        back = mf.imaging.read_mask(write_mask(found, path, folder, form=form), volume)
        assert dice(back.array, found.to_lps().array) >= least


def test_both_lesions_of_a_patient_are_learned_and_found():
    """Two balls of one patient; the post-processing keeps both."""
    rows = {}
    for k in range(4):
        one = patient(k)
        scan_, mask_ = one[SCAN], one[MASK]
        second = np.roll(mask_.array, (7, 15, 14), (0, 1, 2))
        array = np.where(second, np.int16(0), scan_.array)
        both = Volume(mask_.array | second, mask_.affine, unit="mask")
        rows[f"P{k}"] = {SCAN: Volume(array, scan_.affine), MASK: both}
    X = table(rows)
    found = list(mf.LesionSegmenter(**{**TINY, "threshold": 0.5}).fit(X).predict(X))
    assert np.mean([dice(a.array, b.array) for a, b in zip(found, X[MASK])]) > 0.4
    with_both = [len(mf.imaging.boxes.lesion_boxes(one.array)) >= 2 for one in found]
    assert sum(with_both) >= 2


def test_masks_of_some_patients_only(X):
    some = X.copy()
    some.iloc[[1, 4], some.columns.get_loc(MASK)] = None
    short = {**TINY, "max_epochs": 1, "threshold": 0.5}
    with pytest.warns(LabelWarning, match="2 of 6 patients have no mask and are left out: P1, P4"):
        model = mf.LesionSegmenter(**short).fit(some)
    assert len(model.patients_) == 4 and model.saw(X) == ["P0", "P2", "P3", "P5"]
    same = mf.LesionSegmenter(**short).fit(X.drop(index=["P1", "P4"]))
    for a, b in zip(model.predict(X), same.predict(X), strict=True):
        np.testing.assert_array_equal(a.array, b.array)


def test_one_patient_in_training_and_test_under_two_ids(tmp_path):
    """A copy with other ids, grid and file format is refused, and the model knows exact copies."""
    size = (30, 60, 60)  # large enough to have a fingerprint
    rng = np.random.default_rng(0)
    array = np.kron(rng.integers(-900, 100, (6, 12, 12)), np.ones((5, 5, 5))).astype(np.int16)
    one = Volume(array, np.diag([2.0, 2.0, 3.0, 1.0]))
    label = Volume((array > 60).astype(np.uint8), one.affine, unit="mask")
    write_nifti(label, tmp_path / "mask.nii.gz")

    def cohort(name, scan_):
        path = write_nifti(scan_, tmp_path / f"{name}.nii.gz")
        X = table({name: {SCAN: str(path), MASK: str(tmp_path / "mask.nii.gz")}})
        return mf.Cohort(name, X, pd.DataFrame(index=X.index), "lesion")

    train, copy = cohort("A", one), cohort("B", one.resample(2.5))
    with pytest.raises(LeakageError, match=r"A.*B"):
        mf.data.check_no_duplicates(train, copy)
    other = cohort("C", Volume(np.roll(array[::-1], 17, 1), one.affine))
    mf.data.check_no_duplicates(train, other)
    model = mf.LesionSegmenter(**{**TINY, "max_epochs": 1, "threshold": 0.5}).fit(train.X)
    assert size == one.shape and model.saw(cohort("D", one).X) == ["D"] and model.saw(other.X) == []
