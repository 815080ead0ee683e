"""What cannot be used gives one clear error, and what is unusual gives a correct answer."""

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.errors import DataError, ScanError
from mmfusion.imaging import Volume, write_nifti
from mmfusion.lesions.cases import LabelWarning, inner_split, training_cases
from mmfusion.lesions.scans import ScanReader
from tests.lesions.conftest import TINY, patient, table

SCAN, MASK = ("ct", "volume"), ("ct", "mask")
READER = ScanReader(("ct",), (3.0, 3.0, 3.0))
SHORT = {**TINY, "max_epochs": 1, "threshold": 0.5}


@pytest.fixture(scope="module")
def rows():
    return table({f"P{k}": patient(k) for k in range(5)})


def changed(rows, patient_id, **cells):
    out = rows.copy()
    for name, value in cells.items():
        out[("ct", name)] = out[("ct", name)].astype(object) if ("ct", name) in out else None
        out.at[patient_id, ("ct", name)] = value
    return out


def like(scan, array):
    return Volume(array.astype(np.uint8), scan.affine, unit="mask")


def test_patients_without_mask_or_scan_are_counted(rows):
    with pytest.warns(LabelWarning, match=r"1 of 5 patients have no mask and are left out: P1"):
        cases = training_cases(changed(rows, "P1", mask=None), None, READER)
    assert [case.patient for case in cases] == ["P0", "P2", "P3", "P4"]
    with pytest.warns(LabelWarning, match=r"1 of 5 patients have no scan of ct and are left out: P2"):
        training_cases(changed(rows, "P2", volume=np.nan), None, READER)


def test_empty_masks(rows):
    empty = like(rows.iloc[0][SCAN], np.zeros(rows.iloc[0][SCAN].shape))
    cases = training_cases(changed(rows, "P0", mask=empty), None, READER)
    assert len(cases) == 5 and not cases[0].mask.any() and cases[0].boxes == []
    mf.LesionSegmenter(**SHORT).fit(changed(rows, "P0", mask=empty))
    with pytest.raises(DataError, match="every mask is empty"):
        training_cases(rows, [empty] * 5, READER)


def test_a_mask_on_another_grid_is_resampled(rows):
    other = rows.iloc[1][MASK].resample(1.0)
    plain, moved = (
        training_cases(table_, None, READER)[1].mask for table_ in (rows, changed(rows, "P1", mask=other))
    )
    assert 2 * (plain & moved).sum() / (plain.sum() + moved.sum()) > 0.9
    far = Volume(other.array, other.affine + np.array([[0, 0, 0, 1e4]] + [[0] * 4] * 3), unit="mask")
    with pytest.raises(ScanError, match=r"patient P1.*lies outside the scan"):
        training_cases(changed(rows, "P1", mask=far), None, READER)


def test_label_images(rows, tmp_path):
    scan, true = rows.iloc[0][SCAN], rows.iloc[0][MASK].array
    labels = true * 2
    labels[0, 0, :3] = 1
    path = str(write_nifti(like(scan, labels), tmp_path / "labels.nii.gz"))
    with pytest.raises(ScanError, match="patient P0"):
        training_cases(changed(rows, "P0", mask=path), None, READER)
    chosen = training_cases(changed(rows, "P0", mask=path, mask_part="2"), None, READER)[0]
    np.testing.assert_array_equal(chosen.mask, training_cases(rows, None, READER)[0].mask)
    with pytest.raises(
        DataError, match=r"P0, column mask: a mask with other values than 0 and 1 .*got 0, 1, 2"
    ):
        training_cases(changed(rows, "P0", mask=like(scan, labels)), None, READER)
    with pytest.raises(ScanError, match=r"patient P0, column mask: not a mask"):
        training_cases(changed(rows, "P0", mask=scan), None, READER)


def test_one_slice_and_sides_that_fit_nothing(model):
    for shape in [(1, 30, 31), (2, 3, 50), (7, 1, 1)]:
        array = np.random.default_rng(0).integers(-900, 100, shape, dtype=np.int16)
        mask = model.segment(Volume(array, np.diag([1.3, 1.3, 4.0, 1.0])))
        assert mask.shape == shape and mask.unit == "mask"


