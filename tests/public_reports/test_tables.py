"""Public reports about tables: one small input each, with the right answer."""

from __future__ import annotations

import json
import re
import zipfile

import pandas as pd
import pytest

from mmfusion.data.load import load_cohort
from mmfusion.data.tables.files import read_table
from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.tables.readers import read_ehr_table, read_rna

STAGES = ("IA", "IB", "IIA", "IIIA")


def write(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_two_releases_of_ensembl_are_one_set_of_genes(tmp_path):
    """RNAsum issue 110, OpenPBTA issue 221: the versions of Ensembl ids differ between two tables."""
    labels = "patient_id,stage\n" + "".join(f"P{k},{STAGES[k % 4]}\n" for k in range(8))
    write(tmp_path, "labels.csv", labels)
    for name, patients, release in (("a.csv", range(4), 1), ("b.csv", range(4, 8), 2)):
        head = "gene_id," + ",".join(f"P{k}" for k in patients)
        rows = [
            f"ENSG{g:011d}.{g % 7 + release}," + ",".join(str(g + k) for k in patients) for g in range(1, 31)
        ]
        write(tmp_path, name, "\n".join([head, *rows]) + "\n")
    common = {"dataset": "x", "patient_id": ""}
    rna = [
        {**common, "modality": "rna", "role": "features", "path": f, "unit": "counts"}
        for f in ("a.csv", "b.csv")
    ]
    rows = [{**common, "modality": "", "role": "labels", "path": "labels.csv", "unit": ""}, *rna]
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    table = load_cohort(tmp_path / "manifest.csv").table["rna"]
    assert table.shape == (8, 30) and table.notna().to_numpy().all()
    assert table.loc["P6", "ENSG00000000007"] == 13


def test_summary_rows_of_star_are_no_genes(tmp_path):
    """TCGAbiolinks issue 142, xena-GDC-ETL issue 56: N_unmapped and others stand among the genes."""
    rows = [
        "N_unmapped",
        "N_multimapping",
        "N_noFeature",
        "N_ambiguous",
        "ENSG00000000003.15",
        "ENSG00000000005.6",
    ]
    text = "gene_id,P1,P2\n" + "".join(f"{name},{10**6 - k},{k}\n" for k, name in enumerate(rows))
    notes = TableNotes()
    table = read_rna(write(tmp_path, "rna.csv", text), unit="counts", notes=notes)
    assert list(table) == ["ENSG00000000003", "ENSG00000000005"]
    assert "N_unmapped, N_multimapping, N_noFeature, N_ambiguous" in notes.texts[0]


@pytest.mark.parametrize(
    "word", ["'--", "not reported", "Not Reported", "unknown", "[Not Available]", "#N/A"]
)
def test_words_for_missing_do_not_turn_numbers_into_categories(tmp_path, word):
    """GDC data dictionary (gdcdictionary) issue 86: several words say that a value is missing."""
    rows = "".join(f"P{k}\t{word if k % 5 < 3 else 2.5 * k}\n" for k in range(20))
    path = write(tmp_path, "clinical.tsv", "case_submitter_id\tcigarettes_per_day\n" + rows)
    column = read_ehr_table(path, notes=TableNotes()).features["cigarettes_per_day"]
    assert column.dtype == "float64" and column.notna().sum() == 8 and column["P4"] == 10.0


def test_a_line_break_in_a_header(tmp_path):
    """export-to-csv issue 51: a line break in quotation marks belongs to the header."""
    path = write(tmp_path, "clinical.csv", 'patient_id,age,"CRP\n(mg/L)"\nP1,50,0.5\nP2,51,1.5\n')
    table = read_ehr_table(path).features
    assert table.index.tolist() == ["P1", "P2"] and table["CRP (mg/L)"].tolist() == [0.5, 1.5]


def test_commas_do_not_hide_a_semicolon(tmp_path):
    """PapaParse issue 600: a header in quotation marks has more commas than there are separators."""
    text = 'patient_id;"a (b, c, d)";"e (f, g, h)"\nP1;60,5;x\nP2;61,5;y\n'
    table = read_table(write(tmp_path, "clinical.csv", text))
    assert table.to_dict("list") == {
        "patient_id": ["P1", "P2"],
        "a (b, c, d)": ["60.5", "61.5"],
        "e (f, g, h)": ["x", "y"],
    }


def test_a_header_with_a_separator_too_few(tmp_path):
    """TablePress issue 198: rows end with a separator more than the header has, and cells hold commas."""
    text = "patient_id;site;remark\nP1;A, B;x, y;\nP2;C, D;z, w;\n"
    table = read_table(write(tmp_path, "clinical.csv", text))
    assert table.to_dict("list") == {
        "patient_id": ["P1", "P2"],
        "site": ["A, B", "C, D"],
        "remark": ["x, y", "z, w"],
    }


def test_unicode_text_of_excel(tmp_path):
    """Unstructured issue 4443, univocity-parsers issue 87: UTF-16 with line ends of two characters."""
    (tmp_path / "t.csv").write_bytes("patient_id\tage\r\nP1\t60\r\nP2\t61\r\n".encode("utf-16"))
    assert read_table(tmp_path / "t.csv").to_dict("list") == {"patient_id": ["P1", "P2"], "age": ["60", "61"]}


def test_a_formula_is_read_as_its_value(tmp_path):
    """Orange issue 2974: the value that Excel stored beside a formula is the cell."""
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl reads workbooks")
    book = openpyxl.Workbook()
    for row in (["patient_id", "age"], ["P1", "=2023-1963"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as old, zipfile.ZipFile(tmp_path / "b.xlsx", "w") as new:
        for name in old.namelist():
            xml = re.sub(rb"</f><v ?(/>|></v>)", b"</f><v>60</v>", old.read(name))
            new.writestr(name, xml)
    assert read_table(tmp_path / "b.xlsx")["age"].tolist() == ["60"]


def test_genes_that_share_a_symbol(tmp_path):
    """ProteinPaint pull request 4838: Y_RNA and others are many genes, each with counts of its own."""
    rows = "".join(
        f"ENSG{k:011d}.1\t{name}\t{k}\n" for k, name in enumerate(["Y_RNA", "TP53", "Y_RNA"], start=1)
    )
    notes = TableNotes()
    table = read_rna(write(tmp_path, "rna.tsv", "gene_id\tgene_name\tP1\n" + rows), notes=notes)
    assert table.loc["P1"].to_dict() == {"ENSG00000000001": 1.0, "TP53": 2.0, "ENSG00000000003": 3.0}


def test_a_spreadsheets_dates_are_no_genes(tmp_path):
    """cancer-data issue 4, cBioPortal datahub pull request 1625: SEPT2 became 2-Sep in published tables."""
    text = "gene,P1,P2\nTP53,1,2\nEGFR,3,4\n2-Sep,5,6\n1-Mar,7,8\n1-Mar,9,10\n44257,11,12\n"
    notes = TableNotes()
    table = read_rna(write(tmp_path, "rna.csv", text), notes=notes)
    assert list(table) == ["TP53", "EGFR", "SEPTIN2"]
    assert "2-Sep as SEPTIN2" in notes.texts[0] and "1-Mar (MARCHF1 or MTARC1)" in notes.texts[1]


def test_comment_lines_of_cbioportal(tmp_path):
    """Four lines before the header of a clinical file of cBioPortal begin with # (its file formats)."""
    head = "#Patient Identifier\tAge\n#Identifier\tYears\n#STRING\tNUMBER\n#1\t1\n"
    text = head + "PATIENT_ID\tAGE\nP1\t60\nP2\t61\n"
    notes = TableNotes()
    table = read_ehr_table(write(tmp_path, "data_clinical_patient.txt", text), notes=notes).features
    assert table["age"].to_dict() == {"P1": 60.0, "P2": 61.0}
    assert "begin with # were not read (4)" in notes.texts[0]


def test_a_gene_on_both_sex_chromosomes_is_counted_once(tmp_path):
    """GENCODE's FAQ: genes of the pseudoautosomal regions are listed twice, the second time as _PAR_Y."""
    text = "gene_id,P1\nENSG00000002586.20,7\nENSG00000002586.20_PAR_Y,0\nENSG00000141510.18,5\n"
    notes = TableNotes()
    table = read_rna(write(tmp_path, "rna.csv", text), notes=notes)
    assert table.loc["P1"].to_dict() == {"ENSG00000002586": 7.0, "ENSG00000141510": 5.0}


def test_seeds_in_the_clinical_table_are_no_features(tmp_path):
    """The points of a tumour in the clinical table are where to look, and nothing about the patient."""
    path = write(tmp_path, "clinical.csv", "patient_id,age,seed_x,seed_y,seed_z\nP1,60,1,2,3\nP2,61,4,5,6\n")
    notes = TableNotes()
    assert list(read_ehr_table(path, notes=notes).features) == ["age"]
    assert json.dumps(notes.unused).count("a seed point") == 3
