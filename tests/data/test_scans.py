"""A patient's scan from the cells of a cohort: series, region and modality."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.scans import open_scan, scan_of
from mmfusion.errors import DataError, ScanError
from mmfusion.imaging import Volume, write_nifti, write_rtstruct
from mmfusion.preprocessing.scans import ScanTransformer
from tests.imaging.dicoms import write_series


def _frame(ds, _):
    ds.FrameOfReferenceUID = "1.2.3"


@pytest.fixture
def folder(tmp_path):
    """A CT and a PET series in one folder, two regions in an RTSTRUCT, a manifest that selects one each."""
    rng = np.random.default_rng(0)
    hu = rng.normal(40, 20, (6, 32, 32)).round()
    hu[:, :, :12] = -850
    activity = rng.integers(500, 9000, hu.shape)
    for values, options in ((hu, {"description": "thorax"}), (activity, {"modality": "PT"})):
        study = tmp_path / "study"
        write_series(
            study, values.astype(np.int16), series=options.get("modality", "CT"), change=_frame, **options
        )
    scan = mf.imaging.read(tmp_path / "study")
    masks = {name: np.zeros(scan.shape, np.uint8) for name in ("GTV", "lung")}
    masks["GTV"][2:4, 10:16, 14:20] = 1
    masks["lung"][:, :, 2:10] = 1
    regions = {name: Volume(array, scan.affine, unit="mask") for name, array in masks.items()}
    write_rtstruct(regions, tmp_path / "study", tmp_path / "regions.dcm", series="thorax")
    rows = [
        ("ct", "volume", "study", "thorax"),
        ("pet", "volume", "study", "PT"),
        ("ct", "mask", "regions.dcm", "G*"),
    ]
    manifest = pd.DataFrame(rows, columns=["modality", "role", "path", "part"]).assign(
        dataset="two", patient_id="A"
    )
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path, masks


def test_the_manifest_says_which_series_and_region(folder):
    root, masks = folder
    cohort = mf.load_cohort(root / "manifest.csv")
    scan = open_scan(cohort, "A")
    assert (scan.volume.unit, scan.focus, scan.seed) == ("HU", "the lesion", None)
    np.testing.assert_array_equal(scan.lesion.array, masks["GTV"])
    assert open_scan(cohort, "A", "pet").volume.unit == "SUVbw"
    assert open_scan(cohort, "A", marked=False).focus == "the middle"
    crops = ScanTransformer(side=8, mode="lung").fit_transform(cohort.table["ct"])
    assert crops.shape == (1, 1, 8, 8, 8) and crops.any()


def test_without_a_choice_several_regions_are_refused(folder):
    root, _ = folder
    manifest = pd.read_csv(root / "manifest.csv").assign(part="")
    manifest.to_csv(root / "manifest.csv", index=False)
    with pytest.raises(ScanError, match="2 regions"):
        open_scan(mf.load_cohort(root / "manifest.csv"), "A")


def test_validate_reads_regions_on_their_scan(folder, capsys):
    from mmfusion.cli import main

    root, _ = folder
    labels = pd.DataFrame({"patient_id": ["A", "B"], "stage": ["IA", "IIIA"]})
    labels.to_csv(root / "labels.csv", index=False)
    manifest = pd.read_csv(root / "manifest.csv")
    row = {"dataset": "two", "role": "labels", "path": "labels.csv"}
    pd.concat([manifest, pd.DataFrame([row])]).fillna("").to_csv(root / "manifest.csv", index=False)
    assert main(["validate", str(root / "manifest.csv")]) == 0
    pd.read_csv(root / "manifest.csv").assign(part="nowhere").to_csv(root / "manifest.csv", index=False)
    assert main(["validate", str(root / "manifest.csv")]) == 1
    assert "problem: patient A" in capsys.readouterr().out


def test_the_voxels_round_a_point_are_the_scans_own(tmp_path):
    array = np.random.default_rng(1).integers(-1000, 900, (9, 20, 20)).astype(np.int16)
    scan = Volume(array, np.diag([1.0, 1.0, 3.0, 1.0]))
    write_nifti(scan, tmp_path / "s.nii.gz")
    row = {("ct", "volume"): str(tmp_path / "s.nii.gz")}
    row |= {("ct", f"seed_{a}"): v for a, v in zip("xyz", (10.0, 4.0, 12.0), strict=True)}
    table = pd.DataFrame([row], index=pd.Index(["A"], name="patient_id"))
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    opened = open_scan(mf.Cohort("one", table, pd.DataFrame({"stage": {"A": "IA"}}), "stage3_ajcc7"), "A")
    assert opened.focus == "the seed"
    near = opened.around(6.0)
    np.testing.assert_array_equal(near.array, array[3:6, 1:8, 7:14])
    np.testing.assert_allclose(near.center_mm, opened.seed)
    assert opened.around(0.5).array.tolist() == [[[array[4, 4, 10]]]]


def test_path_series_and_seed_of_a_row():
    def row(**cells):
        return pd.Series({"volume": "a.zip", **cells}, name="A", dtype=object)

    seed = {"seed_x": "1.5", "seed_y": 2, "seed_z": 3.0}
    assert scan_of(row(volume_part=np.nan, **seed)) == ("a.zip", None, (1.5, 2.0, 3.0))
    assert scan_of(row(volume_part="2")) == ("a.zip", "2", None)
    assert scan_of(row(seed_x=np.nan, seed_y=None, seed_z=pd.NA)) == ("a.zip", None, None)
    for half in (
        {"seed_y": np.nan},
        {"seed_x": None, "seed_z": pd.NA},
        {"seed_x": "left"},
        {"seed_z": np.inf},
    ):
        with pytest.raises(DataError, match=r"patient A, column seed_x, seed_y, seed_z: not a seed"):
            scan_of(row(**seed | half))
    with pytest.raises(DataError, match=r"patient A, column volume: no scan"):
        scan_of(row(volume=np.nan, **seed))


def test_half_a_seed_is_not_taken_for_none(folder):
    cohort = mf.load_cohort(folder[0] / "manifest.csv")
    half = cohort.with_features("ct", pd.DataFrame({"seed_x": [1.0]}, index=["A"]))
    with pytest.raises(DataError, match=r"patient A.*not a seed"):
        open_scan(half, "A")
