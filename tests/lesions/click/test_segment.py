"""One click: masks, prompts, warnings and errors, by the method without weights."""

import re

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError, ScanError
from mmfusion.imaging import Volume, axial_diameters, write_nifti
from mmfusion.imaging.dicom.writer import write_dicom_zip
from mmfusion.lesions import write_lesions
from tests.lesions.click.scans import chest, dice

SEED = (15.0, 0.0, -464.0)


@pytest.fixture(scope="module")
def scan():
    return chest()


def find(scan, *args, **options):
    return mf.segment_lesion(scan, *args, **{"method": "growcut", "check": False, **options})


@pytest.mark.parametrize("shift", [(0, 0, 0), (4, -3, 2), (-5, 2, -3)])
def test_a_click_anywhere_in_the_lesion(scan, shift):
    ct, (true,) = scan
    found = find(ct, np.add(SEED, shift))
    assert dice(found.mask, true) > 0.9
    assert found.mask.same_grid(ct) and found.mask.unit == "mask"
    assert found.volume_ml == pytest.approx(true.volume_ml(), rel=0.15)
    assert abs(found.longest_mm - axial_diameters(true).longest_mm) < 2
    assert found.perpendicular_mm <= found.longest_mm
    assert 20 < found.measures["mean_hu"] < 40
    assert found.warnings == ()


def test_a_lesion_at_the_wall_does_not_leak():
    ct, (true,) = chest([((15.0, 24.0, -464.0), 10.0)])
    assert dice(find(ct, (15.0, 23.0, -464.0)).mask, true) > 0.75


def test_a_box_contains_the_mask(scan):
    ct, (true,) = scan
    box = [(2.0, -13.0, -477.0), (28.0, 13.0, -451.0)]
    found = find(ct, box=box)
    assert dice(found.mask, true) > 0.9 and found.warnings == ()
    small = find(ct, box=[(10.0, -5.0, -469.0), (20.0, 5.0, -459.0)])
    low, high = small.mask.bounding_box_mm()
    assert (low > np.subtract((10.0, -5.0, -469.0), 1.5)).all()
    assert (high < np.add((20.0, 5.0, -459.0), 1.5)).all()


def test_a_mask_that_does_not_fill_its_box():
    ct, _ = chest([(SEED, 4.5)])
    said = find(ct, box=[(2.0, -13.0, -477.0), (28.0, 13.0, -451.0)]).warnings
    assert any(text.startswith("the mask is small for its box: ") for text in said)


def test_the_corners_of_a_box_in_any_order(scan):
    ct, _ = scan
    one = find(ct, box=[(2.0, -13.0, -477.0), (28.0, 13.0, -451.0)])
    two = find(ct, box=[(28.0, -13.0, -451.0), (2.0, 13.0, -477.0)])
    assert np.array_equal(one.mask.array, two.mask.array)


def test_a_line(scan):
    ct, (true,) = scan
    found = find(ct, line=[(6.0, 0.0, -464.0), (24.0, 0.0, -464.0)])
    assert dice(found.mask, true) > 0.9 and found.warnings == ()
    assert np.allclose(found.seed, SEED)


def test_the_margin(scan):
    ct, _ = scan
    tight, gtv = find(ct, SEED), find(ct, SEED, margin="gtv")
    assert (gtv.mask.array >= tight.mask.array).all()
    radius = [(3 * 1000 * one.volume_ml / 4 / np.pi) ** (1 / 3) for one in (tight, gtv)]
    assert 0.5 < radius[1] - radius[0] < 2.0


def test_several_clicks():
    ct, true = chest([(SEED, 7.0), ((-10.0, -10.0, -464.0), 6.0)])
    found = mf.segment_lesions(ct, [SEED, (-10.0, -10.0, -464.0)], method="growcut")
    assert [dice(one.mask, mask) > 0.85 for one, mask in zip(found, true)] == [True, True]
    twice = mf.segment_lesions(ct, [SEED, np.add(SEED, 2)], method="growcut")
    assert "the mask overlaps with that of point 2" in twice[0].warnings


