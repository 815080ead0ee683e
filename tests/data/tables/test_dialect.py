"""Layout of delimited texts: separator, header, rows that do not fit."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmfusion.data.tables.dialect import layout_of
from mmfusion.data.tables.files import read_table
from mmfusion.data.tables.notes import TableNotes
from mmfusion.errors import DataError, TableWarning

TWO = {"patient_id": ["A", "B"], "age": ["70", "60"], "sex": ["M", "F"]}


def read(tmp_path, text, **options):
    """Return the table as a dict of lists, and the account."""
    path, notes = tmp_path / "t.csv", TableNotes()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, notes=notes, **options).to_dict("list"), notes


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("patient_id,age,sex\nA,70,M\nB,60,F\n", ""),
        ("sep=;\npatient_id;age;sex\nA;70;M\nB;60;F\n", ""),
        ('"sep=;"\npatient_id;age;sex\nA;70;M\nB;60;F\n', ""),
        ("sep=,\npatient_id,age,sex\nA,70,M\nB,60,F\n", ""),
        ("patient_id|age|sex\nA|70|M\nB|60|F\n", ""),
        ("patient_id age sex\nA 70 M\nB 60 F\n", ""),
        ("patient_id,age,sex,\nA,70,M,\nB,60,F,\n", ""),
        ("patient_id,age,sex\nA,70,M,\nB,60,F,\n", ""),
        ("patient_id,age,sex,,,,\nA,70,M,,,,\nB,60,F,,,,\n", ""),
        ("patient_id,age,sex,\nA,70,M\nB,60,F\n", ""),
        ("patient_id,age,sex\n\n,,\nA,70,M\n  \nB,60,F\n,,\n\n", ""),
        ("patient_id,age,sex\rA,70,M\rB,60,F\r", ""),
        ("patient_id,age,sex\r\nA,70,M\r\nB,60,F\r\n\x1a", ""),
        ("Study X,,\nexported 2024,,\npatient_id,age,sex\nA,70,M\nB,60,F\n", "above the header"),
        ("Study X\nexported 2024\n\npatient_id,age,sex\nA,70,M\nB,60,F\n", "above the header"),
        ("Study X; exported\n\npatient_id;age;sex\nA;70;M\nB;60;F\n", "above the header"),
        (
            "#Id\tYears\tSex\n#STRING\tNUMBER\tSTRING\npatient_id\tage\tsex\nA\t70\tM\nB\t60\tF\n",
            "begin with #",
        ),
        ("patient_id,age,sex\nA,70,M\n# second hospital\nB,60,F\n", "line 3 begins with #"),
        ("patient_id,age,sex,\nA,70,M,late\nB,60,F,\n", "column 4 has no header"),
    ],
)
def test_the_same_table_in_many_forms(tmp_path, text, noted):
    table, notes = read(tmp_path, text)
    assert table == TWO
    assert [noted in text for text in notes.texts] == ([True] if noted else [])


def test_without_an_account_a_loss_is_a_warning(tmp_path):
    (tmp_path / "t.csv").write_text("Study X,,\npatient_id,age,sex\nA,70,M\n")
    with pytest.warns(TableWarning, match=r"t.csv: rows above the header were not read \(1\): 'Study X'"):
        read_table(tmp_path / "t.csv")


def test_a_header_that_begins_with_a_hash(tmp_path):
    table, notes = read(tmp_path, "#gene\tp1\tp2\nTP53\t1\t2\n")
    assert table == {"gene": ["TP53"], "p1": ["1"], "p2": ["2"]} and not notes.texts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient_id,age,sex\nA,70,M\nB,60\nC,50,F\n", "line 3 has 2 cells"),
        ("patient_id,age,sex\nA,70,M\nB,60,F,x\nC,50,F\n", "line 3 has 4 cells"),
        ("gene,p1,p2\nTP53,1,2\nEGFR,3", "line 3 has 2 cells"),
        ('patient_id,remark,sex\nA,"x\ny",M\nB,60\n', "line 4 has 2 cells"),
        ('patient_id,age,sex\nA,70,M\nB,"60,F\nC,50,F\n', "begins in line 3 cannot be split"),
        ('patient_id,age,sex\nA,"70"x,M\nB,60,F\n', "begins in line 2 cannot be split"),
        ("a,b\n1,2,3\n4,5,6\n7,8,9\n8,8,\n1,1,1,1\n", "more cells than the header"),
        ("patient_id,age,age\nA,1,2\n", "duplicate column"),
        ("patient_id,age,sex\nA,70,M,x\nB,60,F,y\n", "more cells than the header"),
        ("a" * 200_000 + "\n", "cannot be split|too"),
        ("x," * 200_001 + "x\n" + "1," * 200_001 + "1\n", "too many columns"),
        ("#\n# only comments\n", "empty"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as raised:
        read(tmp_path, text)
    assert raised.value.file == tmp_path / "t.csv"


def test_commas_in_a_semicolon_table_decide_nothing(tmp_path):
    text = 'patient_id;"weight (kg, measured)";"smoker (never, ex, active)"\np1;60,5;never\np2;61,5;ex\n'
    assert read(tmp_path, text)[0] == {
        "patient_id": ["p1", "p2"],
        "weight (kg, measured)": ["60.5", "61.5"],
        "smoker (never, ex, active)": ["never", "ex"],
    }
    assert read(tmp_path, "patient_id;weight\np1;60,5\np2;61,5\n")[0]["weight"] == ["60.5", "61.5"]
    quoted = '"patient_id"\t"a;b;c"\n"p1"\t"x;y;z"\n'
    assert read(tmp_path, quoted)[0] == {"patient_id": ["p1"], "a;b;c": ["x;y;z"]}


def test_line_breaks_in_quotes_belong_to_the_cell(tmp_path):
    text = 'patient_id,"CRP\r\n(mg/L)",remark\r\np1,0.5,"one\r\ntwo"\r\n'
    assert read(tmp_path, text)[0] == {"patient_id": ["p1"], "CRP (mg/L)": ["0.5"], "remark": ["one\ntwo"]}


CELL = st.text(st.sampled_from('ab1 ,;|\t"\n.#'), max_size=6).map(str.strip).filter(lambda s: "\t" not in s)


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=2, max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_csv_module_writes_is_read(rows, separator, end):
    """Any cells, with separators, quotes and line breaks in them, come back."""
    rows = [[f"p{k}", *row, str(k)] for k, row in enumerate(rows)]
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator=end).writerows([["id", "x", "y", "z", "n"], *rows])
    layout = layout_of(out.getvalue(), separator=separator, notes=TableNotes())
    assert layout.header == ("id", "x", "y", "z", "n") and layout.n_records == len(rows)
    assert list(csv.reader(io.StringIO("\n".join(layout.lines)), delimiter=separator))[: len(rows)] == rows
