"""Radiomics of scans in any format, in any field of view; bad input; and what mirp must leave as it was."""

from __future__ import annotations

import json
import logging
import warnings

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from mmfusion.data.load import load_cohort
from mmfusion.data.manifest import write_manifest
from mmfusion.errors import DataError, MMFusionError, ScanError, ScanWarning
from mmfusion.features import RadiomicsExtractor, RadiomicsSettings, extract
from mmfusion.features import ibsi as module
from mmfusion.features.lesion_grid import LesionGrid
from mmfusion.imaging import Volume, read, read_mask, write_nifti, write_seg
from mmfusion.imaging.dicom.writer import write_dicom_zip
from tests.features.lesions import lesion, needs_mirp, write_cohort

pytestmark = needs_mirp
FEW = {"families": ("morphology", "statistics", "glcm")}


def few(**changes) -> RadiomicsExtractor:
    return RadiomicsExtractor("ct", FEW | changes)


def run_extract(source, extractor):
    return extract(source, extractor, n_jobs=1, progress=False)


def write_nrrd(volume: Volume, path):
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.affine[:3, 3].tolist())
    sitk.WriteImage(image, str(path))
    return path


def test_the_same_numbers_from_dicom_nifti_and_nrrd(tmp_path):
    """The mask as DICOM-SEG, NIfTI and NRRD too; the last of them with float32 values."""
    scan, mask = lesion(0)
    dicom = write_dicom_zip(scan, tmp_path / "ct.zip", "P1")
    seg = write_seg(Volume(mask.array, mask.affine, unit="mask"), dicom, tmp_path / "seg.dcm")
    floats = Volume(scan.array.astype(np.float32), scan.affine)
    cases = {
        "dicom": (dicom, seg),
        "nifti": (scan, mask),
        "nrrd": (write_nrrd(scan, tmp_path / "ct.nrrd"), write_nrrd(mask, tmp_path / "mask.nrrd")),
        "floats": (write_nrrd(floats, tmp_path / "floats.nrrd"), tmp_path / "mask.nrrd"),
    }
    result = run_extract(write_cohort(tmp_path, cases), RadiomicsExtractor())
    assert not len(result.failures) and result.features.shape == (4, 177)
    for form in cases:
        np.testing.assert_array_equal(result.features.loc[form], result.features.loc["dicom"], form)
    assert result.features.loc["dicom", "morph_volume"] == pytest.approx(1000 * mask.volume_ml(), rel=0.03)


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_resampled_as_mirp_resamples_the_whole_scan(monkeypatch, interpolation):
    """Only a box around the lesion is resampled here, on the grid of the IBSI for the whole scan."""
    scan, mask = lesion(1, radius=4.0)
    extractor = RadiomicsExtractor("ct", {"interpolation": interpolation, "spacing": 1.1})
    ours = extractor.compute(scan, mask)
    whole = {
        "new_spacing": 1.1,
        "spline_order": {"linear": 1, "cubic": 3}[interpolation],
        "anti_aliasing": False,
    }
    parameters = module.mirp_parameters
    monkeypatch.setattr(module, "mirp_parameters", lambda settings: parameters(settings) | whole)
    grid = LesionGrid(scan.array.astype(float), mask.array > 0, scan.spacing)
    theirs = module.ibsi_features(grid, "HU", extractor.settings)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-9)


def test_the_rest_of_the_scan_does_not_matter_if_the_grid_stays():
    """A scan that goes on by whole voxels on both sides has the same grid of 1.4 mm at the lesion."""
    scan, mask = lesion(2, spacing=(1.4, 0.7, 0.7))
    wide = [one.crop_box((slice(-8, 28), slice(-4, 48), slice(-6, 46)), fill=v)
            for one, v in ((scan, -1000), (mask, 0))]  # fmt: skip
    extractor = few(spacing=1.4)
    np.testing.assert_allclose(extractor.compute(*wide), extractor.compute(scan, mask), rtol=1e-10)


def test_single_precision_does_not_add_a_slice():
    """NIfTI holds 3 mm as 3.0000007 mm; 41 slices of it would become 124 slices of 1 mm, not 123."""
    scan, mask = lesion(2, spacing=(3.0, 0.703125, 0.703125), shape=(11, 44, 40), radius=9.0)
    noisy = scan.affine * np.array([1.00000004, 0.99999996, 1.00000024, 1.0])
    values = few().compute(Volume(scan.array, noisy), Volume(mask.array, noisy, unit="mask"))
    np.testing.assert_array_equal(values, few().compute(scan, mask))


