import zipfile
from pathlib import Path
from shutil import rmtree

import pandas as pd
import pytest
import SimpleITK as sitk

from mmfusion.cli import main
from mmfusion.data.discovery.account import page
from mmfusion.data.discovery.discover import discover
from mmfusion.data.load import load_cohort
from mmfusion.data.scans import open_scan, seeds_wanted
from mmfusion.errors import DataError, ManifestError
from mmfusion.imaging import list_series, write_nifti
from tests.features.lesions import lesion
from tests.imaging.dicoms import phantom_hu, write_series, zipped
from tests.imaging.structure_sets import rtstruct, scan, square

EHR = "Patient ID,Age,Sex,Overall Stage\nP-001,60,M,IA\nP-002,70,F,IIB\nP-003,65,F,IIIA\n"
RNA = "symbol,P-001,P-002\nTP53,600000,250000\nEGFR,300000,250000\nKRAS,100000,500000\n"


def dicom(folder: Path, n=3, patient="", **options):
    """A series of `n` slices, whose files have the series' name."""

    def change(header, k):
        header.PatientID = patient

    return write_series(folder, phantom_hu((n, 16, 20)), change=change, **options)


@pytest.fixture
def study(tmp_path):
    root = tmp_path / "my_data"
    (root / "scans").mkdir(parents=True)
    (root / "clinical.csv").write_text(EHR)
    (root / "expression.csv").write_text(RNA)
    (root / "notes.docx").write_text("hello")
    dicom(root / "scans" / "P-001" / "series", patient="anon")
    (root / "scans" / "p2_ct.nii.gz").write_bytes(b"nifti")
    (root / "scans" / "P-003.nrrd").write_bytes(b"nrrd")
    (root / "scans" / "P-003_tumour_mask.nrrd").write_bytes(b"mask")
    return root


def row(found, name):
    return found.account.set_index("path").loc[name]


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


def test_two_scans_of_one_patient_are_not_guessed(study):
    dicom(study / "scans" / "P-001" / "other")
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


def test_dicom_by_its_header(study):
    dicom(study / "pet" / "a", modality="PT", patient="P-002")
    dicom(study / "dose" / "a", n=1, modality="RTDOSE", patient="P-002")
    zipped(study / "scans" / "P-001" / "series", study / "zipped.zip")
    found = discover(study)
    assert row(found, "pet/a")["as"] == "pet volume"
    assert row(found, "pet/a")["patient"] == "P-002"
    assert row(found, "dose/a")["why"] == "DICOM RTDOSE, 1 file: not used"
    assert row(found, "scans/P-001/series")["why"].startswith("DICOM CT, 3 files; ")
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
    assert any("in which unit" in text for text in found.to_do) == (unit == "")
    assert discover(study, rna_unit="log").manifest.set_index("path").loc["expression.csv", "unit"] == (
        unit or "log"
    )


def test_z_scores_are_known(shared_data, tmp_path):
    source = shared_data / "nsclc_radiogenomics" / "rna_log10fpkm_zscore_top1000.csv"
    (tmp_path / "rna.csv").write_bytes(source.read_bytes())
    found = discover(tmp_path)
    assert (
        row(found, "rna.csv")["why"]
        == "1000 genes of 130 patients; unit zscore: genes have mean 0 and deviation 1"
    )
    assert any("3-Mar" in note for note in found.notes)  # a spreadsheet's date in the place of a gene
    assert found.patients["rna"].sum() == 130


def test_uncommon_genes_are_recognised_by_their_number(study):
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
    assert "name one patient_id" in row(found, "anonymous.csv")["why"]
    assert "cannot be read" in row(found, "broken.csv")["why"]
    assert "clinical.csv has some of the same patients" in row(found, "unknown.csv")["why"]
    for name in ("anonymous.csv", "broken.csv", "unknown.csv"):
        assert any(text.startswith(f"{name} not used: ") for text in found.to_do)
    assert row(found, "radiomics_ct.csv")["as"] == "ct features"


