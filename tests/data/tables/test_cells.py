"""Cells: words for unknown values, numbers that mean something else."""

import pandas as pd
import pytest

from mmfusion.data.tables.cells import clean_cells, guess_column
from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.tables.readers import read_ehr_table
from mmfusion.errors import DataError

UNKNOWN = """
'-- | -- | - | – | . | ? | NA | N/A | n.a. | n/k | NaN | NULL | unknown | Unknown | not reported
Not Reported | not_reported | [Not Available] | [Not Evaluated] | [Discrepancy] | (unknown) | <NA>
#N/A | #NA | #N/A! | #VALUE! | #REF! | #DIV/0! | Err:502 | missing | Not Applicable
not allowed to collect | No data | keine Angabe | data not available
"""
KNOWN = """
none | no | never | 0 | -1 | (-) | (+) | not detected | nd | other | neg | 1.5 | a-b | NAT2 | unknown primary
not smoking
"""


def words(text):
    return [word.strip() for line in text.strip().splitlines() for word in line.split(" | ")]


@pytest.mark.parametrize("word", [*words(UNKNOWN), ""])
def test_words_for_unknown(word):
    assert clean_cells(pd.Series([f" {word} "])).isna().all()


@pytest.mark.parametrize("word", words(KNOWN))
def test_words_that_mean_something(word):
    assert clean_cells(pd.Series([word])).tolist() == [word]


def records(tmp_path, text):
    notes = TableNotes()
    (tmp_path / "ehr.csv").write_text(text)
    return read_ehr_table(tmp_path / "ehr.csv", notes=notes).features, notes


def test_a_column_of_numbers_that_is_mostly_unknown_stays_numbers(tmp_path):
    rows = "".join(
        f"p{k},{v}\n" for k, v in enumerate(["'--", "11.9", "not reported", "'--", "59.6", "[Unknown]"])
    )
    table, notes = records(tmp_path, "patient_id,cigarettes_per_day\n" + rows)
    assert table["cigarettes_per_day"].dropna().to_dict() == {"p1": 11.9, "p4": 59.6}
    assert not notes.texts


def test_other_words_among_numbers_are_named(tmp_path):
    with pytest.raises(DataError, match="not a number") as raised:
        records(tmp_path, "patient_id,ldh\na,200\nb,ND\nc,250\nd,310\ne,haemolytic\n")
    assert raised.value.got == "'ND'" and "haemolytic" in raised.value.problem
    table, notes = records(tmp_path, "patient_id,marker\na,2\nb,low\nc,low\nd,high\n")
    assert table["marker"].tolist() == ["2", "low", "low", "high"]
    assert notes.texts == ["column marker: 1 of 4 cells are numbers, read as categories beside 'low', 'high'"]


@pytest.mark.parametrize(
    ("values", "remark"),
    [
        ([20, 35, 999], "999 (1 times)"),
        ([20, 35, -9, -9], "-9 (2 times)"),
        ([20, 35, 99], ""),
        ([950, 1010, 999], ""),
        ([-3, -9, 4], ""),
    ],
)
def test_numbers_that_often_mean_unknown(values, remark):
    notes = TableNotes()
    guess_column(pd.Series([str(v) for v in values]), "crp", notes=notes)
    assert [remark in text for text in notes.texts] == ([True] if remark else [])


@pytest.mark.parametrize(
    ("column", "values", "noted"),
    [
        ("tobacco_smoking_history", [1, 2, 3, 4, 5, 7], True),
        ("race_code", [1, 2, 3], True),
        ("HistologyType", [0, 1, 2], True),
        ("ecog", [0, 1, 2], False),
        ("cigarettes_per_day", [0, 10, 20], False),
        ("smoking_years", [10, 20, 30], False),
        ("smoker", [0, 1, 1], False),
        ("race_score", [0.5, 1.5, 2], False),
        ("histology_code", [8140, 8070], True),  # ICD-O-3
        ("hospital_volume_group", [812, 907], False),
    ],
)
def test_codes_of_categories_are_not_read_as_quantities_without_a_word(column, values, noted):
    notes = TableNotes()
    guess_column(pd.Series([str(v) for v in values]), column, notes=notes)
    assert bool(notes.texts) is noted


def test_seed_points_are_no_health_records(tmp_path):
    columns = ["seed_x", "Seed Y", "seedZ (mm)", "pet_seed_x", "coordY", "seed_pet_z"]
    table, notes = records(tmp_path, "patient_id,age," + ",".join(columns) + "\np1,61,1,2,3,4,5,6\n")
    assert list(table) == ["age"] and notes.unused == dict.fromkeys(columns, "a seed point")


def test_ages_in_days_get_a_hint(tmp_path):
    with pytest.raises(DataError, match=r"out of the plausible range .*Age \(days\)"):
        records(tmp_path, "patient_id,age_at_diagnosis\np1,23456\n")


def test_rows_that_summarise_are_no_patients(tmp_path):
    table, notes = records(tmp_path, "patient_id,age\nA,70\nB,60\nMean,65\nTotal,130\n")
    assert table.index.tolist() == ["A", "B"]
    assert notes.texts == ["rows that are no patients were not read: Mean, Total"]


@pytest.mark.parametrize(
    ("cells", "noted"),
    [
        (["1.5 cm", "22 cm", "3 cm"], True),
        (["60%", "71.5%", None], True),
        (["12 mg/L", "1,200 mg/L", "7 mg/L"], True),
        (["T1a", "T2", "T3"], False),
        (["2019-01-11", "2019-02-11", "2020-01-01"], False),
        (["3rd", "2nd", "1st"], False),
        (["adeno", "squamous 5 cm", "adeno"], False),
    ],
)
def test_numbers_with_units_are_not_read_as_categories_without_a_word(cells, noted):
    notes = TableNotes()
    assert guess_column(pd.Series(cells), "size", notes=notes).tolist()[0] == cells[0]
    assert ["unit in the header" in text for text in notes.texts] == [True] * noted