def test_turned_axes_give_the_same_features():
    scan, mask = lesion(3)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned = [Volume(one.array, flip @ one.affine, unit=one.unit) for one in (scan, mask)]
    names = ["morph_volume", "morph_area_mesh", "stat_mean", "cm_contrast_d1_3d_v_mrg_fbs_w25.0"]
    np.testing.assert_allclose(few().compute(*turned)[names], few().compute(scan, mask)[names], rtol=1e-9)


def test_a_mask_of_another_grid_is_brought_onto_the_scan():
    scan, mask = lesion(4)
    coarse = mask.resample(1.0)
    assert few().compute(scan, coarse)["morph_volume"] == pytest.approx(1000 * mask.volume_ml(), rel=0.05)


def test_pet_in_suv_with_the_mask_of_the_ct(tmp_path):
    scan, mask = lesion(5, spacing=(2.0, 2.0, 2.0), shape=(20, 22, 24), radius=9.0)
    suv = np.where(mask.array > 0, 6.0, 1.0) + np.random.default_rng(0).uniform(0, 3, mask.shape)
    pet = Volume(suv.astype(np.float32), scan.affine, "PT", "SUVbw")
    write_cohort(tmp_path, {"P1": (pet, None)}, "pet")
    pet_rows = pd.read_csv(tmp_path / "manifest.csv", dtype=str, keep_default_na=False)
    write_cohort(tmp_path, {"P1": (scan, mask)})
    ct_rows = pd.read_csv(tmp_path / "manifest.csv", dtype=str, keep_default_na=False)
    both = pd.concat([pet_rows[pet_rows["modality"] == "pet"], ct_rows])
    manifest = write_manifest(both.drop(columns="sha256", errors="ignore"), tmp_path / "both.csv")
    result = run_extract(manifest, RadiomicsExtractor("pet"))
    assert result.features.loc["P1", "stat_mean"] == pytest.approx(suv[mask.array > 0].mean(), rel=0.03)
    assert result.provenance["settings"]["bin_width"] == 0.3125
    assert "ngl_lde_d1_a0.0_3d_fbs_w0.3125" in result.features


def test_each_bad_case_is_a_failure_and_the_others_go_on(tmp_path):
    scan, mask = lesion(6)
    flat = Volume(np.where(mask.array > 0, np.int16(40), scan.array), scan.affine)
    bright = Volume(np.where(mask.array > 0, scan.array + 3000, scan.array).astype(np.int16), scan.affine)
    far = mask.affine + np.array([[0, 0, 0, 500.0], *[[0] * 4] * 3])
    cases = {
        "sound": (scan, mask),
        "empty": (scan, Volume(mask.array * 0, mask.affine, unit="mask")),
        "full": (scan, Volume(mask.array * 0 + 1, mask.affine, unit="mask")),
        "elsewhere": (scan, Volume(mask.array, far, unit="mask")),
        "unmarked": (scan, None),
        "flat": (flat, mask),
        "bright": (bright, mask),
    }
    manifest = write_cohort(tmp_path, cases)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScanWarning)  # of the empty mask
        result = run_extract(manifest, few())
    assert list(result.features.index) == ["sound"]
    errors = result.failures["error"]
    assert errors["empty"].startswith("the mask is empty")
    assert errors["full"].startswith("the mask covers the whole scan")
    assert errors["elsewhere"].startswith("the region lies outside the scan")
    assert errors["unmarked"].startswith("no mask")
    assert errors["flat"].startswith("the scan has one value in the whole mask (got 40 in ")
    assert errors["bright"].startswith(
        "no voxel of the lesion is in the range of intensities (expected -1000 to 400"
    )
    hint = "give a mask of the lesion: role mask in the manifest, or a seed"
    assert result.failures.loc["unmarked", "hint"] == hint
    assert result.failures["file"].str.endswith(".nii.gz").all()


def test_a_seed_in_place_of_a_mask(tmp_path):
    scan, mask = lesion(0, radius=7.0)
    manifest = write_cohort(tmp_path, {"marked": (scan, mask), "clicked": (scan, None), "bare": (scan, None)})
    point = dict(zip(("seed_x", "seed_y", "seed_z"), mask.centroid_mm))
    pd.DataFrame([{"patient_id": "clicked", **point}]).to_csv(tmp_path / "seeds.csv", index=False)
    rows = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    rows.loc[len(rows)] = {"dataset": "lesions", "modality": "ct", "role": "seeds", "path": "seeds.csv"}
    rows.fillna("").to_csv(manifest, index=False)
    result = run_extract(manifest, few(families="morphology"))
    assert list(result.features.index) == ["marked", "clicked"] and list(result.failures.index) == ["bare"]
    volume = result.features["morph_volume"]
    assert volume["clicked"] == pytest.approx(volume["marked"], rel=0.2) and volume["clicked"] > 0
    assert volume["clicked"] != volume["marked"]
    said = {"clicked": "no mask: the lesion was segmented from its seed (growcut)"}
    assert result.remarks == said
    written = result.write(tmp_path / "radiomics.csv")
    assert json.loads(written.with_name("radiomics.csv.json").read_text())["remarks"] == said
    refused = run_extract(manifest, RadiomicsExtractor("ct", FEW, lesion="mask"))
    assert list(refused.failures.index) == ["clicked", "bare"]


