import pytest

from mmfusion.data.discovery.matching import find_patient_in, loose

IDS = ["R01-001", "R01-010", "R01-100", "AMC-001"]


@pytest.mark.parametrize(
    ("names", "patient", "exact"),
    [
        (["R01-001"], "R01-001", True),
        (["R01-010_ct"], "R01-010", True),
        (["anonymous", "R01-100"], "R01-100", True),
        (["r01_001"], "R01-001", False),
        (["R1-1"], "R01-001", False),
        (["scan r01-100 lung"], "R01-100", False),
        (["R01-0010"], "R01-010", False),
        (["R01-001-or-AMC-001"], None, False),
        (["R02-001"], None, False),
        (["001"], None, False),
        ([], None, False),
    ],
)
def test_patient_of_a_file(names, patient, exact):
    match = find_patient_in(names, IDS)
    assert (match.patient, match.exact) == (patient, exact)
    assert match.why


@pytest.mark.parametrize(
    ("name", "patients", "patient"),
    [
        ("TCGA-05-4000", ["TCGA-05-4000-01A-11R-1107-07", "TCGA-05-4001-01A-11R-1107-07"], 0),
        ("sub-101", ["101", "102"], 0),
        ("101", ["X101", "X102"], 0),
        ("TCGA-05-4000", ["TCGA-05-4000-01A", "TCGA-05-4000-11A"], None),
    ],
)
def test_a_name_in_another_spelling(name, patients, patient):
    assert find_patient_in([name], patients).patient == (None if patient is None else patients[patient])


def test_two_that_fit_are_none():
    match = find_patient_in(["p7"], ["P7", "P07"])
    assert match.patient is None
    assert "P7" in match.why
    assert "P07" in match.why


def test_the_longer_id_wins():
    assert find_patient_in(["R01-001-B_ct"], ["R01-001", "R01-001-B"]).patient == "R01-001-B"


def test_loose():
    assert loose("R01_007") == loose("r1-7") == "r-1-7"
    assert loose("000") == "0"