def test_the_same_from_every_format(scan, tmp_path):
    ct, _ = scan
    expected = find(ct, SEED).mask
    write_nifti(ct, tmp_path / "ct.nii.gz")
    write_dicom_zip(ct, tmp_path / "ct.zip", "P1")
    for path in ("ct.nii.gz", "ct.zip"):
        assert np.array_equal(find(tmp_path / path, SEED).mask.array, expected.array)


def test_the_scan_is_not_changed(scan):
    ct, _ = scan
    before = ct.array.copy()
    find(ct, SEED)
    assert np.array_equal(ct.array, before)


@pytest.mark.parametrize(
    "seed, words",
    [
        ((0.0, -30.0, -464.0), "no lesion at this point|in air or healthy lung"),
        ((15.0, 38.0, -464.0), "reaches the limit of the search|first or last"),
    ],
)
def test_a_click_in_lung_or_wall(scan, seed, words):
    ct, _ = scan
    try:
        said = "; ".join(find(ct, seed).warnings)
    except ScanError as error:
        said = str(error)
    assert re.search(words, said), said


def test_the_border_of_a_calcified_lesion_is_not_inside_it(scan):
    ct, (true,) = scan
    calcified = Volume(np.where(true.array != 0, np.int16(700), ct.array), ct.affine)
    found = find(calcified, SEED)
    assert found.volume_ml == pytest.approx(find(ct, SEED).volume_ml, rel=0.1)


def test_a_click_in_bone(scan):
    ct, (true,) = scan
    bone = Volume(np.where(true.array != 0, np.int16(900), ct.array), ct.affine)
    assert any("in bone" in text for text in find(bone, SEED).warnings)


def test_a_lesion_that_the_scan_cuts_off():
    ct, _ = chest([((15.0, 0.0, -499.0), 9.0)])
    found = find(ct, (15.0, 0.0, -497.0))
    assert any("first or last slice" in text for text in found.warnings)