def test_a_pet_of_counts_is_a_failure(tmp_path):
    scan, mask = lesion(7)
    counts = Volume((scan.array + 4000).astype(np.float32), scan.affine, "PT", "SUVbw")
    result = run_extract(
        write_cohort(tmp_path, {"P1": (counts, mask)}, "pet"), RadiomicsExtractor("pet", FEW)
    )
    assert result.failures["error"].tolist()[0].startswith("values that cannot be SUV")


def test_what_is_not_defined_is_missing_and_named(tmp_path):
    """One voxel has no texture, but a volume and a mean."""
    scan, mask = lesion(8, spacing=(1.0, 1.0, 1.0), shape=(12, 12, 12), radius=3.0)
    single = np.zeros(mask.shape, np.uint8)
    single[6, 6, 6] = 1
    cases = {"P1": (scan, mask), "P2": (scan, Volume(single, mask.affine, unit="mask"))}
    result = run_extract(write_cohort(tmp_path, cases), few(spacing=None))
    assert result.features.loc["P1"].notna().all()
    assert result.features.loc["P2", "stat_mean"] == scan.array[6, 6, 6]
    missing = result.not_estimable
    assert list(missing) == ["P2"] and sum(name.startswith("cm_") for name in missing["P2"]) == 25
    result.write(tmp_path / "table.csv")
    assert json.loads((tmp_path / "table.csv.json").read_text())["not_estimable"] == missing


def test_a_lesion_of_one_grey_level_warns():
    scan, mask = lesion(9)
    even = Volume(np.where(mask.array > 0, scan.array % 20, scan.array).astype(np.int16), scan.affine)
    with pytest.warns(ScanWarning, match="one grey level of 25"):
        few(spacing=None).compute(even, mask)


def test_bad_volumes():
    scan, mask = lesion(10)
    tiny = np.zeros(mask.shape, np.uint8)
    tiny[10, 20, 20] = 1
    with pytest.raises(ScanError, match=r"no voxel of the mask is left.*4 mm.*choose a smaller spacing"):
        few(spacing=4.0).compute(scan, Volume(tiny, mask.affine, unit="mask"))
    with pytest.raises(ScanError, match="ct volume: not a CT"):
        few().compute(Volume(scan.array.astype(np.float32), scan.affine, "PT", "SUVbw"), mask)
    broken = scan.array.astype(np.float32)
    broken[0, 0, 0] = np.nan
    with pytest.raises(ScanError, match="values that are not numbers"):
        few().compute(Volume(broken, scan.affine), mask)
    with pytest.raises(DataError, match="other values than 0 and 1"):
        few().compute(scan, Volume(mask.array * 2, mask.affine, unit="mask"))
    with pytest.raises(ScanError, match=r"mirp cannot compute features of this lesion.*integer"):
        few(spacing=None, bin_width=None).compute(scan, mask)
    other = Volume(mask.array, mask.affine, unit="mask", frame_of_reference="1.2.3")
    with pytest.raises(ScanError, match="frame"):
        few().compute(Volume(scan.array, scan.affine, frame_of_reference="1.2.4"), other)


def test_a_box_that_needs_too_much_memory_is_refused(monkeypatch):
    scan, mask = lesion(11)
    monkeypatch.setenv("MMFUSION_MAX_GIB", "0.001")
    with pytest.raises(ScanError, match="the box around the mask is too large"):
        few(spacing=0.2).compute(scan, mask)


def test_mirp_changes_nothing_in_the_process(capfd):
    """No output, no warning, no handler or level of the root logger, no random state; inputs unchanged."""
    scan, mask = lesion(12)
    scan.array.flags.writeable = mask.array.flags.writeable = False
    root = logging.getLogger()
    before = list(root.handlers), root.level, list(root.filters), list(warnings.filters), np.geterr()
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is tested
    heard = []
    listener = logging.Handler(logging.DEBUG)
    listener.emit = heard.append
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        few().compute(scan, mask)
        root.addHandler(listener)
        level = root.level
        root.setLevel(logging.DEBUG)
        few().compute(scan, mask)
        root.setLevel(level)
        root.removeHandler(listener)
    assert not caught and not [r for r in heard if "mirp" in r.pathname]
    after = list(root.handlers), root.level, list(root.filters), list(warnings.filters), np.geterr()
    assert after == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert capfd.readouterr() == ("", "")


