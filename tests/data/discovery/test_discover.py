"""The folder of a user: its manifest, its page, and what is asked of the user."""

import pytest

from mmfusion.cli import main
from mmfusion.data.discovery.account import page
from mmfusion.data.discovery.discover import discover
from mmfusion.data.load import load_cohort
from mmfusion.data.scans import seeds_wanted
from mmfusion.errors import DataError, ManifestError
from mmfusion.imaging import write_nifti
from tests.data.discovery.folders import EHR, RNA, dicom, row
from tests.features.lesions import lesion


def test_the_folder_of_a_user(study):
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
    assert "without case" not in row(found, "scans/P-003.nrrd")["why"]
    assert "leading zeros" in row(found, "scans/p2_ct.nii.gz")["why"]
    assert found.patients.sum().to_dict() == {"ehr": 3, "stage": 3, "rna": 2, "ct": 3}
    assert found.to_do == (seeds_wanted(3, 3),)


def test_the_written_manifest_loads(study):
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
    assert (
        "- `scans/X-9.nrrd`: ct volume · ct volume by its name; no known patient id in 'X-9', 'scans'" in text
    )
    assert "- `notes.docx`: neither a table nor a scan" in text


def test_names_of_files_and_patients_are_only_text_on_the_page(study):
    text = EHR.replace("P-001", '"<meta http-equiv=refresh>\n# P [1](javascript:x)"')
    (study / "clinical.csv").write_text(text)
    (study / "a`<b>`.csv").write_text("width,height\n1,2\n")
    shown = page(discover(study))
    assert "<meta" not in shown.replace("\\<meta", "") and "[1](" not in shown.replace("\\[1\\](", "")
    assert "\n# P" not in shown and "`` a`<b>`.csv ``" in shown


def test_two_tables_of_the_same_patients(study):
    (study / "seeds.csv").write_text("patient_id,age,coordX,coordY,coordZ\nP-001,60,1,2,3\n")
    found = discover(study)
    assert row(found, "seeds.csv")["as"] == "ct seeds, ehr features"
    assert any(
        "patient P-001, file clinical.csv, seeds.csv: two tables give ehr features" in text
        for text in found.to_do
    )
    assert found.patients["seeds"].sum() == 1


def test_similar_files_share_a_line_of_the_page(study):
    (study / "xml").mkdir()
    for k in range(9):
        (study / "xml" / f"{k}.xml").write_text("<a/>")
    assert "- `xml/*.xml`: 9 files · neither a table nor a scan" in page(discover(study))


def test_ids_that_differ_in_spelling_are_matched(study):
    (study / "expression.csv").write_text(RNA.replace("P-001", "p-1").replace("P-002", "P_2"))
    found = discover(study)
    assert found.to_do == (seeds_wanted(3, 3),)
    rule = "matched ignoring leading zeros and separators (P_2 is P-002)"
    assert f"expression.csv: 2 ids were {rule}" in found.notes
    assert found.patients["rna"].to_dict() == {"P-001": True, "P-002": True, "P-003": False}
    cohort = load_cohort(found.write())
    assert (
        cohort.table["rna", "TP53"].notna().sum() == 2
        and f"expression.csv: 2 ids were {rule}" in cohort.notes
    )


def test_ids_that_fit_two_patients_are_left_to_a_person(study):
    (study / "clinical.csv").write_text(EHR.replace("P-003", "P-01"))
    (study / "expression.csv").write_text(RNA.replace("P-001", "p1"))
    (text,) = [text for text in discover(study).to_do if "make the ids equal" in text]
    assert text.startswith("1 patient: clinical.csv writes P-01, expression.csv p1: make the ids equal if")


def test_seeds_that_are_there_are_not_asked_for(study):
    (study / "seeds.csv").write_text("patient_id,seed_x,seed_y,seed_z\nP-001,1,2,3\nP-002,1,2,3\n")
    assert seeds_wanted(1, 3) in discover(study).to_do
    with (study / "seeds.csv").open("a") as table:
        table.write("P-003,1,2,3\n")
    assert discover(study).to_do == ()


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
    (tmp_path / "radio.csv").write_text(
        "Case ID,Gender,pred_0,pred_1\nP-001,Male,0.5,1\nP-002,Female,0.1,2\n"
    )
    found = discover(tmp_path)
    assert row(found, "radio.csv")["as"] == "ehr features, ct features"
    cohort = load_cohort(found.write())
    assert list(cohort.table["ct"].columns) == ["pred_0", "pred_1"]
    assert list(cohort.table["ehr"].columns) == ["sex"]


