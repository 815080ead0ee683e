"""The intraclass correlation and its interval against published numbers, simulation and limits."""

from __future__ import annotations

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.metrics import intraclass_correlation

# six targets rated by four judges: Shrout and Fleiss 1979, table 2
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])


def test_shrout_and_fleiss():
    """ICC(1,1) is .17 in their table 4; the interval is that of R's psych::ICC on these data."""
    assert [round(one, 2) for one in intraclass_correlation(JUDGES)] == [0.17, -0.13, 0.72]


def test_the_interval_covers_the_truth():
    """Of 400 samples with a true correlation of 0.8, 95 % of the intervals hold it (SE 1.1 %)."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(400):
        values = 2 * rng.normal(size=(12, 1)) + rng.normal(size=(12, 5))
        _, low, high = intraclass_correlation(values)
        inside += low <= 0.8 <= high
    assert 0.915 <= inside / 400 <= 0.985


def test_limits():
    patients = np.arange(4.0)[:, None] * np.ones(3)
    assert intraclass_correlation(patients) == (1.0, 1.0, 1.0)
    assert np.isnan(intraclass_correlation(np.full((4, 3), 7.1))).all()
    icc, low, _ = intraclass_correlation(
        np.ones((4, 1)) * np.arange(3.0)
    )  # all the variance is in the repetitions
    assert icc == pytest.approx(-0.5) and low == pytest.approx(-0.5)


def test_the_unit_does_not_matter():
    found = intraclass_correlation(JUDGES)
    np.testing.assert_allclose(intraclass_correlation(JUDGES * 1e-9 + 3e-9), found, rtol=1e-6)


def test_bad_input():
    with pytest.raises(DataError, match="too few measurements"):
        intraclass_correlation(JUDGES[:1])
    with pytest.raises(DataError, match="too few measurements"):
        intraclass_correlation(JUDGES[:, :1])
    with pytest.raises(DataError, match="not numbers"):
        intraclass_correlation(np.where(JUDGES == 1, np.nan, JUDGES))
