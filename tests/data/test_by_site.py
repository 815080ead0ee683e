"""A cohort divided by site."""

from dataclasses import replace

import numpy as np
import pytest

from mmfusion.data.by_site import sites_of, split_by_site
from mmfusion.errors import DataError, LeakageError
from tests.cohorts import tiny_cohort


def test_the_parts_are_the_site_and_all_others():
    cohort = tiny_cohort()
    others, there = split_by_site(cohort, "B")
    site = cohort.groups["site"]
    assert list(there.table.index) == list(site.index[site == "B"]) and there.name == "tiny B"
    assert list(others.table.index) == list(site.index[site == "A"]) and others.name == "tiny without B"
    assert sites_of(cohort).sum() == len(cohort)
    back = split_by_site(cohort, "A")
    assert list(back[0].X.index) == list(there.X.index)


def test_patients_without_a_site_are_counted():
    cohort = tiny_cohort()
    groups = cohort.groups.copy()
    groups.iloc[:4, groups.columns.get_loc("site")] = np.nan
    parts = split_by_site(replace(cohort, groups=groups), "A")
    assert sum(len(part.table) for part in parts) == len(cohort.table) - 4
    for part in parts:
        assert "patients without a known site, in neither part: 4" in part.notes


def test_unusable_sites():
    cohort = tiny_cohort()
    with pytest.raises(
        DataError, match=r"file tiny, column site: no such site \(expected . \(\d+ patients\)"
    ):
        split_by_site(cohort, "C")
    with pytest.raises(DataError, match=r"only one site .*got A"):
        split_by_site(replace(cohort, groups=cohort.groups.assign(site="A")), "A")
    for groups in (cohort.groups.assign(site=np.nan), cohort.groups[["patient"]]):
        with pytest.raises(DataError, match="the site of no patient is known"):
            split_by_site(replace(cohort, groups=groups), "A")


def test_a_person_at_two_sites_is_refused():
    cohort = tiny_cohort()
    with pytest.raises(LeakageError, match="person has rows of two sites"):
        split_by_site(replace(cohort, groups=cohort.groups.assign(patient="one")), "A")
