import zipfile
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from mmfusion.data.discover import discover, page
from mmfusion.data.load import load_cohort
from mmfusion.errors import DataError, ManifestError

EHR = "Patient ID,Age,Sex,Overall Stage\nP-001,60,M,IA\nP-002,70,F,IIB\nP-003,65,F,IIIA\n"
RNA = "symbol,P-001,P-002\nTP53,600000,250000\nEGFR,300000,250000\nKRAS,100000,500000\n"


def dicom(path: Path, modality="CT", patient=""):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = Dataset()
    header.file_meta, header.Modality, header.PatientID = meta, modality, patient
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)


@pytest.fixture
def study(tmp_path):
    root = tmp_path / "my_data"
    (root / "scans").mkdir(parents=True)
    (root / "clinical.csv").write_text(EHR)
    (root / "expression.csv").write_text(RNA)
    (root / "notes.docx").write_text("hello")
    for k in range(3):
        dicom(root / "scans" / "P-001" / "series" / f"{k}.dcm", patient="anon")
    (root / "scans" / "p2_ct.nii.gz").write_bytes(b"nifti")
    (root / "scans" / "P-003.nrrd").write_bytes(b"nrrd")
    (root / "scans" / "P-003_tumour_mask.nrrd").write_bytes(b"mask")
    return root


def row(found, name):
    return found.account.set_index("path").loc[name]


def test_a_strangers_data(study):
    found = discover(study)
    uses = found.account.set_index("path")["as"].to_dict()
    assert uses == {
        "clinical.csv": "ehr features, labels",
        "expression.csv": "rna features",
        "notes.docx": "",
        "scans/P-001/series": "ct volume",
        "scans/p2_ct.nii.gz": "ct volume",
        "scans/P-003.nrrd": "ct volume",
        "scans/P-003_tumour_mask.nrrd": "ct mask",
    }
    assert row(found, "scans/p2_ct.nii.gz")["patient"] == "P-002"
    assert "but for case" not in row(found, "scans/P-003.nrrd")["why"]
    assert "leading zeros" in row(found, "scans/p2_ct.nii.gz")["why"]
    assert found.patients.sum().to_dict() == {"ehr": 3, "stage": 3, "rna": 2, "ct": 3}
    assert found.to_do == ()


def test_what_it_writes_loads(study):
    found = discover(study)
    assert not (study / "data_manifest.csv").exists()
    cohort = load_cohort(found.write())
    assert cohort.name == "my_data"
    assert cohort.y.astype(str).to_dict() == {"P-001": "I", "P-002": "II", "P-003": "III"}
    assert cohort.units == {"rna": "tpm"}
    assert cohort.table["ct", "volume"].notna().all()
    assert cohort.table["ct", "mask"].notna().sum() == 1
    assert cohort.table["ehr"].columns.tolist() == ["age", "sex"]
    with pytest.raises(ManifestError, match="already"):
        found.write()
    found.write(overwrite=True)
    assert len(discover(study).account) == len(found.account)  # the manifest itself is passed over


def test_page(study):
    (study / "scans" / "X-9.nrrd").write_bytes(b"")
    text = page(discover(study))
    assert text.startswith("# What was found in my_data")
    assert "| ehr | 3 |" in text
    assert "- `scans/X-9.nrrd`: ct volume · ct volume by its name; no known patient id in 'X-9', 'scans'" in text
    assert "- `notes.docx`: neither a table nor a scan" in text


def test_two_scans_of_one_patient_are_not_guessed(study):
    dicom(study / "scans" / "P-001" / "other" / "0.dcm")
    found = discover(study)
    assert not row(found, "scans/P-001/series")["used"]
    assert not row(found, "scans/P-001/other")["used"]
    assert "2 candidates" in row(found, "scans/P-001/other")["why"]
    assert any("P-001 has 2 ct volumes" in text for text in found.to_do)
    assert "P-001" not in found.manifest["patient_id"].tolist()


def test_two_tables_of_the_same_patients(study):
    (study / "seeds.csv").write_text("patient_id,age,coordX,coordY,coordZ\nP-001,60,1,2,3\n")
    found = discover(study)
    assert row(found, "seeds.csv")["as"] == "ct seeds, ehr features"
    assert any("clinical.csv, seeds.csv give ehr features of the same 1 patients" in text for text in found.to_do)
    assert found.patients["seeds"].sum() == 1


def test_page_gathers_what_is_alike(study):
    (study / "xml").mkdir()
    for k in range(9):
        (study / "xml" / f"{k}.xml").write_text("<a/>")
    assert "- `xml/*.xml`: 9 files · neither a table nor a scan" in page(discover(study))


def test_ids_that_differ_in_spelling_are_left_to_a_person(study):
    (study / "expression.csv").write_text(RNA.replace("P-001", "p-1"))
    assert any("P-001, p-1" in text for text in discover(study).to_do)