def test_other_tables_are_left_to_a_person_and_prose_is_not(study):
    (study / "more.parquet").write_bytes(b"PAR1")
    (study / "old.xls").write_bytes(b"x")
    (study / "~$open.xlsx").write_bytes(b"x")
    (study / "README.txt").write_text("Thank you, dear colleague\nfor the data\n")
    to_do = discover(study).to_do
    assert "more.parquet not used: a table of another kind: save it as CSV" in to_do
    assert any("old.xls not used: cannot be read: a workbook of this format" in text for text in to_do)
    assert not any("README" in text or "open.xlsx" in text for text in to_do)


def test_a_workbook_is_read(study):
    pytest.importorskip("openpyxl")
    pd.read_csv(study / "clinical.csv").to_excel(study / "clinical.xlsx", index=False)
    (study / "clinical.csv").unlink()
    found = discover(study)
    assert row(found, "clinical.xlsx")["as"] == "ehr features, labels"
    assert len(load_cohort(found.write())) == 3


def test_a_workbook_of_several_sheets_asks_for_one(study):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(study / "study.xlsx") as book:
        for name in ("Labs", "Words"):
            pd.DataFrame({"patient_id": ["P-001"], "ldh": [1]}).to_excel(book, sheet_name=name, index=False)
    (text,) = [text for text in discover(study).to_do if "study.xlsx" in text]
    assert "Labs" in text and "Words" in text


def test_unknown_columns_beside_known_ids_are_records(study):
    (study / "clinical.csv").write_text("Patient ID,stage,ldh\nP-001,IA,200\nP-002,IIB,310\nP-003,IIIA,\n")
    found = discover(study)
    assert row(found, "clinical.csv")["as"] == "ehr features, labels"
    assert row(found, "clinical.csv")["why"] == "records: taken as they are ldh; stage from stage"
    assert load_cohort(found.write()).table["ehr"].columns.tolist() == ["ldh"]


def test_unknown_columns_give_way_to_records_of_the_same_patients(study):
    (study / "labs.csv").write_text("patient_id,ldh\nP-001,200\n")
    (study / "stages.csv").write_text("patient_id,stage,ward\nP-001,IA,x\n")
    (study / "clinical.csv").write_text(EHR.replace("Overall Stage", "ecog").replace("IIIA", "IA"))
    found = discover(study)
    assert not row(found, "labs.csv")["used"]
    assert row(found, "stages.csv")["as"] == "labels"
    reason = "the records are not taken, as clinical.csv has some of the same patients: add the columns there"
    assert f"stages.csv: {reason}" in found.to_do
    assert f"labs.csv not used: records: taken as they are ldh; {reason}" in found.to_do
    assert load_cohort(found.write()).table["ehr"].columns.tolist() == ["age", "sex", "ecog"]


def test_the_account_lists_every_column(study):
    text = EHR.replace("Overall Stage", "Overall Stage,ldh,Outcome").replace("IA\n", "IA,1,2\n")
    (study / "clinical.csv").write_text(text.replace("IIB\n", "IIB,1,2\n").replace("IIIA,1", "IIIA,1"))
    why = row(discover(study), "clinical.csv")["why"]
    assert (
        why
        == "records: recognised Age, Sex; taken as they are ldh; left out Outcome; stage from Overall Stage"
    )


@pytest.mark.parametrize(
    "header",
    ["AJCC Stage (7th ed)", "Stage at diagnosis", "pStage", "cStage", "Pathologic Stage Group", "TNM stage",
     "UICC stage (8th edition)", "AJCC 9 stage", "Overall.Stage", "ajcc7_stage"],
)  # fmt: skip
def test_usual_headers_of_the_stage(study, header):
    (study / "clinical.csv").write_text(EHR.replace("Overall Stage", header))
    found = discover(study)
    assert found.patients["stage"].sum() == 3
    assert len(load_cohort(found.write())) == 3


