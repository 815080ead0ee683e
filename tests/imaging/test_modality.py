"""A scan of another modality, or a mask, is refused at every entrance for scans."""

import shutil

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion import cli
from mmfusion.data.scans import open_scan
from mmfusion.errors import ScanError
from mmfusion.imaging import Volume, read, read_crop, write_nifti, write_rtstruct, write_seg
from mmfusion.imaging.plausible import check_scan
from mmfusion.preprocessing.scans import ScanTransformer, standard_crop
from mmfusion.quality.survey import survey_scans
from tests.imaging.dicoms import write_series
from tests.imaging.structure_sets import ball, scan

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
UNIT = {"ct": "HU", "pet": "SUVbw"}
DICOM = {"ct": "CT", "pet": "PT"}


def values():
    rng = np.random.default_rng(0)
    ct = rng.normal(-850, 20, (12, 24, 24))
    ct[:, 6:18, 6:18] += 890
    pet = rng.gamma(1, 0.5, ct.shape)
    pet[4:8, 8:12, 8:12] += 8
    mask = np.zeros(ct.shape, np.uint8)
    mask[2:10, 8:14, 8:12] = 1
    return {
        "ct": ct.astype(np.int16),
        "pet": pet.astype(np.float32),
        "mask": mask,
        "labels": (mask * 3 + (np.indices(ct.shape)[2] < 5)).astype(np.uint8),
        "large labels": mask.astype(np.int16) * 2000,
        "fractions": mask.astype(np.float32) * np.float32(0.999),
        "normalised": np.clip((ct + 1000) / 1400, 0, 1).astype(np.float32),
        "nothing": np.zeros(ct.shape, np.float32),
    }


VALUES = values()
WRONG = {
    "ct": ["pet", "mask", "labels", "large labels", "fractions", "normalised", "nothing"],
    "pet": ["ct", "mask", "labels", "large labels", "fractions", "normalised", "nothing"],
}
CASES = [(modality, name) for modality, names in WRONG.items() for name in names]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    return {name: write_nifti(Volume(v, AFFINE), folder / f"{name}.nii.gz") for name, v in VALUES.items()}


def one(path, modality):
    table = pd.DataFrame({(modality, "volume"): [str(path)]}, index=pd.Index(["P1"], name="patient_id"))
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    return mf.Cohort("one", table, pd.DataFrame({"stage": {"P1": "IA"}}), "stage3_ajcc7")


@pytest.mark.parametrize(("modality", "name"), CASES)
def test_a_file_of_something_else(files, modality, name):
    path, unit = files[name], UNIT[modality]
    point = (36.0, 36.0, 18.0)
    ways = [
        lambda: read(path, unit=unit),
        lambda: read_crop(path, point, 12, unit=unit),
        lambda: standard_crop(path, point, side=8, modality=modality),
        lambda: open_scan(one(path, modality), "P1", modality),
        lambda: ScanTransformer(side=8, modality=modality).fit_transform(one(path, modality).table[modality]),
    ]
    for way in ways:
        with pytest.raises(ScanError, match=f"{name}.nii.gz") as caught:
            way()
        assert caught.value.hint
    survey = survey_scans(one(path, modality), modality=modality)
    assert survey.failures.index.tolist() == ["P1"] and survey.table.empty


@pytest.mark.parametrize(("modality", "name"), CASES)
def test_a_volume_of_something_else(modality, name):
    point = (36.0, 36.0, 18.0)
    claimed = Volume(VALUES[name], AFFINE, DICOM[modality], UNIT[modality])  # the user says that it is one
    frame = pd.DataFrame({"volume": [claimed]}, index=["P1"])
    with pytest.raises(ScanError, match=f"column {modality}"):
        standard_crop(claimed, point, side=8, modality=modality)
    with pytest.raises(ScanError, match="patient P1"):
        ScanTransformer(side=8, modality=modality).fit_transform(frame)


@pytest.mark.parametrize("modality", ["ct", "pet"])
def test_a_volume_that_says_what_it_is(modality):
    other = {"ct": "pet", "pet": "ct"}[modality]
    said = {
        "another unit": (
            VALUES[other],
            DICOM[other],
            UNIT[other],
            f"expected .*{UNIT[modality]}; got {UNIT[other]}",
        ),
        "a mask": (VALUES["mask"], "CT", "mask", "got mask"),
        "another modality": (VALUES[modality], DICOM[other], UNIT[modality], f"got modality {DICOM[other]}"),
    }
    for array, dicom, unit, text in said.values():
        with pytest.raises(ScanError, match=rf"column {modality}: not a {modality.upper()} .*{text}"):
            standard_crop(Volume(array, AFFINE, dicom, unit), side=8, modality=modality)
    right = Volume(VALUES[modality], AFFINE, DICOM[modality], UNIT[modality])
    assert standard_crop(right, (36.0, 36.0, 18.0), side=8, modality=modality).any()
    check_scan(right.array, right.unit, None)


def test_the_foundation_model_reads_ct_only():
    from mmfusion.features.encoder import FoundationEncoder

    encoder = FoundationEncoder(random_weights=0)
    for name in WRONG["ct"]:
        with pytest.raises(ScanError):
            encoder.crop(Volume(VALUES[name], AFFINE), (36.0, 36.0, 18.0))


def test_dicom_that_is_no_scan(tmp_path):
    folder, ct = scan(tmp_path / "ct")
    for name in ("seg", "rt", "scout"):
        (tmp_path / name).mkdir()
    write_seg(ball(ct, 8), folder, tmp_path / "seg" / "s.dcm")
    write_rtstruct(ball(ct, 8), folder, tmp_path / "rt" / "r.dcm")

    def scout(ds, k):
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_series(tmp_path / "scout", ct.array[:2], (3.0, 0.8, 0.9), change=scout)
    for name, said in (("seg", "SEG"), ("rt", "RTSTRUCT"), ("scout", "localizer")):
        for unit in (None, "HU", "SUVbw"):
            with pytest.raises(ScanError, match=rf"no CT or PET series .*{said}"):
                read(tmp_path / name, unit=unit)
    with pytest.raises(ScanError, match="not a PET"):
        read(folder, unit="SUVbw")


def test_validate_names_it(files, tmp_path, capsys):
    lines = [
        "dataset,patient_id,modality,role,path",
        "d,P1,ct,volume,mask.nii.gz",
        "d,P2,pet,volume,ct.nii.gz",
    ]
    for name in ("mask", "ct"):
        shutil.copy(files[name], tmp_path / f"{name}.nii.gz")
    (tmp_path / "data_manifest.csv").write_text("\n".join(lines))
    assert cli.main(["validate", str(tmp_path / "data_manifest.csv")]) != 0
    said = "".join(capsys.readouterr())
    assert "values that cannot be HU" in said and "values that cannot be SUV" in said
    assert "all is well" not in said
