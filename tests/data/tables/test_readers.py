import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest

from mmfusion.data.tables.files import read_table
from mmfusion.data.tables.readers import read_ehr, read_features, read_rna
from mmfusion.errors import DataError, TableWarning


def write(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


WIDE = "patient_id,TP53,EGFR,KRAS\np1,1,2.5,3\np2,4,5,\n"
LONG = "gene,p1,p2\nTP53,1,4\nEGFR,2.5,5\nKRAS,3,\n"
EXPECTED = pd.DataFrame(
    [[1.0, 2.5, 3], [4.0, 5, np.nan]],
    index=pd.Index(["p1", "p2"], name="patient_id"),
    columns=["TP53", "EGFR", "KRAS"],
)


@pytest.mark.parametrize(
    "text", [WIDE, LONG, LONG.replace(",", "\t"), LONG.replace(",", ";"), LONG.replace("\n", "\r\n")]
)
def test_rna_with_genes_in_rows_or_columns(tmp_path, text):
    pd.testing.assert_frame_equal(read_rna(write(tmp_path, text)), EXPECTED)


def test_rna_as_r_writes_it(tmp_path):
    path = write(tmp_path, "p1\tp2\nTP53\t1\t4\nEGFR\t2.5\t5\nKRAS\t3\tNA\n", "t.tsv")
    pd.testing.assert_frame_equal(read_rna(path), EXPECTED)


def test_zip_and_gzip(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("inner.csv", WIDE)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + LONG.encode()))
    for name in ("t.csv.zip", "t.csv.gz"):
        pd.testing.assert_frame_equal(read_rna(tmp_path / name), EXPECTED)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", WIDE)
        archive.writestr("b.csv", WIDE)
    with pytest.raises(DataError, match="holds one file"):
        read_table(tmp_path / "two.zip")


def test_known_names_decide_the_orientation(tmp_path):
    path = write(tmp_path, "x,a,b\nc,1,2\nd,3,4\n")
    assert list(read_rna(path, patients=["a"]).index) == ["a", "b"]
    assert list(read_rna(path, patients=["d"]).index) == ["c", "d"]
    assert list(read_rna(path, genes=["c"]).index) == ["a", "b"]
    assert list(read_rna(path, "c").index) == ["c"]
    for known in ({}, {"patients": ["a", "c"]}):
        with pytest.raises(DataError, match="cannot tell genes from patients") as raised:
            read_rna(path, **known)
        assert "patient_id" in raised.value.hint


@pytest.mark.parametrize(
    "text", ["gene,value\nTP53,1\nEGFR,2.5\n", "TP53,1\nEGFR,2.5\n", "gene,p7\nTP53,1\nEGFR,2.5\n"]
)
def test_two_columns_are_one_patient(tmp_path, text):
    table = read_rna(write(tmp_path, text), "p7")
    assert list(table.index) == ["p7"]
    assert table.loc["p7"].to_dict() == {"TP53": 1.0, "EGFR": 2.5}
    assert list(read_rna(write(tmp_path, text)).index) == (["p7"] if "p7" in text else ["patient"])


def test_one_row_of_genes_is_one_patient(tmp_path):
    path = write(tmp_path, "TP53,EGFR,KRAS\n1,2,3\n")
    assert read_rna(path, "p1").loc["p1"].tolist() == [1, 2, 3]
    assert list(read_rna(path).index) == ["patient"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (WIDE.replace("2.5", "high"), {"patient": "p1", "column": "EGFR", "got": "'high'"}),
        (LONG.replace("2.5", "high"), {"patient": "p1", "column": "EGFR", "got": "'high'"}),
        (WIDE.replace("2.5", "inf"), {"patient": "p1", "column": "EGFR"}),
        (WIDE.replace("2.5", "-2.5"), {"patient": "p1", "column": "EGFR"}),
        (WIDE.replace("KRAS", "EGFR"), {"column": "EGFR"}),
        (LONG.replace("KRAS", "EGFR"), {"column": "EGFR"}),
        (WIDE.replace("p2", "p1"), {"patient": "p1"}),
        (LONG.replace("p2", "p1"), {"column": "p1"}),
    ],
)
def test_errors_name_the_cell_of_bad_rna(tmp_path, text, where):
    path = write(tmp_path, text)
    with pytest.raises(DataError) as raised:
        read_rna(path, unit="tpm")
    assert raised.value.file == path
    assert {k: getattr(raised.value, k) for k in where} == where


