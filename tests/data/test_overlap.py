"""Modalities that share no or few patients, and tables that share no or few columns, are named."""

from __future__ import annotations

import pandas as pd
import pytest

from mmfusion.data.load import load_cohort
from mmfusion.data.manifest import write_manifest
from mmfusion.data.overlap import shared_columns, shared_patients
from mmfusion.errors import DataError, TableWarning

P = [f"P{k}" for k in range(10)]
A = [f"A{k}" for k in range(10)]


def test_a_pair_that_shares_nobody_is_one_error():
    found = shared_patients({"labels": P, "ehr": P, "rna": A})
    (error,) = found.errors
    assert error.problem == "rna shares no patient with ehr and labels"
    assert "P0, P1, as in ehr" in error.expected and error.got == "A0, A1"
    assert (
        found.note == "shared patients: ehr and labels 10 of 10, ehr and rna 0 of 10, labels and rna 0 of 10"
    )
    assert not found.warnings


def test_a_pair_that_shares_few_is_a_warning_with_both_spellings():
    found = shared_patients({"labels": P, "rna": P[:4] + A[4:]})
    (text,) = found.warnings
    assert text.startswith(
        "rna shares only 4 of 10 patients with labels; only in rna: A4, A5; only in labels: P4, P5"
    )
    assert not found.errors
    assert not shared_patients({"labels": P, "rna": P[:5] + A[5:]}).warnings


def test_the_smaller_side_counts():
    assert not shared_patients({"labels": P, "pet": P[:1]}).warnings


def test_disjoint_modalities_of_one_study_are_a_warning():
    """CT of one half and RNA of the other: the labels have both, so the ids are spelled alike."""
    found = shared_patients({"labels": P, "ct": P[:5], "rna": P[5:]})
    assert not found.errors
    assert found.warnings[0].startswith("ct shares only 0 of 5 patients with rna")


def test_one_modality_has_nothing_to_share():
    assert shared_patients({"ehr": P, "labels": []}).note == ""


def test_ensembl_ids_and_symbols_are_named_once():
    ensembl, symbols = [f"ENSG{k:011d}" for k in range(80)], [f"GENE{k}" for k in range(80)]
    (error,) = shared_columns("rna", {"a.csv": symbols, "b.csv": ensembl, "c.csv": symbols}).errors
    assert str(error).startswith("file b.csv: shares no column of rna with a.csv")
    assert "gene symbols, as GENE0" in error.expected and "Ensembl ids, as ENSG" in error.got
    assert "alike" in error.hint


def test_few_columns():
    found = shared_columns("ehr", {"north.csv": ["age", "sex", "ldh"], "south.csv": ["age", "crp", "smoker"]})
    assert found.warnings[0].startswith(
        "south.csv and north.csv share only 1 of 3 columns of ehr; only in south.csv: crp, smoker; only in"
    )
    assert found.note == "columns of ehr: north.csv has 3, south.csv has 3, 1 of them shared"


def test_equal_columns_are_one_short_note():
    found = shared_columns("rna", {f"{k}.csv": ["TP53", "EGFR"] for k in range(1000)})
    assert found.note == "columns of rna: 1000 tables with the same 2 columns" and not found.warnings
    assert shared_columns("rna", {"a.csv": ["TP53"]}).note == ""


def study(folder, **files):
    """Write tables and a manifest; the name of a table says what it is: ehr_1 is `ehr features`."""
    rows = []
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
        modality = name.partition("_")[0]
        role = "labels" if modality == "labels" else "features"
        unit = "tpm" if modality == "rna" else ""
        modality = "" if role == "labels" else modality
        rows.append({"dataset": "s", "patient_id": "", "modality": modality, "role": role, "unit": unit})
        rows[-1]["path"] = f"{name}.csv"
    return write_manifest(pd.DataFrame(rows), folder / "data_manifest.csv", hashes=True)


LABELS = "patient_id,stage\n" + "".join(f"{p},IA\n" for p in P)


def genes(ids, names="TP53,EGFR,KRAS"):
    return f"patient_id,{names}\n" + "".join(f"{i},1,2,3\n" for i in ids)


def test_a_cohort_whose_keys_do_not_meet_is_refused(tmp_path):
    with pytest.raises(DataError, match="rna shares no patient with labels"):
        load_cohort(study(tmp_path, labels=LABELS, rna=genes(A)))


def test_a_cohort_whose_keys_hardly_meet_warns_and_keeps_the_warning(tmp_path):
    manifest = study(tmp_path, labels=LABELS, rna=genes(P[:3] + A[3:]))
    with pytest.warns(TableWarning, match="rna shares only 3 of 10 patients with labels"):
        cohort = load_cohort(manifest)
    assert any("rna shares only 3 of 10" in note for note in cohort.notes)
    assert "shared patients: labels and rna 3 of 10" in cohort.notes


@pytest.mark.parametrize("spell", ["X{}", "{}.0", "00{}", "sub-{}", " {} "])
def test_other_spellings_are_read_as_the_labels_spell_them(tmp_path, spell):
    ids = [str(k) for k in range(1, 10)]
    labels = "patient_id,stage\n" + "".join(f"{i},IA\n" for i in ids)
    cohort = load_cohort(study(tmp_path, labels=labels, rna=genes([spell.format(i) for i in ids])))
    assert list(cohort.table.index) == ids and cohort.table["rna"].notna().all(axis=None)
    if spell.strip() == spell:
        assert any(note.startswith("rna.csv: 9 ids were matched ignoring") for note in cohort.notes)


def test_two_tumour_samples_of_one_patient_are_refused(tmp_path):
    labels = "patient_id,stage\nTCGA-05-4000,IA\nTCGA-05-4001,IB\n"
    rna = genes(["TCGA-05-4000-01A-11R", "TCGA-05-4000-01B-11R", "TCGA-05-4001-01A-11R"])
    with pytest.raises(DataError, match="several rna samples of one patient") as raised:
        load_cohort(study(tmp_path, labels=labels, rna=rna))
    assert raised.value.patient == "TCGA-05-4000" and "01B-11R" in raised.value.got


def test_scans_of_a_manifest_by_hand_are_matched_too(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"x")
    manifest = study(tmp_path, labels="patient_id,stage\nR01-001,IA\nR01-002,IB\n")
    frame = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    scan = {"dataset": "s", "patient_id": "R01_001", "modality": "ct", "role": "volume", "path": "a.nii"}
    write_manifest(pd.concat([frame, pd.DataFrame([scan])]).fillna(""), manifest)
    cohort = load_cohort(manifest)
    assert cohort.table["ct", "volume"].notna().to_dict() == {"R01-001": True, "R01-002": False}
    assert any(note.startswith("the manifest: 1 id was matched") for note in cohort.notes)


def test_two_hospitals_with_other_names_of_genes_are_refused(tmp_path):
    ensembl = ",".join(f"ENSG{k:011d}" for k in (1, 2, 3))
    manifest = study(tmp_path, labels=LABELS, rna_1=genes(P[:5]), rna_2=genes(P[5:], ensembl))
    with pytest.raises(DataError, match="shares no column of rna"):
        load_cohort(manifest)


def test_a_modality_of_which_nobody_has_a_label(tmp_path):
    labels = "patient_id,stage\n" + "".join(f"{p},{'IA' if k < 5 else ''}\n" for k, p in enumerate(P))
    ehr = "patient_id,age\n" + "".join(f"{p},60\n" for p in P)
    with pytest.warns(TableWarning, match="none of the 5 patients with rna has a label"):
        load_cohort(study(tmp_path, labels=labels, ehr=ehr, rna=genes(P[5:])))