@pytest.mark.parametrize(
    "header", ["T stage", "Stage at relapse", "Staging PET", "stage IV ever", "M category"]
)
def test_headers_that_are_not_the_stage(study, header):
    (study / "clinical.csv").write_text(EHR.replace("Overall Stage", header))
    (text,) = [text for text in discover(study).to_do if "no stages found" in text]
    assert "pStage" in text and "t, n and m" in text
    assert ("; the closest: " in text) == ("tag" in header)


def test_patients_with_a_stage_are_counted(study):
    (study / "clinical.csv").write_text(EHR.replace("IIB", "").replace("IIIA", "Unknown"))
    found = discover(study)
    assert found.patients["stage"].to_dict() == {"P-001": True, "P-002": False, "P-003": False}
    assert "| stage | 1 |" in page(found)
    assert "2 of 3 patients have no stage (P-002, P-003), so that no model learns from them" in page(found)


def test_two_columns_about_genes(study):
    lines = [
        "gene_id,gene_name,chr,P-001,P-002",
        "ENSG00000000001.3,TP53,17,1.5,2",
        "ENSG00000000002.1,EGFR,7,3,4",
        "ENSG00000000003.1,,1,5,6",
    ]
    (study / "expression.csv").write_text("\n".join(lines))
    cohort = load_cohort(discover(study, rna_unit="fpkm").write())
    expected = {"TP53": 1.5, "EGFR": 3, "ENSG00000000003": 5}
    assert cohort.table["rna"].loc["P-001"].to_dict() == expected


def test_seeds_that_are_there_are_not_asked_for(study):
    (study / "seeds.csv").write_text("patient_id,seed_x,seed_y,seed_z\nP-001,1,2,3\nP-002,1,2,3\n")
    assert seeds_wanted(1, 3) in discover(study).to_do
    with (study / "seeds.csv").open("a") as table:
        table.write("P-003,1,2,3\n")
    assert discover(study).to_do == ()


def test_one_patients_expression_by_its_name(study):
    (study / "expression.csv").unlink()
    (study / "P-003_rna.csv").write_text("gene,value\nTP53,1.5\nEGFR,2.5\nKRAS,3.5\n")
    (study / "who.csv").write_text("gene,value\nTP53,1.5\nEGFR,2.5\nKRAS,3.5\n")
    found = discover(study, rna_unit="log")
    assert row(found, "P-003_rna.csv")["patient"] == "P-003"
    assert "its patient is not clear" in row(found, "who.csv")["why"]
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
    (tmp_path / "radio.csv").write_text(
        "Case ID,Gender,pred_0,pred_1\nP-001,Male,0.5,1\nP-002,Female,0.1,2\n"
    )
    found = discover(tmp_path)
    assert row(found, "radio.csv")["as"] == "ehr features, ct features"
    cohort = load_cohort(found.write())
    assert list(cohort.table["ct"].columns) == ["pred_0", "pred_1"]
    assert list(cohort.table["ehr"].columns) == ["sex"]


def parts(found):
    manifest = found.manifest
    return {
        (r.path, f"{r.modality} {r.role}"): r.part
        for r in manifest.itertuples()
        if r.role in ("volume", "mask")
    }


def test_whatever_can_be_read_is_found(tmp_path):
    image = sitk.GetImageFromArray(phantom_hu())
    for patient, name in (("p1", "ct.mhd"), ("p2", "ct.nhdr"), ("p3", "ct.mha"), ("p4", "CT.NII.GZ")):
        (tmp_path / patient).mkdir()
        sitk.WriteImage(image, tmp_path / patient / name.lower())
        (tmp_path / patient / name.lower()).rename(tmp_path / patient / name)
    names = ["p1/ct.mhd", "p2/ct.nhdr", "p3/ct.mha", "p4/CT.NII.GZ"]
    assert parts(discover(tmp_path)) == {(name, "ct volume"): "" for name in names}
    found = discover(tmp_path)
    assert open_scan(load_cohort(found.write()), "p1").volume.shape == (6, 16, 20)


