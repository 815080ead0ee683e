"""The lesion phantom by its name."""

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.errors import DataError


def test_the_phantom_is_loaded_by_its_name(tmp_path):
    cohort = mf.load_cohort("lesion_phantom", root=tmp_path / "scans", n=2, seed=3, size=16)
    again = mf.lesion_phantom(2, 3, size=16, root=tmp_path / "scans")
    assert cohort.table.equals(again.table) and cohort.target == "lesion"
    assert mf.load_cohort("lesion_phantom", tmp_path / "scans", "egfr", n=2, seed=3, size=16).y.name == "egfr"


def test_what_it_does_not_take_is_named(tmp_path):
    with pytest.raises(DataError, match=r"does not take this.*colour"):
        mf.load_cohort("lesion_phantom", root=tmp_path, colour="blue")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"diameters": 10}, "parameter diameters: not a list"),
        ({"thickness": None}, "parameter thickness: not a list"),
        ({"lesions": 3}, "parameter lesions: not a list"),
        ({"types": 5}, "parameter types: not a list"),
        ({"types": [["solid"]]}, "parameter types: unknown names"),
        ({"genes": None}, "parameter genes: not a list"),
    ],
)
def test_arguments_that_are_no_list(options, match):
    with pytest.raises(DataError, match=match):
        mf.lesion_phantom(1, size=16, **options)


def test_numbers_of_numpy(tmp_path):
    arguments = {"size": 16, "spacing": 3.0, "diameters": (10, 20), "lesions": (1, 2)}
    plain = mf.lesion_phantom(1, 2, **arguments, root=tmp_path / "scans")
    arguments = {name: np.array(value)[()] for name, value in arguments.items()}
    again = mf.lesion_phantom(np.int64(1), np.int64(2), **arguments, root=tmp_path / "scans")
    assert again.table.equals(plain.table)


def test_a_file_instead_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="a file has this name"):
        mf.lesion_phantom(1, size=16, root=tmp_path / "file")
