"""A small cohort and a model that is fitted to it, for all tests of a module."""

import pytest

import mmfusion as mf
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort()


@pytest.fixture(scope="module")
def fitted(cohort):
    return mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y)