def test_a_zip_that_begins_with_a_readme(tmp_path):
    folder = dicom(tmp_path / "P-001", patient="P-001")
    (folder / "0_README.txt").write_text("thank you for the download")
    archive = zipped(folder, tmp_path / "z.zip", prefix="a")
    for file in folder.iterdir():
        file.unlink()
    assert row(discover(tmp_path), "z.zip")[["as", "patient"]].tolist() == ["ct volume", "P-001"]
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("a.pdf", "1")
        empty.writestr("b.pdf", "2")
    assert row(discover(tmp_path), "z.zip")["why"] == "no DICOM image in it"


def test_one_ct_beside_a_pet_is_named(study):
    """Two rows of one ZIP, each with its series."""
    both = dicom(study / "both", patient="P-002", series="c", description="chest")
    dicom(both, patient="P-002", series="p", modality="PT")
    archive = zipped(both, study / "both.zip")
    for file in both.iterdir():
        file.unlink()
    (study / "scans" / "p2_ct.nii.gz").unlink()
    found = discover(study)
    uids = list_series(archive).set_index("modality")["uid"]
    got = {k: v for k, v in parts(found).items() if k[0] == "both.zip"}
    assert got == {("both.zip", "ct volume"): uids["CT"], ("both.zip", "pet volume"): uids["PT"]}
    assert row(found, "both.zip")["as"] == "ct volume, pet volume"
    cohort = load_cohort(found.write())
    assert open_scan(cohort, "P-002").volume.series_uid == uids["CT"]
    assert open_scan(cohort, "P-002", "pet").volume.series_uid == uids["PT"]