def test_training_on_single_slices(rows):
    flat = {}
    for name, row in rows.iterrows():
        z = int(row[MASK].array.any(axis=(1, 2)).argmax()) + 2
        flat[name] = {
            key: one.crop_box((slice(z, z + 1), slice(None), slice(None))) for key, one in row.items()
        }
    model = mf.LesionSegmenter(**SHORT).fit(table(flat))
    assert next(model.predict(table(flat))).shape[0] == 1


def test_constant_scans(model, rows):
    blank = Volume(np.full((10, 12, 14), -1000, np.int16), np.diag([2.0, 2.0, 2.0, 1.0]))
    with pytest.raises(ScanError, match="patient blank: an empty scan: every voxel has one value"):
        next(model.predict(table({"blank": {SCAN: blank}})))
    with pytest.raises(ScanError, match="patient P0: an empty scan"):
        training_cases(changed(rows, "P0", volume=blank), None, READER)


def test_values_that_are_no_numbers(model):
    broken = Volume(np.full((4, 8, 8), np.nan, np.float32), np.eye(4))
    with pytest.raises(ScanError, match=r"patient patient.*not numbers"):
        model.segment(broken)


def test_a_loss_that_is_no_number(rows):
    with pytest.raises(DataError, match="training loss became"):
        mf.LesionSegmenter(**{**SHORT, "lr": 1e30, "training": {"clip_norm": None}, "max_epochs": 5}).fit(
            rows
        )


def test_no_pet_for_a_network_that_reads_pet(rows):
    two = table({f"P{k}": patient(k, pet=True) for k in range(3)})
    model = mf.LesionSegmenter(**SHORT, modalities=("ct", "pet")).fit(two)
    with pytest.raises(DataError, match=r"patient P0, column pet volume: no PET scan"):
        next(model.predict(rows))
    with pytest.raises(DataError, match="no PET scan"):
        model.segment(rows.iloc[0][SCAN])
    with pytest.raises(ScanError, match="not a PET"):
        model.segment(rows.iloc[0][SCAN], rows.iloc[0][SCAN])
    with pytest.raises(DataError, match="no patient to learn from"), pytest.warns(LabelWarning):
        mf.LesionSegmenter(**SHORT, modalities=("ct", "pet")).fit(rows)


def test_one_patient_twice(rows):
    with pytest.raises(DataError, match="patient P2: two rows of one patient"):
        training_cases(rows.iloc[[0, 2, 2]], None, READER)
    double = table(
        {**{name: dict(row.items()) for name, row in rows.iterrows()}, "alias": dict(rows.iloc[3].items())}
    )
    with pytest.warns(LabelWarning, match="two ids have the same scan.*P3 and alias"):
        cases = training_cases(double, None, READER)
    for seed in range(8):
        learned, held_out = inner_split(cases, 0.3, seed)
        assert not {c.person for c in learned} & {c.person for c in held_out} and held_out


def test_persons_stay_together(rows):
    cases = training_cases(rows, None, READER, groups=["a", "a", "b", "c", "d"])
    for seed in range(8):
        learned, held_out = inner_split(cases, 0.3, seed)
        assert not {c.person for c in learned} & {c.person for c in held_out} and held_out
    assert inner_split(cases[:3], 0.3, 0)[1] == []


def test_labels_that_do_not_fit(rows):
    y = rows[MASK]
    with pytest.raises(DataError, match="masks and scans differ in number"):
        training_cases(rows, list(y)[:3], READER)
    with pytest.raises(DataError, match="other patients"):
        training_cases(rows, y[::-1], READER)
    with pytest.raises(DataError, match="no masks to learn from"):
        training_cases(rows[[SCAN]], None, READER)
    with pytest.raises(DataError, match="not a table of patients"):
        mf.LesionSegmenter(**SHORT).fit([[1]])


def test_a_file_that_is_not_there(model, rows):
    with pytest.raises(ScanError, match=r"patient P1.*scan cannot be read|patient P1.*no such scan"):
        next(model.predict(table({"P1": {SCAN: "missing.nii.gz"}})))


def test_patches_that_are_too_small_for_the_network(rows):
    with pytest.raises(
        DataError, match=r"parameter size: UNet cannot normalise a single voxel .*above 2 voxels"
    ):
        mf.LesionSegmenter(**SHORT | {"size": 2}).fit(rows[:2])