BAD = {
    "outside": ({"seed": (500.0, 0.0, 0.0)}, ScanError, "a point outside the scan"),
    "nothing": ({}, ScanError, "no lesion is pointed at"),
    "words": ({"seed": "here"}, ScanError, "a point"),
    "two numbers": ({"seed": (1.0, 2.0)}, ScanError, "not a point .expected three numbers"),
    "line and seed": ({"seed": SEED, "line": [SEED, SEED]}, ScanError, "a line does not go with a seed"),
    "no length": ({"line": [SEED, SEED]}, ScanError, "the line is too short"),
    "flat box": ({"box": [(2.0, -13.0, -464.0), (28.0, 13.0, -464.0)]}, ScanError, "the box is too thin"),
    "seed beside box": (
        {"seed": (40.0, 0.0, -464.0), "box": [(2.0, -13.0, -477.0), (28.0, 13.0, -451.0)]},
        ScanError, "the seed is not in the box",
    ),
    "one corner": ({"box": SEED}, ScanError, "not a box"),
    "method": ({"seed": SEED, "method": "magic"}, DataError, "unknown method"),
    "margin": ({"seed": SEED, "margin": "wide"}, DataError, "unknown margin"),
    "series": ({"seed": SEED, "series": "CT"}, ScanError, "series is for DICOM"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(scan, case):
    arguments, kind, words = BAD[case]
    with pytest.raises(kind, match=words):
        mf.segment_lesion(scan[0], **({"method": "growcut"} | arguments))


def test_air_only():
    air = Volume(np.full((20, 40, 40), -1000, np.int16), np.eye(4))
    with pytest.raises(ScanError, match="no lesion at this point"):
        find(air, (20.0, 20.0, 10.0))


def test_a_pet_is_refused():
    pet = Volume(np.ones((9, 9, 9), np.float32), np.eye(4), "PT", "SUVbw")
    with pytest.raises(ScanError, match="not a CT"):
        find(pet, (4.0, 4.0, 4.0))


def test_several_clicks_name_the_wrong_one(scan):
    with pytest.raises(ScanError, match=r"^parameter seeds, point 2 of 2: "):
        mf.segment_lesions(scan[0], [SEED, (500.0, 0.0, 0.0)], method="growcut")
    with pytest.raises(DataError, match="no point is given"):
        mf.segment_lesions(scan[0], [])


def test_a_cohort(tmp_path):
    rows = {}
    for k, name in enumerate(("P1", "P/2", "P3")):
        ct, _ = chest([(SEED, 8.0)], seed=k)
        write_nifti(ct, tmp_path / f"{k}.nii.gz")
        rows[name] = dict(zip(("seed_x", "seed_y", "seed_z"), SEED)) | {
            "volume": str(tmp_path / f"{k}.nii.gz")
        }
    table = pd.concat({"ct": pd.DataFrame.from_dict(rows, orient="index")}, axis=1)
    table.loc["P3", ("ct", "seed_x")] = 900.0
    cohort = mf.Cohort(
        name="three",
        table=table.rename_axis("patient_id").rename_axis(columns=["modality", "feature"]),
        outcomes=pd.DataFrame({"egfr": ["mutant", "wildtype", "mutant"]}, index=table.index),
        target="egfr",
    )
    found = mf.segment_cohort(cohort, tmp_path / "out", method="growcut", n_jobs=1, progress=False)
    assert list(found.table.index) == ["P1", "P/2"]
    assert "a point outside the scan" in found.failures.loc["P3", "error"]
    written = pd.read_csv(tmp_path / "out" / "lesions.csv", index_col="patient_id")
    assert (written["longest_mm"] > 14).all()
    assert all((tmp_path / "out" / path).is_file() for path in written["mask"])


def test_a_point_in_ras_or_in_voxels_is_recognised(scan):
    ct, _ = scan
    with pytest.raises(ScanError, match=r"may be in RAS, and would be \(45, 35, -464\) in LPS"):
        find(ct, (-45.0, -35.0, -464.0))
    with pytest.raises(ScanError, match="these may be voxel indices"):
        find(ct, (80, 60, 40))


def test_an_array_is_not_a_scan(scan):
    with pytest.raises(ScanError, match=r"not a scan .expected a Volume or a path; got ndarray"):
        find(scan[0].array, SEED)


def test_a_click_in_the_chest_wall_has_a_warning(scan):
    ct, _ = scan
    wall = Volume(np.where(ct.array > -500, ct.array, np.int16(40)), ct.affine)
    found = find(wall, SEED)
    assert any("hardly any lung is around it" in text for text in found.warnings)


def test_the_scan_is_not_replaced_by_its_mask(scan, tmp_path):
    ct, _ = scan
    path = write_nifti(ct, tmp_path / "ct.nii.gz")
    before, found = path.read_bytes(), find(ct, SEED)
    with pytest.raises(ScanError, match="overwrite a file that it is made from"):
        write_lesions([found], path, path)
    with pytest.raises(ScanError, match=r"no such scan .*first"):
        found.write(path, tmp_path / "mask.nii.gz")  # in the wrong order
    assert path.read_bytes() == before


@pytest.mark.parametrize("method", ["growcut", "network"])
@pytest.mark.parametrize(
    "side", [30.0, (1.0, 60.0, 60.0), (2.0, 60.0, 60.0)], ids=["small", "slice", "two slices"]
)
def test_a_scan_smaller_than_what_is_read(scan, side, method):
    ct, (true,) = scan
    small = ct.crop(SEED, side, spacing=1.0)
    found = mf.segment_lesion(small, SEED, method=method).mask
    assert dice(found, true.like(found)) > 0.85
