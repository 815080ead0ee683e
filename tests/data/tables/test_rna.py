"""Names of genes and patients in tables of expression, and files of one sample."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.data.tables.gene_dates import date_genes
from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.tables.plausible import remarks
from mmfusion.data.tables.readers import read_rna
from mmfusion.data.tables.summaries import summaries
from mmfusion.errors import DataError, TableWarning

GENES = ("TP53", "EGFR", "KRAS", "ALK")


def rna(tmp_path, text, **options):
    notes = TableNotes()
    (tmp_path / "rna.csv").write_text(text)
    return read_rna(tmp_path / "rna.csv", notes=notes, **options), notes


def with_gene(*names):
    """Return a table of four genes, and of further ones."""
    return "gene,P01,P02\n" + "".join(f"{gene},{k},{k + 1}\n" for k, gene in enumerate([*GENES, *names]))


@pytest.mark.parametrize(
    ("name", "genes"),
    [
        ("2-Sep", ("SEPTIN2",)),
        ("Sep-02", ("SEPTIN2",)),
        ("2. Sep", ("SEPTIN2",)),
        ("02-Sep-23", ("SEPTIN2",)),
        ("9/2/2023", ("SEPTIN2",)),
        ("02/09/2023", ("SEPTIN2",)),
        ("02.09.2023", ("SEPTIN2",)),
        ("2023-09-02", ("SEPTIN2",)),
        ("2023-09-02 00:00:00", ("SEPTIN2",)),
        ("2023-09-02T00:00:00", ("SEPTIN2",)),
        ("44441", ("SEPTIN2",)),
        ("44441.0", ("SEPTIN2",)),
        ("03/09/2023", ("SEPTIN3", "MARCHF9")),
        ("1-Mar", ("MARCHF1", "MTARC1")),
        ("Mrz 01", ("MARCHF1", "MTARC1")),
        ("1. Mär", ("MARCHF1", "MTARC1")),
        ("3-mars", ("MARCHF3",)),
        ("1-Dez", ("DELEC1",)),
        ("1-déc", ("DELEC1",)),
        ("10-Nov", ()),
    ],
)
def test_dates_of_a_spreadsheet(name, genes):
    assert date_genes(name) == genes


@pytest.mark.parametrize(
    "name",
    [
        "SEPT2",
        "SEPTIN2",
        "MARCH1",
        "DEC1",
        "DEC-205",
        "MAGEB-2",
        "HLA-A",
        "EGFR",
        "1956",
        "12345",
        "99999",
        "7-4-1a",
    ],
)
def test_names_that_are_no_dates(name):
    assert date_genes(name) is None


def test_dates_are_read_as_the_only_gene_or_left_out(tmp_path):
    table, notes = rna(tmp_path, with_gene("2-Sep", "1-Mar", "1-Mar", "10-Nov", "44256"))
    assert list(table) == [*GENES, "SEPTIN2"]
    assert notes.texts == [
        "a spreadsheet turned names of genes into dates, which are read as: 2-Sep as SEPTIN2",
        "a spreadsheet turned names of genes into dates, which were not read: 1-Mar (MARCHF1 or MTARC1), "
        "10-Nov (no known gene), 44256 (MARCHF1 or MTARC1)",
    ]
    for other in ("SEPT2", "SEPTIN2", "44441"):  # the gene is there already, or there twice
        table, notes = rna(tmp_path, with_gene("2-Sep", other))
        assert "2-Sep" not in table and "which were not read: 2-Sep" in notes.texts[-1]


def test_summaries_are_no_genes_in_either_orientation(tmp_path):
    names = "N_unmapped,N_multimapping,N_noFeature,N_ambiguous,__no_feature,__alignment_not_unique,Assigned"
    names = [*names.split(","), "Unassigned_NoFeatures", "Total", "Mean", "Library size"][:-1]
    table, notes = rna(tmp_path, with_gene(*names))
    assert list(table) == list(GENES) and "N_unmapped" in notes.texts[0]
    wide = ",".join(["patient_id", *GENES, *names]) + "\n" + "P01" + ",5" * (len(GENES) + len(names)) + "\n"
    assert list(rna(tmp_path, wide)[0]) == list(GENES)
    table, notes = rna(tmp_path, "gene,P01,P02,Mean,SD\nTP53,1,2,1.5,.7\nEGFR,1,2,1.5,.7\nMAX,3,4,3.5,.7\n")
    assert table.index.tolist() == ["P01", "P02"] and "MAX" in table
    assert notes.texts == ["rows that are no patients were not read: Mean, SD"]


def test_short_words_may_be_patients():
    assert summaries(["AB", "SD", "KL"]) == []
    assert summaries(["P1", "SD", "Average"]) == ["SD", "Average"]
    assert summaries(["P1", "Mean"], known={"Mean"}) == []


def test_a_warning_without_an_account(tmp_path):
    (tmp_path / "rna.csv").write_text(with_gene("N_unmapped"))
    with pytest.warns(TableWarning, match="no genes were not read: N_unmapped"):
        read_rna(tmp_path / "rna.csv")


def test_ensembl_versions_and_copies(tmp_path):
    names = ["ENSG00000002586.18", "ENSG00000002586.18_PAR_Y", "ENSGR0000002586.13", "ENSG00000000003"]
    table, notes = rna(tmp_path, "gene,P01\n" + "".join(f"{g},{k}\n" for k, g in zip((1, 0, 0, 2), names)))
    assert table.loc["P01"].to_dict() == {"ENSG00000002586": 1.0, "ENSG00000000003": 2.0}
    assert "PAR_Y" in notes.texts[0] and "versions of Ensembl ids" in notes.texts[1]
    with pytest.raises(DataError, match="a gene occurs twice") as raised:
        rna(tmp_path, "gene,P01\nENSG00000000003.1,1\nENSG00000000003.2,1\n")
    assert "ENSG00000000003.1, ENSG00000000003.2" in raised.value.got and "counts" in raised.value.hint


def test_two_names_in_one(tmp_path):
    table, notes = rna(
        tmp_path, "gene,P01,P02\n?|100130426,1,2\nEGFR|1956,1,2\nALK|5,1,2\nX1|1,3,4\nX1|2,3,4\n"
    )
    assert list(table) == ["EGFR", "ALK", "X1|1", "X1|2"] and len(notes.texts) == 1
    assert list(rna(tmp_path, "id,TP53 (7157),EGFR (1956),ALK (238)\nP01,1,2,3\n")[0]) == [
        "TP53",
        "EGFR",
        "ALK",
    ]
    assert list(rna(tmp_path, 'gene,P01,P02\n"""TP53""",1,2\n\'EGFR\',3,4\n')[0]) == ["TP53", "EGFR"]


def test_symbols_shared_by_genes_are_named_by_their_id(tmp_path):
    head = "gene_id,gene_name,gene_type,P01,P02\n"
    rows = ["ENSG00000000003.1,Y_RNA", "ENSG00000000005.2,Y_RNA", "ENSG00000000006.1,TP53"]
    table, notes = rna(tmp_path, head + "".join(f"{row},x,1,2\n" for row in rows))
    assert list(table) == ["ENSG00000000003", "ENSG00000000005", "TP53"]
    assert "share a symbol" in notes.texts[0] and notes.unused == {
        "gene_type": "about the genes",
        "gene_id": "about the genes",
    }


def test_numbers_in_the_place_of_genes(tmp_path):
    table, notes = rna(tmp_path, "Entrez_Gene_Id,P01,P02\n1956.0,1,2\n7157,3,4\n")
    assert list(table) == ["1956", "7157"] and "Entrez" in notes.texts[0]
    with pytest.raises(DataError, match="a number in the place of a gene's name") as raised:
        rna(tmp_path, with_gene("0.53"))
    assert raised.value.column == "0.53"
    table, notes = rna(tmp_path, "Hugo_Symbol,Entrez_Gene_Id,P01,P02\n,5,1,2\nTP53,7157,1,2\nEGFR,1956,3,4\n")
    assert list(table) == ["TP53", "EGFR"] and notes.texts == ["genes without a name were not read: 1"]


def test_transcripts_are_refused(tmp_path):
    with pytest.raises(DataError, match="transcripts, not genes"):
        rna(tmp_path, "gene,P01\nENST00000000003.1,1\nENST00000000005.2,1\n")


def test_health_records_among_genes_are_left_out(tmp_path):
    table, notes = rna(tmp_path, "patient_id,Age,sex,site,TP53,EGFR,KRAS\nP01,61,1,2,2,3,4\n")
    assert list(table) == ["TP53", "EGFR", "KRAS"]
    assert notes.texts == ["columns that are no genes were not read: Age, sex, site"]


def test_cells_that_are_no_numbers(tmp_path):
    table, _ = rna(tmp_path, "patient_id,TP53,EGFR,KRAS\nP01,not reported,2,3\nP02,'--,#N/A,3\n")
    assert table.isna().to_numpy().tolist() == [[True, False, False], [True, True, False]]
    for cell in ("True", "high", "1e999"):
        with pytest.raises(DataError, match="not a number") as raised:
            rna(tmp_path, f"patient_id,TP53,EGFR,KRAS\nP01,{cell},2,3\n")
        assert (raised.value.patient, raised.value.column) == ("P01", "TP53")


def test_names_that_are_missing(tmp_path):
    table, notes = rna(tmp_path, with_gene("", "NA"))
    assert list(table) == list(GENES) and notes.texts == ["genes without a name were not read: 2"]
    with pytest.raises(DataError, match="a patient has no id"):
        rna(tmp_path, "patient_id,TP53,EGFR,KRAS\nP1,1,2,3\n,4,5,6\n")


HEAD = "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded"
STAR = f"""{HEAD}\tfpkm_unstranded
N_unmapped\t\t\t9\t9\t9\t\t
ENSG00000000003.1\tTP53\tprotein_coding\t10\t4\t6\t1.5\t0.5
ENSG00000000005.2\tEGFR\tprotein_coding\t20\t9\t11\t2.5\t1.0
"""


@pytest.mark.parametrize(
    ("unit", "values"), [("counts", [10, 20]), ("tpm", [1.5, 2.5]), ("fpkm", [0.5, 1.0])]
)
def test_the_unit_chooses_the_column_of_a_sample_file(tmp_path, unit, values):
    table, notes = rna(tmp_path, "# gene-model: GENCODE v36\n" + STAR, patient="p1", unit=unit)
    assert table.loc["p1"].to_dict() == dict(zip(["TP53", "EGFR"], values))
    assert any("several columns of values" in text for text in notes.texts)
    assert notes.unused["stranded_first"] == f"no values in {unit}"


def test_a_sample_file_without_a_fitting_unit(tmp_path):
    for unit in (None, "log"):
        with pytest.raises(DataError, match="several columns of values") as raised:
            rna(tmp_path, STAR, patient="p1", unit=unit)
        assert "counts, tpm, fpkm" in raised.value.expected
        assert raised.value.column == "unstranded, tpm_unstranded, fpkm_unstranded"
    with pytest.raises(DataError, match="the header names another unit"):
        rna(tmp_path, "gene,FPKM\nTP53,1\nEGFR,2\n", patient="p1", unit="tpm")


COUNTS = "ENSG00000000003.1\t{}\nENSG00000000005.2\t{}\n"


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (COUNTS.format(10, 20) + "__no_feature\t9\n__ambiguous\t9\n__alignment_not_unique\t9\n", "counts"),
        ("N_unmapped\t9\t9\t9\nN_noFeature\t9\t9\t9\n" + COUNTS.format("10\t4\t6", "20\t8\t12"), "counts"),
        (
            "# Program:featureCounts\n"
            "Geneid\tChr\tStart\tEnd\tStrand\tLength\tout/p1Aligned.sortedByCoord.out.bam\n"
            + COUNTS.format("X\t1\t2\t-\t1\t10", "X\t1\t2\t-\t1\t20"),
            "counts",
        ),
        (
            "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
            + COUNTS.format("T1,T2\t9\t9\t7\t10\t5", "T3\t9\t9\t7\t20\t5"),
            "tpm",
        ),
        (
            "Name\tLength\tEffectiveLength\tTPM\tNumReads\n" + COUNTS.format("9\t9\t1\t10", "9\t9\t1\t20"),
            "counts",
        ),
        (COUNTS.format(10.0, 20.0), "fpkm"),
    ],
    ids=["htseq", "star", "featurecounts", "rsem", "salmon", "gdc fpkm"],
)
def test_files_of_programs_that_count(tmp_path, text, unit):
    table, _ = rna(tmp_path, text, patient="p1", unit=unit)
    assert table.loc["p1"].to_dict() == {"ENSG00000000003": 10.0, "ENSG00000000005": 20.0}


@pytest.mark.parametrize(
    ("unit", "values", "remark"),
    [
        ("counts", [1.5, 2], "are they logarithms"),
        ("counts", [1.5, 200], "are they counts"),
        ("counts", [1, 200], ""),
        ("tpm", [2e6, 1], "do not add up to a million"),
        ("tpm", [200, 1], ""),
        ("fpkm", [1e8, 1], "beyond ±1e+06"),
        ("log", [15.2, -3], ""),
        ("log", [1500, 1], "beyond ±25: 1500 for TP53 of p1"),
        ("zscore", [11574, 1], "beyond ±50: 11574 for TP53 of p1"),
        ("zscore", [3, -2], ""),
        (None, [1e9, -2], ""),
    ],
)
def test_values_that_do_not_suit_their_unit(tmp_path, unit, values, remark):
    table, notes = rna(tmp_path, "patient_id,TP53,EGFR\np1,{},{}\n".format(*values), genes=GENES, unit=unit)
    assert [remark in text for text in notes.texts] == ([True] if remark else [])
    assert np.isfinite(table.to_numpy()).all()


def test_positive_z_scores_of_many_genes():
    frame = np.random.default_rng(0).gamma(2, 1, (12, 12))
    assert remarks(pd.DataFrame(frame), "zscore") == ["no z-score is negative; is the unit right?"]


@pytest.mark.parametrize(
    ("names", "descriptions", "genes"),
    [
        (["EGFR", "KRAS", "TP53"], ["receptor", "GTPase", "na"], ["EGFR", "KRAS", "TP53"]),
        (["ENSG00000146648.18", "ENSG00000133703.13", "ENSG00000141510.16"], ["EGFR", "KRAS", "TP53"],
         ["EGFR", "KRAS", "TP53"]),
    ],
)  # fmt: skip
def test_gct_matrices(tmp_path, names, descriptions, genes):
    rows = "".join(f"{n}\t{d}\t{k}\t{k + 1}\n" for k, (n, d) in enumerate(zip(names, descriptions)))
    table, _ = rna(tmp_path, f"#1.2\n3\t2\nName\tDescription\tP1\tP2\n{rows}", unit="tpm")
    assert (
        list(table) == genes and table.to_dict("list")["TP53"] == [2, 3] and list(table.index) == ["P1", "P2"]
    )


def test_names_of_bam_files_end_without_a_point(tmp_path):
    text = "Geneid\t/data/P1.Aligned.sortedByCoord.out.bam\tP2.bam\nEGFR\t1\t2\nKRAS\t3\t4\n"
    table, _ = rna(tmp_path, text, unit="counts")
    assert list(table.index) == ["P1", "P2"]