def test_a_pet_has_seeds_of_its_own(study):
    dicom(study / "pet" / "a", modality="PT", patient="P-002")
    (study / "seeds.csv").write_text(
        "patient_id,seed_x,seed_y,seed_z\nP-001,1,2,3\nP-002,1,2,3\nP-003,1,2,3\n"
    )
    found = discover(study)
    assert found.to_do == (seeds_wanted(1, 1, "pet"),)
    (study / "seeds_pet.csv").write_text("patient_id,seed_x,seed_y,seed_z\nP-002,4,5,6\n")
    found = discover(study)
    assert not found.to_do
    assert row(found, "seeds_pet.csv")["as"] == "pet seeds" and row(found, "seeds.csv")["as"] == "ct seeds"
    assert (found.patients["seeds"].sum(), found.patients["pet seeds"].sum()) == (3, 1)
    table = load_cohort(found.write()).table.loc["P-002"]
    assert (table["ct", "seed_x"], table["pet", "seed_x"]) == (1, 4)


@pytest.mark.parametrize("name", ["P-001_ct.tar.gz", "P-001.rar", "P-001_ct.img", "rna.rds"])
def test_data_that_cannot_be_read_are_named(tmp_path, name, capsys):
    (tmp_path / "clinical.csv").write_text(EHR)
    (tmp_path / "figure.png").write_bytes(b"png")
    (tmp_path / name).write_bytes(b"data")
    found = discover(tmp_path)
    assert [name in line for line in found.to_do] == [True]
    assert main(["validate", str(found.write())]) == 1
    assert "all is well" not in capsys.readouterr().out


def test_what_mmfusion_wrote_is_recognised(tmp_path, capsys, monkeypatch):
    """Masks and tables of earlier commands in the same folder become neither scans nor health records."""
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "my_data"
    root.mkdir()
    ct, mask = lesion(1, radius=7.0)
    x, y, z = mask.centroid_mm
    write_nifti(ct, root / "P1.nii.gz")
    (root / "ehr.csv").write_text("patient_id,age,stage\nP1,60,IA\n")
    (root / "seeds.csv").write_text(f"patient_id,seed_x,seed_y,seed_z\nP1,{x},{y},{z}\n")
    manifest = str(root / "data_manifest.csv")
    once = ["--n-jobs", "1"]
    assert main(["init", str(root)]) == 0
    assert main(["segment", "--manifest", manifest, "--no-check", *once, "-o", str(root / "lesions")]) == 0
    assert main(["features", manifest, "--measures", *once, "-o", str(root / "sizes.csv")]) == 0
    assert main(["init", str(root), "--overwrite"]) == 0
    found = discover(root)
    assert row(found, "lesions/masks/P1.nii.gz")["as"] == "ct mask"
    assert row(found, "sizes.csv")["as"] == "ct features"
    assert row(found, "sizes.csv")["why"].startswith("measures of lesions, written by mmfusion features")
    assert not row(found, "lesions/lesions.csv")["used"]
    assert row(found, "lesions/lesions.csv")["why"].startswith("written by mmfusion segment")
    cohort = load_cohort(manifest)
    assert list(cohort.X["ehr"].columns) == ["age"]
    assert cohort.X["ct", "lesion_volume_ml"].notna().all()


def test_points_without_a_name_are_not_health_records(tmp_path):
    (tmp_path / "ehr.csv").write_text("patient_id,age,stage\nP1,60,IA\n")
    (tmp_path / "points.csv").write_text("patient_id,x,y,z\nP1,10,20,30\n")
    found = discover(tmp_path)
    why = "x, y, z: points in the tumours? if they are in LPS mm, as in DICOM, name them seed_x"
    assert not row(found, "points.csv")["used"] and row(found, "points.csv")["why"].startswith(why)
    assert any("points.csv not used" in text for text in found.to_do)