def test_without_mirp_the_extra_is_named(monkeypatch):
    def absent(_):
        raise module.PackageNotFoundError

    monkeypatch.setattr(module, "version", absent)
    with pytest.raises(MMFusionError, match=r"mirp is not installed -> pip install 'mmfusion\[radiomics\]'"):
        RadiomicsExtractor()


def test_computed_once_and_kept_under_all_that_it_depends_on(tmp_path, monkeypatch):
    from mmfusion.features import radiomics

    made, compute = [], radiomics.ibsi_features
    monkeypatch.setattr(radiomics, "ibsi_features", lambda *args: made.append(1) or compute(*args))
    scan, mask = lesion(13)
    manifest = write_cohort(tmp_path, {"P1": (scan, mask)})
    first = run_extract(manifest, few())
    assert len(made) == 2  # the names, and the lesion
    pd.testing.assert_frame_equal(run_extract(manifest, few()).features, first.features)
    assert len(made) == 2
    run_extract(manifest, few(spacing=2.0))
    assert len(made) == 4
    smaller = mask.array.copy()
    smaller[:10] = 0
    write_nifti(Volume(smaller, mask.affine, unit="mask"), tmp_path / "P1_ct_mask.nii.gz")
    again = run_extract(load_cohort(manifest, verify=False), few())
    assert len(made) == 5
    assert again.features.loc["P1", "morph_volume"] < first.features.loc["P1", "morph_volume"]


def test_the_table_is_loaded_again_by_a_manifest(tmp_path):
    """All names and values come back as features of the CT block."""
    result = run_extract(write_cohort(tmp_path, {f"P{k}": lesion(k) for k in range(2)}), RadiomicsExtractor())
    result.write(tmp_path / "radiomics.csv")
    rows = [("ct", "features", "radiomics.csv"), ("", "labels", "labels.csv")]
    frame = pd.DataFrame(rows, columns=["modality", "role", "path"]).assign(dataset="x", patient_id="")
    cohort = load_cohort(write_manifest(frame, tmp_path / "again.csv"))
    assert list(cohort.table["ct"].columns) == list(result.features.columns)
    np.testing.assert_array_equal(cohort.table["ct"].to_numpy(float), result.features.to_numpy())
    facts = json.loads((tmp_path / "radiomics.csv.json").read_text())
    assert facts["settings"]["bin_width"] == 25 and facts["model"].startswith("mirp ")
    assert RadiomicsSettings(**facts["settings"]) == RadiomicsSettings.for_modality("ct")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spcing": 1}, "parameter spcing: no such setting .expected spacing, "),
        ({"spacing": "wide"}, "parameter spacing: not a number"),
        ({"spacing": 0}, "parameter spacing: setting out of range"),
        ({"bins": 1}, "parameter bins: setting out of range"),
        ({"bins": 16, "bin_width": 25.0}, "two kinds of grey levels"),
        ({"intensity_range": "400,-1000"}, "parameter intensity_range: not a range"),
        ({"intensity_range": "400"}, "parameter intensity_range: not a range"),
        ({"families": "glcm,shape"}, "parameter families: unknown setting.*got shape"),
        ({"families": ""}, "parameter families: unknown setting"),
        ({"aggregation": "3d"}, "parameter aggregation: unknown setting"),
        ({"interpolation": "nearest"}, "parameter interpolation: unknown setting"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(DataError, match=message):
        RadiomicsSettings.for_modality("ct", changes)


def test_other_grey_levels_and_families():
    scan, mask = lesion(14)
    settings = {"bins": "16", "families": "glszm", "outlier_sd": "3", "intensity_range": "-500,none",
                "aggregation": "2.5d_direction_merge,3d_average"}  # fmt: skip
    values = RadiomicsExtractor("ct", settings).compute(scan, mask)
    assert len(values) == 32 and values.notna().all()
    assert {name.split("_", 3)[-1] for name in values.index if name.startswith("szm_sze")} == {"fbn_n16"}


def test_on_a_real_lesion(shared_data):
    """Volume and mean agree with what the mask says of 6.5 mL of a lung tumour."""
    folder = shared_data / "lesions" / "cancerdata_pat_2"
    scan = read(folder / "ct.nii.gz")
    mask = read_mask(folder / "gtv1.nii.gz", scan)
    values = few().compute(scan, mask)
    assert values["morph_volume"] == pytest.approx(1000 * mask.volume_ml(), rel=0.05)
    inside = scan.array[mask.array > 0]
    assert values["stat_mean"] == pytest.approx(inside[inside <= 400].mean(), abs=25)