def test_negative_values_are_fine_in_logs(tmp_path):
    assert read_rna(write(tmp_path, WIDE.replace("2.5", "-2.5")), unit="log").loc["p1", "EGFR"] == -2.5


def test_outcomes_among_the_genes_are_left_out(tmp_path):
    path = write(tmp_path, "PID,Recurrence,TP53,EGFR,T\np1,1,2,3,4\n")
    with pytest.warns(TableWarning, match="no genes were not read: Recurrence"):
        assert list(read_rna(path)) == ["TP53", "EGFR", "T"]


def test_patient_not_there(tmp_path):
    for read, text in ((read_rna, WIDE), (read_ehr, "patient_id,age,sex\np1,60,male\n")):
        with pytest.raises(DataError, match="not in the table") as raised:
            read(write(tmp_path, text), "p9")
        assert raised.value.patient == "p9"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"PK\x03\x04\0\0", "not a text table"),
        (b"a,b,c\n1,\xff\xfe,3\n", "not a text table"),
        (b"a,b,c\n1,2\n1,2,3,4,5\n", "not a table"),
        (b"a,b\n1,2,3,4,5\n", "more cells than the header"),
    ],
)
def test_files_that_are_not_tables_are_errors(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.csv")


def test_absent_table(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_rna(tmp_path / "t.csv")


@pytest.mark.parametrize("first", ["", "Unnamed: 0"])
def test_ids_beside_a_row_number(tmp_path, first):
    """A table that pandas saved with its index: the id 007 stays text, and the row number is not a gene."""
    path = write(tmp_path, f"{first},patient_id,EGFR,TP53,KRAS\n0,007,1,2,3\n1,012,4,5,6\n")
    table = read_rna(path)
    assert table.index.tolist() == ["007", "012"]
    assert table.columns.tolist() == ["EGFR", "TP53", "KRAS"]
    assert read_ehr(write(tmp_path, f"{first},Case-ID,age\n0,007,61\n")).loc["007"].to_dict() == {"age": 61}


def test_an_unnamed_column_of_values_stays(tmp_path):
    assert read_table(write(tmp_path, ",patient_id\n5,a\n5,b\n")).columns.tolist() == ["", "patient_id"]


def test_decimal_commas(tmp_path):
    """Decimal commas are read if semicolons separate the cells; otherwise they are an error."""
    text = "patient_id;age;crp\n007;61,5;2,60\n008;70;Unknown\n009;;-1,5\n"
    table = read_ehr(write(tmp_path, text))
    assert table["crp"].dropna().to_dict() == {"007": 2.6, "009": -1.5}
    assert table.loc["007", "age"] == 61.5
    for column, got in (("crp", "'2,60'"), ("age", "'61,5'")):
        lines = [line.split(";") for line in text.splitlines()]
        own = lines[0].index(column)
        path = write(tmp_path, "\n".join(f"{line[0]}\t{line[own]}" for line in lines))
        with pytest.raises(DataError, match=r"not a number .*write points") as raised:
            read_ehr(path)
        assert (raised.value.patient, raised.value.column, raised.value.got) == ("007", column, got)
    kept = read_ehr(write(tmp_path, "patient_id;code\na;x 1,2\nb;y\nc;1,2\n"))
    assert kept["code"].tolist() == ["x 1,2", "y", "1,2"]


def test_decimal_commas_of_expression(tmp_path):
    text = "gene;p1;p2\nTP53;1,0;4\nEGFR;2,5;5\nKRAS;3;\n"
    pd.testing.assert_frame_equal(read_rna(write(tmp_path, text)), EXPECTED)
    with pytest.raises(DataError, match="not a number") as raised:
        read_rna(write(tmp_path, text.replace("KRAS;3", "KRAS;high")))
    assert (raised.value.patient, raised.value.column) == ("p1", "KRAS")


@pytest.mark.parametrize(
    "head", ["gene_id,gene_name", "id,gene_name", ",gene_id,symbol,strand", "symbol,biotype"]
)
def test_the_symbol_among_columns_about_genes(tmp_path, head):
    about = {"gene_id": "ENSG0000000000{}", "id": "{}", "": "{}", "strand": "+", "biotype": "rna"}
    genes = zip(("TP53", "EGFR", "KRAS"), LONG.splitlines()[1:])
    rows = [
        ",".join([*(about.get(name, gene).format(k) for name in head.split(",")), line.split(",", 1)[1]])
        for k, (gene, line) in enumerate(genes)
    ]
    path = write(tmp_path, "\n".join([f"{head},p1,p2", *rows]))
    pd.testing.assert_frame_equal(read_rna(path), EXPECTED)


def test_frames_are_left_as_they_are():
    frame = EXPECTED.T.copy()
    before = frame.copy()
    pd.testing.assert_frame_equal(read_rna(frame), EXPECTED, check_names=False)
    pd.testing.assert_frame_equal(frame, before)


def test_numbers_survive_to_the_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 500)) * 10.0 ** np.random.default_rng(1).integers(
        -9, 9, (3, 500)
    )
    frame = pd.DataFrame(values, index=["p1", "p2", "p3"], columns=[f"G{i}" for i in range(500)]).rename_axis(
        "patient_id"
    )
    frame.to_csv(tmp_path / "t.csv")
    np.testing.assert_array_equal(read_rna(tmp_path / "t.csv").to_numpy(), values)
    np.testing.assert_array_equal(read_features(tmp_path / "t.csv").to_numpy(), values)


