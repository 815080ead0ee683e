"""Spearman's correlation of columns equals that of scipy."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from mmfusion.metrics.ranks import rank_correlation


@pytest.mark.parametrize("columns", [5, 1])
def test_each_column_equals_scipy_also_with_ties(columns):
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 6, (30, 5)).astype(float), rng.normal(size=(30, columns))
    expected = [spearmanr(one[:, j], other[:, j % columns]).statistic for j in range(5)]
    np.testing.assert_allclose(rank_correlation(one, other), expected, rtol=1e-12)


def test_a_constant_column_has_no_correlation():
    values = np.arange(6.0)[:, None]
    assert np.isnan(rank_correlation(np.ones((6, 1)), values)).all()
    assert np.isnan(rank_correlation(values, np.ones((6, 1)))).all()
