"""Who is staged: the id that is given, the one in the tables, or the one in the DICOM files."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

import mmfusion as mf
from mmfusion import cli
from mmfusion.errors import DataError, ScanError
from mmfusion.imaging import Volume, write_nifti
from mmfusion.imaging.identity import patient_of
from mmfusion.staging.identity import patient_name
from tests.cohorts import tiny_cohort
from tests.imaging.dicoms import write_series, zipped
from tests.staging.quick import QUICK


def dicom(folder, *names):
    """A CT whose slices name these patients in turn."""

    def change(ds: Dataset, k: int) -> None:
        ds.PatientID = names[k % len(names)]

    hu = np.full((4, 16, 16), -800, np.int16)
    hu[:, 4:12, 4:12] = 40
    return write_series(folder, hu, (3.0, 1.0, 1.0), change=change)


@pytest.fixture(scope="module")
def model():
    cohort = tiny_cohort().select(modalities=["rna", "ehr"])
    return mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y), cohort


@pytest.fixture
def ehr(model, tmp_path):
    path = tmp_path / "ehr.csv"
    model[1].table["ehr"].iloc[[3]].to_csv(path)  # of P003
    return path


def test_the_id_in_dicom_files(tmp_path):
    folder = dicom(tmp_path / "a", "LUNG1-001")
    packed = zipped(folder, tmp_path / "a.zip")
    assert patient_of(folder) == patient_of(packed) == patient_of(next(folder.iterdir())) == "LUNG1-001"
    for k, word in enumerate(["", "anonymous", "ANON", "0"]):
        assert patient_of(dicom(tmp_path / f"b{k}", word)) is None
    scan = Volume(np.zeros((4, 4, 4), np.int16), np.eye(4))
    assert patient_of(write_nifti(scan, tmp_path / "P1.nii.gz")) is None
    with pytest.raises(ScanError, match=r"column PatientID: slices of several patients .*got P1, P2"):
        patient_of(dicom(tmp_path / "c", "P1", "P2"))


def test_the_result_carries_the_id_of_the_dicom_files(model, tmp_path):
    classifier, _ = model
    table = tmp_path / "one.csv"
    model[1].table["ehr"].iloc[[3]].reset_index(drop=True).to_csv(table, index=False)  # without an id
    found = classifier.predict_patient(ct=dicom(tmp_path / "a", "LUNG1-001"), ehr=table)
    assert found.patient == "LUNG1-001"
    assert not any("state the patient" in w for w in found.warnings)


def test_two_ids_are_refused_unless_the_user_names_the_patient(model, ehr, tmp_path):
    classifier, _ = model
    other = dicom(tmp_path / "a", "ANON-77")
    text = r"inputs are about different patients \(got ehr of P003, ct of ANON-77\).*--patient"
    with pytest.raises(DataError, match=text):
        classifier.predict_patient(ct=other, ehr=ehr)
    found = classifier.predict_patient(ct=other, ehr=ehr, patient="P003")
    assert found.patient == "P003"
    assert any(
        "ct state the patient 'ANON-77', not 'P003': is it the right scan?" in w for w in found.warnings
    )
    own = classifier.predict_patient(ct=dicom(tmp_path / "b", "p003"), ehr=ehr)
    assert own.patient == "P003" and not any("state the patient" in w for w in own.warnings)


def test_the_command_line(model, ehr, tmp_path, capsys):
    model[0].save(tmp_path / "model")
    scan = dicom(tmp_path / "a", "ANON-77")
    inputs = ["predict", "--model", str(tmp_path / "model"), "--ehr", str(ehr), "--ct", str(scan)]
    assert cli.main(inputs) == cli.INPUT
    assert "different patients" in capsys.readouterr().err
    assert cli.main([*inputs, "--patient", "P003"]) == 0
    out = capsys.readouterr().out
    assert "Patient P003" in out and "ANON-77" in out


@pytest.mark.parametrize(
    ("tables", "scans", "patient", "name", "remarks"),
    [
        ({"ehr": "patient"}, {"ct": None}, None, "patient", 0),
        ({"ehr": "patient"}, {"ct": "P1"}, None, "P1", 0),
        ({}, {"ct": "P1", "pet": "P1"}, None, "P1", 0),
        ({"rna": "TCGA-44-6000-01A"}, {"ct": "TCGA-44-6000"}, None, "TCGA-44-6000-01A", 0),
        ({"rna": "R01.001"}, {"ct": "R01-001"}, None, "R01.001", 0),
        ({}, {"ct": "X", "pet": "Y"}, "P1", "P1", 2),
    ],
)
def test_which_id_counts(tables, scans, patient, name, remarks):
    found, notes = patient_name(tables, scans, patient)
    assert (found, len(notes)) == (name, remarks)


@pytest.mark.parametrize(
    ("tables", "scans"),
    [
        ({"rna": "P1", "ehr": "P2"}, {}),
        ({}, {"ct": "P1", "pet": "P2"}),
        ({"ehr": "P1"}, {"ct": "P12"}),
        ({"ehr": "TCGA-44-6000"}, {"ct": "TCGA-44-6001"}),
    ],
)
def test_different_patients(tables, scans):
    with pytest.raises(DataError, match="different patients"):
        patient_name(tables, scans)
