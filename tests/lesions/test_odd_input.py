"""Every oddity in the table, the masks, the scans or the settings gives one clear error."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError, MMFusionError, ScanError, ScanWarning
from mmfusion.imaging import Volume
from mmfusion.lesions.cases import training_cases
from mmfusion.lesions.scans import ScanReader
from tests.lesions.conftest import TINY, patient, table
from tests.lesions.test_bad_input import changed

SCAN, MASK = ("ct", "volume"), ("ct", "mask")
READER = ScanReader(("ct",), (3.0, 3.0, 3.0))
BOTH = ScanReader(("ct", "pet"), (3.0, 3.0, 3.0))


@pytest.fixture(scope="module")
def rows():
    return table({f"P{k}": patient(k) for k in range(3)})


@pytest.fixture(scope="module")
def pair():
    row = table({"P0": patient(0, pet=True)}).iloc[0]
    return row[SCAN], row["pet", "volume"]


def mask_of(rows, array):
    return Volume(array, rows.iloc[0][SCAN].affine, unit="mask")


def together(ct, pet):
    return BOTH.prepare(pd.Series({SCAN: ct, ("pet", "volume"): pet}, name="P0"))


def moved(scan, mm):
    affine = scan.affine.copy()
    affine[:3, 3] += mm
    return replace(scan, affine=affine)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        ("mask.nii.gz", r"parameter y: not a list of masks .*got str"),
        ({"P0": "mask.nii.gz"}, "not a list of masks"),
        (pd.DataFrame({"mask": ["a", "b", "c"]}), "not a list of masks"),
        (
            [1, 2, 3],
            r"patient P0, column mask: not a scan or a mask \(expected a path or a Volume[;,] got int",
        ),
        ([np.zeros((2, 2, 2))] * 3, r"got ndarray"),
        (["a.nii.gz"], "masks and scans differ in number"),
    ],
)
def test_masks_of_another_form(rows, y, match):
    with pytest.raises(DataError, match=match):
        training_cases(rows, y, READER)


def test_masks_from_a_generator(rows):
    assert len(training_cases(rows, (mask for mask in rows[MASK]), READER)) == 3


@pytest.mark.parametrize(
    ("groups", "match"),
    [(["a"], "groups and patients differ"), (["a", np.nan, "b"], r"without a group .*got no person of P1")],
)
def test_groups_that_do_not_fit(rows, groups, match):
    with pytest.raises(DataError, match=match):
        training_cases(rows, None, READER, groups)


def test_tables_that_are_ambiguous(rows):
    with pytest.raises(DataError, match="column ct volume: two columns of one name"):
        mf.LesionSegmenter(**TINY).fit(pd.concat([rows, rows[[SCAN]]], axis=1))
    with pytest.raises(DataError, match="a row without a patient id"):
        training_cases(rows.set_axis(["P0", None, "P2"]), None, READER)


@pytest.mark.parametrize("values", [(0, 255), (0, -1), (0, 0.5), (0, np.nan), (1, 2)])
def test_masks_with_other_values(rows, values):
    true = rows.iloc[0][MASK].array
    kind = np.float32 if any(v != int(v) for v in np.nan_to_num(values, nan=0.5)) else np.int16
    label = mask_of(rows, np.where(true, values[1], values[0]).astype(kind))
    with pytest.raises(DataError, match="P0, column mask: a mask with other values than 0 and 1"):
        training_cases(changed(rows, "P0", mask=label), None, READER)


def test_a_mask_of_ones_as_another_type(rows):
    plain = training_cases(rows, None, READER)[0].mask
    for kind in (bool, np.int16, np.float32):
        label = mask_of(rows, rows.iloc[0][MASK].array.astype(kind))
        np.testing.assert_array_equal(
            training_cases(changed(rows, "P0", mask=label), None, READER)[0].mask, plain
        )


def test_a_mask_that_fills_the_scan(rows):
    full = mask_of(rows, np.ones(rows.iloc[0][SCAN].shape, np.uint8))
    model = mf.LesionSegmenter(**{**TINY, "max_epochs": 6, "threshold": 0.5}).fit(rows, [full] * 3)
    assert next(model.predict(rows)).array.mean() > 0.9


@pytest.mark.parametrize("cell", [np.zeros((2, 2, 2)), 5, ["scan.nii.gz"]])
def test_scans_of_another_form(model, rows, cell):
    with pytest.raises(DataError, match="column ct volume: not a scan or a mask"):
        model.segment(cell)
    odd = rows.copy()
    odd[SCAN] = pd.Series([rows.iloc[0][SCAN], cell, rows.iloc[2][SCAN]], odd.index)
    with pytest.raises(DataError, match="patient P1, column ct volume: not a scan or a mask"):
        training_cases(odd, None, READER)
    with pytest.raises(DataError, match="patient P1"):
        list(model.predict(odd))


def test_paths_as_objects(model, X):
    one = X[:1].copy()
    one[SCAN] = [Path(one.iloc[0][SCAN])]
    one[MASK] = [Path(one.iloc[0][MASK])]
    assert training_cases(one, None, model.reader)[0].mask.any()
    np.testing.assert_array_equal(next(model.predict(one)).array, next(model.predict(X[:1])).array)


def test_scans_of_another_modality(model, pair):
    with pytest.raises(ScanError, match=r"column ct volume: not a CT .*got SUVbw"):
        model.segment(pair[1])
    with pytest.raises(DataError, match="parameter pet: the model does not read a second scan"):
        model.segment(*pair)


def test_a_pet_of_another_patient(pair):
    ct, pet = pair
    assert together(ct, pet).image.shape[0] == 2
    with pytest.raises(ScanError, match=r"P0, column pet volume: the scans do not overlap .*along P"):
        together(ct, moved(pet, (0, 500, 0)))
    named = replace(ct, frame_of_reference="1.2.3")
    with pytest.raises(ScanError, match=r"another frame of reference .*expected 1.2.3[;,] got 1.2.4"):
        together(named, replace(pet, frame_of_reference="1.2.4"))
    for same in ("1.2.3", None):
        together(named, replace(pet, frame_of_reference=same))
    with pytest.warns(
        ScanWarning, match=r"pet volume: it covers 5\d % of the first|covers 5\d% of the first"
    ):
        together(ct, moved(pet, (25, 0, 0)))


def test_a_mask_of_another_patient(rows):
    scan, mask = rows.iloc[0][SCAN], rows.iloc[0][MASK]
    X = changed(rows, "P0", volume=replace(scan, frame_of_reference="1.2.3"))
    with pytest.raises(ScanError, match="patient P0, column mask: made in another frame of reference"):
        training_cases(changed(X, "P0", mask=replace(mask, frame_of_reference="9.9")), None, READER)
    training_cases(changed(X, "P0", mask=replace(mask, frame_of_reference="1.2.3")), None, READER)


@pytest.mark.parametrize("seed", ["middle", None, (1, 2), (np.nan, 0, 0), (1e9, 0, 0)])
def test_seeds(model, rows, seed):
    if seed is None:
        assert model.segment(rows.iloc[0][SCAN], seed=seed).array.any()
        return
    with pytest.raises(ScanError, match=r"not a point|a point outside the scan"):
        model.segment(rows.iloc[0][SCAN], seed=seed)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"network": None}, "no segmentation network called None"),
        ({"options": "colour"}, r"parameter options: .*expected a mapping"),
        ({"preset": 3}, "no preset 3"),
    ],
)
def test_settings_of_another_type(params, match):
    with pytest.raises(MMFusionError, match=match):
        mf.LesionSegmenter(**params).settings  # noqa: B018


def test_nobody_to_predict(model, rows):
    assert list(model.predict(rows[:0])) == []
    with pytest.raises(DataError, match="no patient to learn from"):
        mf.LesionSegmenter(**TINY).fit(rows[:0])


def test_a_missing_scan_stops_at_its_patient(model, rows):
    found = model.predict(changed(rows, "P1", volume=None))
    assert next(found).array.any()
    with pytest.raises(DataError, match=r"patient P1, column ct volume: no CT scan"):
        next(found)