def test_two_cts_are_a_question(tmp_path, capsys):
    folder = tmp_path / "P-001" / "scan"
    dicom(folder, patient="P-001", series="a", description="LUNG 1.0")
    dicom(folder, n=4, patient="P-001", series="b", description="ABDOMEN 5.0")
    dicom(folder, patient="P-001", series="p", modality="PT")
    assert main(["init", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    found = discover(tmp_path)
    (text,) = [t for t in found.to_do if "series" in t]
    assert text.startswith(
        "P-001, ct volume in P-001/scan: 2 CT series: add a row to the manifest, with the UID of one"
    )
    uids = list_series(folder).set_index("description")["uid"]
    assert (
        uids["LUNG 1.0"] in text
        and uids["ABDOMEN 5.0"] in text
        and "'LUNG 1.0'  3 slices, 2.5 x 0.8 x 0.7" in text
    )
    assert f"\n- {text}" in page(found) and text in shown
    assert list(parts(found)) == [("P-001/scan", "pet volume")]
    assert "ct" not in found.patients and found.patients["pet"].sum() == 1
    assert "ct volume not taken" in row(found, "P-001/scan")["why"]
    assert main(["validate", str(tmp_path / "data_manifest.csv")]) == 1
    assert "1 problem\n" in (shown := capsys.readouterr().out) and "problem: no patient has a label" in shown


def test_two_cts_and_nothing_else_are_said_where_no_manifest_can_be_written(tmp_path):
    for series in "ab":
        dicom(tmp_path / "P-001", patient="P-001", series=series)
    with pytest.raises(ManifestError, match="2 CT series"):
        discover(tmp_path).write()


def test_a_ct_that_can_be_read_is_chosen_among_those_that_cannot(tmp_path):
    def two_planes(header, k):
        header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0] if k else [0, 1, 0, 0, 0, -1]

    folder = dicom(tmp_path / "P-001", series="a")
    write_series(folder, phantom_hu((2, 16, 20)), series="scout", change=two_planes)
    dicom(folder, n=2, series="report", modality="SR")
    (part,) = parts(discover(tmp_path)).values()
    assert part == list_series(folder).set_index("n_slices").loc[3, "uid"]


def test_a_uid_that_another_begins_with(tmp_path):
    def number(uid, *, same_place=False):
        def change(header, k):
            header.SeriesInstanceUID = uid
            if same_place:
                header.ImagePositionPatient = [0, 0, 0]

        return change

    folder = write_series(tmp_path / "scan", phantom_hu((3, 16, 20)), series="a", change=number("1.2.3.1"))
    write_series(folder, phantom_hu((4, 16, 20)), series="b", change=number("1.2.3.11", same_place=True))
    found = discover(tmp_path)
    assert found.manifest["part"].tolist() == ["1.2.3.1"]
    assert open_scan(load_cohort(found.write()), "P1").volume.shape == (3, 16, 20)


def test_folders_below_have_entries_of_their_own(study):
    """A CT with its segmentation in a folder below: one volume, one mask."""
    rmtree(study / "scans" / "P-001")
    folder, volume = scan(study / "scans" / "P-001")
    (folder / "rt").mkdir()
    rtstruct(
        folder / "rt" / "r.dcm",
        {"GTV": [square(-20, -30, 0, -15, z) for z in (103, 106)]},
        series=volume.series_uid,
    )
    found = discover(study)
    assert row(found, "scans/P-001")["as"] == "ct volume"
    assert row(found, "scans/P-001/rt")["as"] == "ct mask"
    assert open_scan(load_cohort(found.write()), "P-001").lesion.array.any()


@pytest.mark.parametrize(
    ("regions", "part"),
    [
        (["body"], ""),
        (["Lung-Left", "GTV-1", "Spinal-Cord"], "GTV-1"),
        (["GTV-1", "GTV-2"], None),
        (["lung", "heart"], None),
        (["nodule", "nodule", "empty nodule"], None),
        (["heart", "empty"], "heart"),
    ],
)
def test_the_region_of_a_mask(tmp_path, regions, part):
    folder, volume = scan(tmp_path / "P-001")
    box = [square(-20, -30, 0, -15, z) for z in (103, 106)]
    drawn = {name: [] if "empty" in name else box for name in regions}
    if len(drawn) < len(regions):

        def rename(ds):
            ds.StructureSetROISequence[-1].ROIName = regions[0]

        rtstruct(folder / "r.dcm", {**drawn, "other": box}, series=volume.series_uid, change=rename)
    else:
        rtstruct(folder / "r.dcm", drawn, series=volume.series_uid)
    found = discover(tmp_path)
    got = parts(found)
    assert got["P-001", "ct volume"] == ""
    assert got.get(("P-001", "ct mask")) == part
    if part is None:
        assert any("ct mask in P-001" in text and repr(regions[-1]) in text for text in found.to_do)
    else:
        assert open_scan(load_cohort(found.write()), "P1").lesion.array.any()


def test_two_sets_of_regions_do_not_lose_the_scan(tmp_path):
    folder, _ = scan(tmp_path / "P-001")
    for name in ("a.dcm", "b.dcm"):
        rtstruct(folder / name, {"GTV": [square(-20, -30, 0, -15, 103)]})
    found = discover(tmp_path)
    assert list(parts(found)) == [("P-001", "ct volume")]
    assert any("2 sets of regions" in text for text in found.to_do)


def test_files_of_two_patients_in_one_folder(tmp_path):
    dicom(tmp_path / "all", patient="P-001", series="a")
    dicom(tmp_path / "all", patient="P-002", series="b", modality="PT")
    found = discover(tmp_path)
    assert not row(found, "all")["used"]
    assert "of several patients: P-001, P-002" in row(found, "all")["why"]


def test_a_damaged_series_is_said_to_be(tmp_path):
    folder = dicom(tmp_path / "P-001")
    file = sorted(folder.iterdir())[0]
    file.write_bytes(file.read_bytes()[:300])
    assert "truncated or damaged" in row(discover(tmp_path), "P-001")["why"]


def test_dicom_beside_the_manifest(tmp_path):
    """The manifest does not change the hash of what it lists."""
    dicom(tmp_path / "all", patient="P-001")
    assert main(["init", str(tmp_path / "all")]) == 0
    cohort = load_cohort(tmp_path / "all" / "data_manifest.csv")
    assert open_scan(cohort, "P-001").volume.shape == (3, 16, 20)


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


STAR = "N_unmapped\t9\t9\t9\n" + "".join(
    f"ENSG00000{k}.1\t{n}\t4\t5\n" for k, n in ((146648, "{n}"), (133703, 8), (141510, 7))
)
RSEM = "gene_id\texpected_count\tTPM\tFPKM\nEGFR\t5\t{n}\t1\nKRAS\t6\t5\t2\nTP53\t1\t2\t3\n"
SALMON = "Name\tLength\tTPM\tNumReads\nEGFR\t900\t{n}\t1\nKRAS\t800\t5\t2\nTP53\t700\t2\t3\n"


@pytest.mark.parametrize(
    ("name", "text", "unit"),
    [
        ("{p}ReadsPerGene.out.tab", STAR, "counts"),
        ("{p}.genes.results", RSEM, "tpm"),
        ("{p}/quant.sf", SALMON, "tpm"),
    ],
)
def test_files_of_programs_that_count_are_found_by_their_usual_names(tmp_path, name, text, unit):
    (tmp_path / "clinical.csv").write_text(EHR)
    (tmp_path / "SJ.out.tab").write_text("chr1\t1\t2\t1\n")  # splice junctions of STAR
    for k, patient in enumerate(("P-001", "P-002", "P-003")):
        file = tmp_path / name.format(p=patient)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.format(n=100 + k))
    found = discover(tmp_path, rna_unit=unit)
    assert not found.to_do
    first = found.cohort.table["rna"].iloc[:, 0]
    assert first.tolist() == [100, 101, 102] and found.cohort.units["rna"] == unit


