"""Tables of special form in a folder: files of one sample, seeds beside records, ids under any header."""

from __future__ import annotations

import pytest

from mmfusion.data.discovery.discover import discover
from mmfusion.data.discovery.id_columns import column_of_known_ids
from mmfusion.data.load import load_cohort
from mmfusion.data.tables.files import read_table

IDS = [f"TCGA-44-600{k}" for k in range(4)]
STAGES = ("IA", "IIB", "IIIA", "IB")
GENES = ("TP53", "EGFR", "KRAS", "ALK", "MET")


def clinical(folder, more="", cells=()):
    rows = [f"{p},{60 + k},{STAGES[k]}{cells[k] if cells else ''}" for k, p in enumerate(IDS)]
    (folder / "clinical.csv").write_text(f"patient_id,age,stage{more}\n" + "\n".join(rows) + "\n")


def star(folder, name, k):
    """A file of one sample as the GDC gives it, with six columns of values."""
    head = "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded"
    lines = ["# gene-model: GENCODE v36", head + "\tfpkm_unstranded\tfpkm_uq_unstranded"]
    lines += [f"{n}\t\t\t1000\t1000\t1000\t\t\t" for n in ("N_unmapped", "N_ambiguous")]
    for i, gene in enumerate(GENES):
        counts = 10 * (i + k + 1)
        values = [counts, counts // 2, counts // 2, counts / 4, counts / 8, counts / 5]
        lines.append("\t".join([f"ENSG{i + 1:011d}.2", gene, "protein_coding", *map(str, values)]))
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.rna_seq.augmented_star_gene_counts.tsv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("folder", "name"),
    [("{}", "{}"), ("{}", "sample"), ("files", "{}-01A-11R-1107-07"), ("{}-01A", "0a1b2c")],
)
def test_a_file_of_one_sample_per_patient(tmp_path, folder, name):
    clinical(tmp_path)
    for k, patient in enumerate(IDS):
        star(tmp_path / folder.format(patient), name.format(patient), k)
    found = discover(tmp_path)
    assert not found.to_do and found.patients.all(axis=None) and len(found.patients) == 4
    assert found.manifest["unit"].tolist().count("tpm") == 4
    cohort = load_cohort(found.write())
    assert cohort.table["rna"].loc[IDS[1]].to_dict() == {g: 2.5 * (i + 2) for i, g in enumerate(GENES)}
    assert any("N_unmapped, N_ambiguous" in note and "and 1 more" in note for note in cohort.notes)
    counts = load_cohort(discover(tmp_path, rna_unit="counts").write(overwrite=True))
    assert counts.table["rna"].loc[IDS[1], "TP53"] == 20 and counts.units == {"rna": "counts"}


def test_seeds_beside_records(tmp_path):
    clinical(tmp_path, ",seed_x,seed_y,seed_z", [f",{k},-{k},-20{k}" for k in range(4)])
    found = discover(tmp_path)
    assert found.patients["seeds"].all() and not found.to_do
    cohort = load_cohort(found.write())
    assert list(cohort.table["ehr"]) == ["age"]
    assert cohort.table["ct"].loc[IDS[2]].to_dict() == {"seed_x": 2, "seed_y": -2, "seed_z": -202}
    assert "there are seeds of ct, but no ct scans" in cohort.notes


def test_seeds_of_ct_and_pet_in_one_table(tmp_path):
    headers = ",seed_x,seed_y,seed_z,pet_seed_x,pet_seed_y,pet_seed_z"
    clinical(tmp_path, headers, [f",{k},2,3,{k + 10},5,6" for k in range(4)])
    found = discover(tmp_path)
    assert found.patients["seeds"].all() and found.patients["pet seeds"].all()
    table = load_cohort(found.write()).table
    assert list(table["ehr"]) == ["age"]
    assert table.loc[IDS[1], ("ct", "seed_x")] == 1 and table.loc[IDS[1], ("pet", "seed_x")] == 11


def test_comment_lines_and_samples_as_in_cbioportal(tmp_path):
    rows = "".join(f"{p}\t{60 + k}\tSTAGE {STAGES[k]}\n" for k, p in enumerate(IDS))
    head = "#Patient\tAge\tStage\n#STRING\tNUMBER\tSTRING\nPATIENT_ID\tAGE\tAJCC_PATHOLOGIC_TUMOR_STAGE\n"
    (tmp_path / "data_clinical_patient.txt").write_text(head + rows)
    genes = "".join(f"{g}\t{k}\t" + "\t".join("1234") + "\n" for k, g in enumerate(GENES))
    columns = "\t".join(f"{p}-01" for p in IDS)
    (tmp_path / "data_mrna_seq.txt").write_text(f"Hugo_Symbol\tEntrez_Gene_Id\t{columns}\n" + genes)
    cohort = load_cohort(discover(tmp_path, rna_unit="counts").write())
    assert list(cohort.table.index) == IDS and cohort.table.notna().all(axis=None) and len(cohort) == 4


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("No,Barcode\n1,TCGA-44-6000\n2,TCGA-44-6001\n", "Barcode"),
        ("No,Barcode\n1,TCGA-44-6000-01A\n2,TCGA-44-9999\n", "Barcode"),  # half of them are known
        ("No,Barcode\n1,TCGA-44-6000\n2,TCGA-44-9998\n3,TCGA-44-9999\n", None),
        ("a,b\nTCGA-44-6000,TCGA-44-6001\nTCGA-44-6001,TCGA-44-6000\n", None),  # two columns fit
        ("No,age\n1,60\n2,61\n", None),
    ],
)
def test_the_column_that_holds_known_ids(tmp_path, text, column):
    (tmp_path / "t.csv").write_text(text)
    assert column_of_known_ids(read_table(tmp_path / "t.csv"), IDS) == column


@pytest.mark.parametrize(
    "text",
    [
        "PATIENT_ID\tLDH\tCRP\n" + "".join(f"{p}\t1\t2\n" * 2 for p in IDS),  # two rows a patient
        "PATIENT_ID\tLDH\tCRP\n" + "".join(f"{p}\t1\t2\n" for p in IDS) + "a\tb\tc\td\te\n",
    ],
)
def test_a_table_in_a_text_file_that_cannot_be_read_is_no_prose(tmp_path, text):
    clinical(tmp_path)
    (tmp_path / "labs.txt").write_text(text)
    (tmp_path / "letter.txt").write_text("Dear colleague, here are the data.\nThey are complete.\n")
    found = discover(tmp_path)
    (line,) = found.to_do
    assert line.startswith("labs.txt not used: cannot be read: ")
    assert (found.manifest["role"] == "unused").sum() == 1