def test_dicom_by_its_header(study):
    dicom(study / "pet" / "a" / "0.dcm", modality="PT", patient="P-002")
    dicom(study / "dose" / "a" / "0.dcm", modality="RTDOSE", patient="P-002")
    with zipfile.ZipFile(study / "zipped.zip", "w") as archive:
        archive.write(study / "scans" / "P-001" / "series" / "0.dcm", "x/0.dcm")
    found = discover(study)
    assert row(found, "pet/a")["as"] == "pet volume"
    assert row(found, "pet/a")["patient"] == "P-002"
    assert "RTDOSE" in row(found, "dose/a")["why"]
    assert "no known patient" in row(found, "zipped.zip")["why"]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (RNA, "tpm"),
        ("gene,P-001,P-002\nTP53,1200,3\nEGFR,30,17\nKRAS,5,8\n", "counts"),
        ("gene,P-001,P-002\nTP53,1.2,3.1\nEGFR,3.5,1.7\nKRAS,5.5,8.5\n", ""),
    ],
)
def test_unit_only_without_doubt(study, text, unit):
    (study / "expression.csv").write_text(text)
    found = discover(study)
    assert found.manifest.set_index("path").loc["expression.csv", "unit"] == unit
    assert bool(found.to_do) == (unit == "")
    assert discover(study, rna_unit="log").manifest.set_index("path").loc["expression.csv", "unit"] == (unit or "log")


def test_z_scores_are_known(shared_data, tmp_path):
    source = shared_data / "nsclc_radiogenomics" / "rna_log10fpkm_zscore_top1000.csv"
    (tmp_path / "rna.csv").write_bytes(source.read_bytes())
    found = discover(tmp_path)
    assert row(found, "rna.csv")["why"] == "1000 genes of 130 patients; unit zscore: genes have mean 0 and deviation 1"
    assert found.patients["rna"].sum() == 130


def test_uncommon_genes_are_told_by_their_number(study):
    genes = [f"ZNF{k}" for k in range(40)]
    text = ",".join(["PID", *genes]) + "".join(f"\n{p}," + ",".join(["0.5"] * 40) for p in ("P-001", "P-002"))
    (study / "expression.csv").write_text(text)
    assert row(discover(study), "expression.csv")["why"].startswith("40 genes of 2 patients")
    (study / "expression.csv").write_text(text.replace("0.5", "yes", 1))
    assert "patient P-001" in row(discover(study), "expression.csv")["why"]


def test_tables_without_ids_and_broken_ones(study):
    (study / "anonymous.csv").write_text("age,sex\n60,M\n61,F\n")
    (study / "broken.csv").write_bytes(b"\0\1\2")
    (study / "unknown.csv").write_text("patient_id,x1,x2\nP-001,1,2\n")
    (study / "radiomics_ct.csv").write_text("patient_id,sphericity\nP-001,0.5\n")
    found = discover(study)
    assert "head one patient_id" in row(found, "anonymous.csv")["why"]
    assert "cannot be read" in row(found, "broken.csv")["why"]
    assert "none of its columns is known" in row(found, "unknown.csv")["why"]
    assert row(found, "radiomics_ct.csv")["as"] == "ct features"


def test_one_patients_expression_by_its_name(study):
    (study / "expression.csv").unlink()
    (study / "P-003_rna.csv").write_text("gene,value\nTP53,1.5\nEGFR,2.5\nKRAS,3.5\n")
    (study / "who.csv").write_text("gene,value\nTP53,1.5\nEGFR,2.5\nKRAS,3.5\n")
    found = discover(study, rna_unit="log")
    assert row(found, "P-003_rna.csv")["patient"] == "P-003"
    assert "whose it is cannot be told" in row(found, "who.csv")["why"]
    assert load_cohort(found.write()).table.loc["P-003", ("rna", "EGFR")] == 2.5


def test_scans_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ct.nii").write_bytes(b"x")
    found = discover(tmp_path, dataset="scans")
    assert found.manifest["patient_id"].tolist() == ["a", "b"]
    assert any("no stages found" in text for text in found.to_do)


def test_nothing_there(tmp_path):
    found = discover(tmp_path)
    assert found.account.empty
    assert "0 of 0" in page(found)
    with pytest.raises(ManifestError, match="nothing there"):
        found.write()
    with pytest.raises(DataError, match="no such folder"):
        discover(tmp_path / "nowhere")
    with pytest.raises(DataError, match="unknown unit"):
        discover(tmp_path, rna_unit="rpkm")


def test_deep_features_are_known_by_their_columns(tmp_path):
    (tmp_path / "clinic.csv").write_text("patient_id,stage\nP-001,IA\nP-002,IIB\n")
    (tmp_path / "radio.csv").write_text("Case ID,Gender,pred_0,pred_1\nP-001,Male,0.5,1\nP-002,Female,0.1,2\n")
    found = discover(tmp_path)
    assert row(found, "radio.csv")["as"] == "ehr features, ct features"
    cohort = load_cohort(found.write())
    assert list(cohort.table["ct"].columns) == ["pred_0", "pred_1"]
    assert list(cohort.table["ehr"].columns) == ["sex"]
