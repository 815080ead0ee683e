"""The lesion phantom by its name."""

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
