"""Expression in a folder: its unit, its genes, and whose it is."""

import pytest

from mmfusion.data.discovery.discover import discover
from mmfusion.data.load import load_cohort
from tests.data.discovery.folders import EHR, RNA, RSEM, row


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


def test_one_patients_expression_by_its_name(study):
    (study / "expression.csv").unlink()
    (study / "P-003_rna.csv").write_text("gene,value\nTP53,1.5\nEGFR,2.5\nKRAS,3.5\n")
    (study / "who.csv").write_text("gene,value\nTP53,1.5\nEGFR,2.5\nKRAS,3.5\n")
    found = discover(study, rna_unit="log")
    assert row(found, "P-003_rna.csv")["patient"] == "P-003"
    assert "its patient is not clear" in row(found, "who.csv")["why"]
    assert load_cohort(found.write()).table.loc["P-003", ("rna", "EGFR")] == 2.5


STAR = "N_unmapped\t9\t9\t9\n" + "".join(
    f"ENSG00000{k}.1\t{n}\t4\t5\n" for k, n in ((146648, "{n}"), (133703, 8), (141510, 7))
)
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
