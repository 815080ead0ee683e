"""What is written is what a user would bring: tables, scans, a manifest that holds, a DICOM series."""

import zipfile

import numpy as np
import pandas as pd
import pydicom
import pytest
import SimpleITK as sitk

from mmfusion.data.cohort import presence
from mmfusion.data.load import load_cohort
from mmfusion.data.manifest import check_hashes, read_manifest
from mmfusion.errors import DataError, ScanError
from mmfusion.synthetic import write_cohort, write_dicom_zip


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    return write_cohort(small[0], tmp_path_factory.mktemp("user") / "study")


def test_manifest_holds(small, written):
    cohort, _ = small
    manifest = read_manifest(written)
    check_hashes(manifest, written.parent)
    has = presence(cohort.table)
    assert (manifest["role"] == "volume").sum() == (manifest["role"] == "mask").sum() == has["ct"].sum()
    tables = manifest[manifest["patient_id"] == ""].set_index("path")
    assert set(tables.index) == {"ct_seeds.csv", "rna.csv", "ehr.csv", "meta.csv", "labels.csv"}
    assert tables.loc["rna.csv", "unit"] == "tpm"
    assert (manifest["sha256"].str.len() == 64).all()
    listed = {written.parent / p for p in manifest["path"]} | {written}
    assert listed == {p for p in written.parent.rglob("*") if p.is_file()}  # those who lack a scan left none


def test_reads_back_as_the_cohort_it_was(small, written):
    cohort, _ = small
    got = load_cohort(written, target="stage3_ajcc7")
    assert got.y.equals(cohort.y)
    assert got.units == cohort.units
    assert got.groups["site"].tolist() == cohort.groups["site"].tolist()
    for modality, block in cohort.table.T.groupby(level=0, sort=False):
        block = block.T.droplevel(0, axis=1)
        read = got.table[modality][block.columns]
        if modality == "ct":
            assert read["volume"].isna().equals(block["volume"].isna())
            block, read = (f.drop(columns=["volume", "mask"]) for f in (block, read))
        pd.testing.assert_frame_equal(read, block.astype(read.dtypes), check_names=False)


def test_a_used_folder_is_refused(small, written):
    with pytest.raises(DataError, match="not empty"):
        write_cohort(small[0], written.parent)


def test_a_lost_scan_is_named_and_nothing_is_left(small, tmp_path):
    from dataclasses import replace

    cohort = small[0]
    table = cohort.table.copy()
    patient = table["ct", "volume"].first_valid_index()
    table.loc[patient, ("ct", "volume")] = str(tmp_path / "gone.nii.gz")
    with pytest.raises(DataError, match=f"{patient}.*gone.nii.gz"):
        write_cohort(replace(cohort, table=table), tmp_path / "study")
    assert list(tmp_path.iterdir()) == []


def test_dicom_zip_reads_back(small, tmp_path):
    volume = small[0].table["ct", "volume"].dropna().iloc[0]
    archive = write_dicom_zip(volume, tmp_path / "scan.zip", "PH-1")
    with zipfile.ZipFile(archive) as files:
        files.extractall(tmp_path)
    reader = sitk.ImageSeriesReader()
    names = reader.GetGDCMSeriesFileNames(str(tmp_path / "PH-1" / "CT"))
    reader.SetFileNames(names)
    got, image = reader.Execute(), sitk.ReadImage(volume)
    assert len(names) == image.GetSize()[2]
    assert np.array_equal(sitk.GetArrayFromImage(got), sitk.GetArrayFromImage(image))
    assert got.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-4)
    assert got.GetSpacing() == pytest.approx(image.GetSpacing(), abs=1e-5)
    assert got.GetDirection() == pytest.approx(image.GetDirection(), abs=1e-6)
    headers = [pydicom.dcmread(n, stop_before_pixels=True) for n in names]
    assert {h.SOPClassUID for h in headers} == {pydicom.uid.CTImageStorage}
    assert len({h.SOPInstanceUID for h in headers}) == len(names)
    assert len({(h.StudyInstanceUID, h.SeriesInstanceUID, h.PatientID) for h in headers}) == 1
    again = write_dicom_zip(volume, tmp_path / "again.zip", "PH-1")
    assert again.read_bytes() == archive.read_bytes()


def test_oblique_volumes_keep_their_geometry(tmp_path):
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    turn = sitk.Euler3DTransform((0, 0, 0), 0.1, -0.2, 0.3)
    image.SetDirection(turn.GetMatrix())
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-120.5, 33.25, -700.125))
    sitk.WriteImage(image, tmp_path / "v.nrrd")
    with zipfile.ZipFile(write_dicom_zip(tmp_path / "v.nrrd", tmp_path / "s.zip", "x")) as files:
        files.extractall(tmp_path / "out")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "out" / "x" / "CT")))
    got = reader.Execute()
    assert got.GetDirection() == pytest.approx(image.GetDirection(), abs=1e-6)
    assert got.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-4)
    assert np.array_equal(sitk.GetArrayFromImage(got), sitk.GetArrayFromImage(image))


def test_bad_volumes_are_refused(tmp_path):
    with pytest.raises(ScanError, match="no such scan"):
        write_dicom_zip(tmp_path / "none.nii.gz", tmp_path / "s.zip", "x")
    sitk.WriteImage(sitk.GetImageFromArray(np.full((2, 3, 4), -3024, np.int16)), tmp_path / "v.nrrd")
    with pytest.raises(ScanError, match="-1024 to 64511"):
        write_dicom_zip(tmp_path / "v.nrrd", tmp_path / "s.zip", "x")
    assert not (tmp_path / "s.zip").exists()
