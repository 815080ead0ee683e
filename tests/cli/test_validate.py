"""`mmfusion init` and `mmfusion validate`: they list all problems, and say "all is well" only when all is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mmfusion.cli import main
from mmfusion.data.discovery.discover import discover
from mmfusion.data.load import load_cohort

STAGES = ("IA", "IB", "IIA", "IIIA", "IIB", "IIIB")
BARCODES = [f"TCGA-05-40{k:02d}" for k in range(12)]
COMMON = ("TP53", "EGFR", "KRAS", "ALK", "MET")


def clinical(ids=BARCODES, header="patient_id", extra=""):
    rows = [f"{p},{50 + k},{STAGES[k % 6]}" for k, p in enumerate(ids)]
    return f"{header},age,stage\n" + "\n".join(rows) + "\n"


def counts(ids=BARCODES):
    """A table genes x patients of counts."""
    rows = [
        f"{gene}," + ",".join(str(100 + 7 * i + k) for k in range(len(ids))) for i, gene in enumerate(COMMON)
    ]
    return "gene," + ",".join(ids) + "\n" + "\n".join(rows) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clinical.csv").write_text(clinical())
    (tmp_path / "rna.csv").write_text(counts())
    return tmp_path


@pytest.fixture
def shown(folder, capsys):
    """Run init and validate in the folder; return (status, what validate printed, what init printed)."""

    def run(*options):
        assert main(["init", str(folder), "--overwrite"]) == 0
        init = capsys.readouterr().out
        status = main(["validate", str(folder / "data_manifest.csv"), *options])
        return status, capsys.readouterr().out, init

    return run


def test_all_is_well(shown):
    status, text, init = shown()
    assert status == 0 and text.endswith("\nall is well\n")
    assert (
        "note: shared patients: ehr and labels 12 of 12, ehr and rna 12 of 12, labels and rna 12 of 12\n"
        in text
    )
    assert "## Left to do\n\nNothing.\n" in init


@pytest.mark.parametrize(
    ("spell", "rule"),
    [
        ("{}-01A-11R-1107-07", "by the patient's part of a TCGA barcode"),
        ("{}-01", "by the patient's part of a TCGA barcode"),
    ],
)
def test_matched_ids_are_said_and_are_well(folder, shown, spell, rule):
    (folder / "rna.csv").write_text(counts([spell.format(p) for p in BARCODES]))
    status, text, init = shown()
    note = f"rna.csv: 12 ids were matched {rule} ({spell.format(BARCODES[0])} is {BARCODES[0]})"
    assert status == 0 and f"note: {note}\n" in text and f"- {note}\n" in init
    assert "| all of these | 12 |" in init


def test_foreign_ids_are_not_well(folder, shown):
    (folder / "rna.csv").write_text(counts([f"S{k}" for k in range(12)]))
    status, text, init = shown()
    line = "rna shares no patient with ehr and labels (expected TCGA-05-4000, TCGA-05-4001, as in ehr; got S0"
    assert status == 1 and f"problem: {line}" in text and "all is well" not in text
    assert init.count("rna shares no patient") == 1 and f"- {line}" in init


def test_few_shared_ids_are_not_well(folder, shown):
    (folder / "rna.csv").write_text(counts(BARCODES[:3] + [f"S{k}" for k in range(9)]))
    status, text, init = shown()
    assert status == 1 and "all is well" not in text
    assert "problem: rna shares only 3 of 12 patients with" in text and "only in rna: S0, S1" in text
    assert "- rna shares only 3 of 12 patients" in init


@pytest.mark.parametrize(
    "header", ["Barcode", "TCGA barcode", "Sample", "case_submitter_id", "Kennung", "", "bcr_patient_uuid"]
)
def test_the_column_of_ids_is_found_by_its_values(folder, shown, header):
    (folder / "clinical.csv").write_text(clinical(header=header))
    status, text, _ = shown()
    assert status == 0 and text.endswith("all is well\n")
    assert len(load_cohort(folder / "data_manifest.csv")) == 12


def test_ids_elsewhere_than_under_the_usual_header(folder, shown):
    """A column `id` that numbers the rows, and the ids under another header."""
    table = pd.read_csv(folder / "clinical.csv", dtype=str).rename(columns={"patient_id": "Case barcode"})
    table.insert(0, "id", [str(k) for k in range(1, 13)])
    table.to_csv(folder / "clinical.csv", index=False)
    found = discover(folder)
    assert found.patients.all(axis=None) and len(found.patients) == 12
    assert "ids from 'Case barcode'" in found.account.set_index("path").loc["clinical.csv", "why"]
    assert shown()[0] == 0


def test_ids_of_folders_show_the_column_too(tmp_path):
    for patient in BARCODES[:3]:
        (tmp_path / patient).mkdir()
        (tmp_path / patient / "ct.nii").write_bytes(b"x")
    (tmp_path / "clinical.csv").write_text(clinical(BARCODES[:3], header="Kennung"))
    assert discover(tmp_path).patients.all(axis=None)


def test_a_table_with_two_rows_a_patient_is_not_well_until_it_is_taken_off_the_manifest(folder, shown):
    (folder / "labs.csv").write_text("patient_id,ldh\n" + "".join(f"{p},200\n" * 2 for p in BARCODES))
    status, text, init = shown()
    assert status == 1 and "all is well" not in text
    assert "problem: file labs.csv: not used: cannot be read: patient TCGA-05-4000" in text
    assert "delete its row in the manifest" in text
    assert init.count("labs.csv not used: ") == 1
    manifest = folder / "data_manifest.csv"
    cohort = load_cohort(manifest)
    assert any(note.startswith("not used: labs.csv") for note in cohort.notes)
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    table[table["path"] != "labs.csv"].to_csv(manifest, index=False)
    assert main(["validate", str(manifest)]) == 0


def test_tables_that_are_not_used_for_one_reason_share_a_line(folder, shown):
    for k in range(7):
        (folder / f"odd{k}.csv").write_text("width,height\n1,2\n2,3\n")
    _, text, init = shown()
    assert text.count("problem: ") == 1 and init.count("not used: no column of patient ids") == 1
    assert "odd4.csv and 2 more" in text


def test_a_table_that_is_missing_now_is_still_not_an_error(folder, shown, capsys):
    (folder / "odd.csv").write_text("width,height\n1,2\n")
    shown()
    (folder / "odd.csv").unlink()
    assert main(["validate", str(folder / "data_manifest.csv")]) == 1
    assert "problem: file odd.csv: not used" in capsys.readouterr().out


def test_all_problems_are_listed_at_once(folder, shown):
    genes = pd.read_csv(folder / "rna.csv", index_col=0) / 1000
    genes.to_csv(folder / "rna.csv")  # no unit can be seen
    (folder / "clinical.csv").write_text(clinical().replace(",50,", ",young,").replace("stage", "ward"))
    (folder / "odd.csv").write_text("width,height\n1,2\n")
    status, text, init = shown()
    for what in ("in which unit", "no stages found", "odd.csv not used", "not a number"):
        assert init.count(what) == 1, what
    assert status == 1
    assert "problem: file rna.csv, column unit: the RNA table has no unit" in text
    assert "column age: not a number" in text and "file odd.csv: not used" in text


def test_a_column_that_gives_the_label_away_is_left_to_do(folder, shown):
    table = pd.read_csv(folder / "clinical.csv").assign(code=lambda t: t["stage"].str.strip("AB"))
    pd.concat([table.assign(patient_id=table["patient_id"] + f"-{k}") for k in range(4)]).to_csv(
        folder / "clinical.csv", index=False
    )
    (folder / "rna.csv").unlink()
    status, text, init = shown()
    assert status == 1 and "; ehr: code: the inputs determine the label" in text
    assert "; ehr: code: the inputs determine the label" in init


def test_ensembl_ids_beside_symbols_are_one_line(folder, shown):
    (folder / "rna.csv").write_text(counts(BARCODES[:6]))
    other = counts(BARCODES[6:])
    for k, gene in enumerate(COMMON):
        other = other.replace(gene, f"ENSG{k:011d}")
    (folder / "rna_south.csv").write_text(other)
    status, text, init = shown()
    assert status == 1 and text.count("problem: ") == 1
    assert "got Ensembl ids, as ENSG00000000000" in text and init.count("Ensembl ids") == 1


def test_a_replaced_manifest_is_mentioned(folder, shown):
    assert "was replaced" not in shown()[2]
    assert "the manifest that was there before was replaced\n" in shown()[2]


def test_a_scan_of_no_patient_is_left_to_do(folder):
    (folder / "stranger_ct.nii.gz").write_bytes(b"x")
    assert "1 scan of no patient in the tables: stranger_ct.nii.gz" in discover(folder).to_do


def test_scans_of_no_known_patient_are_not_well(folder, shown):
    for k in range(9):
        (folder / f"S{k}_ct.nii.gz").write_bytes(b"x")
    status, text, init = shown()
    assert status == 1 and text.count("problem: ") == 1
    assert "S4_ct.nii.gz and 4 more: not used: a scan of no patient in the tables" in text
    assert "- 9 scans of no patient in the tables: S0_ct.nii.gz" in init


def test_scans_that_were_not_opened_are_mentioned(shown):
    assert shown("--no-scans")[1].endswith("all is well (the scans were not opened)\n")


def test_validate_tells_which_files_of_a_scan_are_not_used(tmp_path, capsys):
    from tests.imaging.dicoms import phantom_hu, write_series

    for patient in ("P1", "P2"):
        write_series(
            tmp_path / "ct" / patient,
            phantom_hu(),
            change=lambda ds, k, p=patient: setattr(ds, "PatientID", p),
        )
    (tmp_path / "ct" / "P2" / "IM0007").write_bytes(b"\0\1\2\3" * 300)
    (tmp_path / "ct" / "P1" / "notes.txt").write_text("nothing")
    (tmp_path / "ehr.csv").write_text("patient_id,age,stage\nP1,60,IA\nP2,70,IIIB\n")
    assert main(["init", str(tmp_path)]) == 0
    account = (tmp_path / "data_manifest.md").read_text()
    assert "1 file: cannot be understood as DICOM (IM0007)" in account
    capsys.readouterr()
    assert main(["validate", str(tmp_path / "data_manifest.csv")]) == 1
    out = capsys.readouterr().out
    lost = "the scan may not be complete: 1 file: cannot be understood as DICOM (IM0007)"
    assert f"problem: patient P2, ct: {lost}" in out
    assert "note: patient P1, ct: 6 of 7 files used; 1 file: not DICOM (notes.txt)" in out
    assert "all is well" not in out


def test_seeds_outside_their_scans_are_problems(tmp_path, capsys):
    from mmfusion.imaging import Volume, write_nifti

    (tmp_path / "ct").mkdir()
    array = np.random.default_rng(0).integers(-900, 100, (20, 24, 28)).astype(np.int16)
    scan = Volume(array, np.diag([2.0, 2.0, 3.0, 1.0]))
    for patient in ("P1", "P2"):
        write_nifti(scan, tmp_path / "ct" / f"{patient}.nii.gz")
    (tmp_path / "ehr.csv").write_text("patient_id,age,stage\nP1,60,IA\nP2,70,IIIB\n")
    seeds = "patient_id,seed_x,seed_y,seed_z\nP1,20,20,30\nP2,-20,-20,30\n"
    (tmp_path / "seeds.csv").write_text(seeds)
    assert main(["init", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["validate", str(tmp_path / "data_manifest.csv")]) == 1
    out = capsys.readouterr().out
    assert "problem: patient P2, ct: a point outside the scan (expected x -1 to 55" in out
    assert "this one may be in RAS" in out and "patient P1" not in out


def test_a_wrong_seed_does_not_hide_what_else_is_wrong_with_its_scan(tmp_path, capsys):
    from tests.imaging.dicoms import phantom_hu, write_series

    folder = tmp_path / "ct" / "P1"
    write_series(folder, phantom_hu(), change=lambda ds, k: setattr(ds, "PatientID", "P1"))
    (folder / "IM0007").write_bytes(b"\0\1\2\3" * 300)
    text = "patient_id,age,stage,seed_x,seed_y,seed_z\nP1,60,IA,9999,0,0\nP2,70,IIIB,,,\n"
    (tmp_path / "ehr.csv").write_text(text)
    assert main(["init", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["validate", str(tmp_path / "data_manifest.csv")]) == 1
    out = capsys.readouterr().out
    assert "problem: patient P1, ct: a point outside the scan" in out
    assert "problem: patient P1, ct: the scan may not be complete" in out