@pytest.mark.parametrize(
    "text", ["age,sex\n61,F\n", "field,value\nage,61\nsex,F\n", "patient_id,age,sex\np7,61,F\np8,,\n"]
)
def test_ehr_of_one_patient(tmp_path, text):
    assert read_ehr(write(tmp_path, text), "p7").loc["p7"].to_dict() == {"age": 61.0, "sex": "female"}


def test_ehr_without_ids(tmp_path):
    with pytest.raises(DataError, match="no column of patient ids"):
        read_ehr(write(tmp_path, "age,sex,weight\n61,F,70\n62,M,71\n"))
    with pytest.raises(DataError, match="line 3 has no patient id"):
        read_ehr(write(tmp_path, "patient_id,age\np1,61\n,62\n"))
    with pytest.raises(DataError, match="duplicate patient") as raised:
        read_ehr(write(tmp_path, "patient_id,age\np1,61\np1,62\n"))
    assert raised.value.patient == "p1"


def test_features_keep_numbers_and_categories(tmp_path):
    table = read_features(write(tmp_path, "PatientID,shape,volume\np1,round,3.5\np2,,\n"))
    assert table.loc["p1"].to_dict() == {"shape": "round", "volume": 3.5}
    assert table.loc["p2"].isna().all()


def test_beside_deep_features_nothing_else_is_read(tmp_path):
    """Features published by fmcib stand beside paths, seeds, stage and survival."""
    head = ",PatientID,Overall.Stage,Survival.time,coordX,image_path,pred_0,pred_1\n"
    text = head + "0,p1,IIIb,9,1.5,/x,0.1,-2e-3\n"
    table = read_features(write(tmp_path, text + "1,p2,I,8,2.5,/y,3,\n"))
    assert list(table.columns) == ["pred_0", "pred_1"]
    assert table.index.tolist() == ["p1", "p2"]
    np.testing.assert_array_equal(table.to_numpy(), [[0.1, -0.002], [3, np.nan]])
    with pytest.raises(DataError, match="pred_1: not a number") as raised:
        read_features(write(tmp_path, text + "1,p2,I,8,2.5,/y,3,x\n"))
    assert raised.value.patient == "p2"