@pytest.mark.parametrize("name", ["P-001_ct.tar.gz", "P-001.rar", "P-001_ct.img", "rna.rds"])
def test_data_that_cannot_be_read_are_named(tmp_path, name, capsys):
    (tmp_path / "clinical.csv").write_text(EHR)
    (tmp_path / "figure.png").write_bytes(b"png")
    (tmp_path / name).write_bytes(b"data")
    found = discover(tmp_path)
    assert [name in line for line in found.to_do] == [True]
    assert main(["validate", str(found.write())]) == 1
    assert "all is well" not in capsys.readouterr().out


SHEET = "File ID\tFile Name\tCase ID\tSample ID\tSample Type\n"


def test_the_sample_sheet_of_the_gdc_names_the_patients(tmp_path):
    (tmp_path / "clinical.csv").write_text(EHR)
    lines = []
    for k, (patient, kind) in enumerate([("P-001", "Primary Tumor"), ("P-003", "Primary Tumor"),
                                         ("P-003", "Solid Tissue Normal")]):  # fmt: skip
        folder = tmp_path / "gdc" / f"0f{k}"
        folder.mkdir(parents=True)
        (folder / f"a{k}.counts.tsv").write_text(RSEM.format(n=100 + k))
        lines.append(f"0f{k}\ta{k}.counts.tsv\t{patient}, {patient}\t{patient}-01A\t{kind}\n")
    (tmp_path / "gdc_sample_sheet.2024-05-01.tsv").write_text(SHEET + "".join(lines))
    (tmp_path / "gdc" / "MANIFEST.txt").write_text("id\tfilename\tmd5\tsize\tstate\n0f0\ta0.tsv\tab\t9\tx\n")
    found = discover(tmp_path)
    assert found.cohort.table["rna", "EGFR"].dropna().to_dict() == {"P-001": 100, "P-003": 101}
    assert list(found.to_do) == ["gdc/0f2/a2.counts.tsv not used: normal tissue, by the sample sheet"]
    assert row(found, "gdc_sample_sheet.2024-05-01.tsv")["used"]
    assert len(found.patients) == 3  # the ids of files are no patients


def test_transcripts_are_named_as_such(tmp_path):
    (tmp_path / "clinical.csv").write_text(EHR)
    (tmp_path / "P-001").mkdir()
    rows = "".join(f"ENST0000000000{k}.1\t900\t{k}\t9\n" for k in range(5))
    (tmp_path / "P-001" / "quant.sf").write_text("Name\tLength\tTPM\tNumReads\n" + rows)
    assert "transcripts, not genes" in " ".join(discover(tmp_path).to_do)


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
