"""Tables, masks and groups of forms that users give: one clear error, or a correct answer."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError, ScanWarning
from mmfusion.imaging import Volume, read_mask, write_nifti
from mmfusion.lesions.cases import training_cases
from mmfusion.lesions.scans import ScanReader
from tests.lesions.conftest import patient, table

SCAN, MASK = ("ct", "volume"), ("ct", "mask")
READER = ScanReader(("ct",), (3.0, 3.0, 3.0))


@pytest.fixture(scope="module")
def rows():
    return table({f"P{k}": patient(k) for k in range(3)})


def moved(mask, voxels):
    """The mask, moved along x."""
    affine = mask.affine.copy()
    affine[:3, 3] += voxels * affine[:3, 0]
    return replace(mask, affine=affine)


def half_outside(mask):
    return moved(mask, -round(np.argwhere(mask.array)[:, 2].mean()))


@pytest.mark.parametrize("y", [5, np.array(5)])
def test_masks_that_are_no_list(rows, y):
    with pytest.raises(DataError, match="parameter y: not a list of masks"):
        training_cases(rows, y, READER)


@pytest.mark.parametrize("groups", [5, "abc", {"P0": 1}, pd.DataFrame({"patient": list("abc")})])
def test_groups_that_are_no_list(rows, groups):
    with pytest.raises(DataError, match="parameter groups: not a list of groups"):
        training_cases(rows, None, READER, groups)


def test_groups_of_other_rows(rows):
    groups = pd.Series(["a", "a", "b"], index=rows.index)
    assert [case.person for case in training_cases(rows, None, READER, groups)] == ["a", "a", "b"]
    with pytest.raises(DataError, match="the groups are of other patients than the scans"):
        training_cases(rows, None, READER, groups[::-1])
    with pytest.raises(DataError, match=r"not a list of groups .*got one of ndarray"):
        training_cases(rows, None, READER, np.array([["a", "b"]] * 3))


def test_ids_that_are_one_text(rows):
    with pytest.raises(DataError, match="patient 1: two rows of one patient"):
        training_cases(rows.set_axis([1, "1", 2]), None, READER)
    with pytest.raises(DataError, match="an index with several levels"):
        training_cases(rows.set_axis(pd.MultiIndex.from_product([["a"], [1, 2, 3]])), None, READER)


def test_empty_texts_are_no_paths(rows):
    """A path of "" would be the current folder."""
    with pytest.raises(DataError, match="patient P0, column mask: an empty path"):
        training_cases(rows, ["", *rows[MASK][1:]], READER)
    with pytest.raises(DataError, match="column ct volume: an empty path"):
        READER.lacking(pd.Series({SCAN: " "}, name="P0"))


def test_a_generator_of_masks_with_a_detector(test_networks, rows):
    model = mf.LesionSegmenter("cued", box_mode="detector", max_epochs=1, threshold=0.5)
    model.fit(rows, (mask for mask in rows[MASK]))
    assert model.detector_ is not None


def test_regions_by_numbers_with_a_missing_one(rows, tmp_path):
    """A column of numbers in which one is missing has decimals."""
    mask = rows.iloc[0][MASK]
    path = str(write_nifti(replace(mask, array=mask.array * 2), tmp_path / "two.nii.gz"))
    scan = str(write_nifti(rows.iloc[0][SCAN], tmp_path / "scan.nii.gz"))
    X = table({"P0": {SCAN: scan, MASK: path}})
    X["ct", "mask_part"] = pd.Series([2.0, None])[:1].to_numpy()
    assert training_cases(X, None, READER)[0].has_lesion
    cohort = mf.Cohort("numbers", X, pd.DataFrame(index=X.index), "lesion")
    assert open_scan(cohort, "P0").lesion.array.any()


def test_a_mask_that_leaves_the_scan(rows, tmp_path):
    half = half_outside(rows.iloc[0][MASK])
    with pytest.warns(ScanWarning, match=r"patient P0, mask: [45]\d.\d% of the region lies outside the scan"):
        training_cases(rows, [half, *rows[MASK][1:]], READER)
    path = write_nifti(half, tmp_path / "half.nii.gz")
    with pytest.warns(ScanWarning) as given:
        read_mask(path, rows.iloc[0][SCAN].to_lps())
    assert any("% of the region lies outside the scan" in str(one.message) for one in given)


@pytest.mark.parametrize("spacing", [1.0, 2.7, 6.0])
def test_a_mask_up_to_the_edge_of_the_scan_is_inside(rows, spacing):
    scan = rows.iloc[0][SCAN]
    full = Volume(np.ones(scan.shape, np.uint8), scan.affine, unit="mask").resample(spacing)
    training_cases(rows, [full, *rows[MASK][1:]], READER)  # a warning would be an error
