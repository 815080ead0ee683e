import numpy as np
import pytest

from mmfusion.staging.background import QUANTILES, class_quantiles
from mmfusion.streams import StreamInputs


def inputs_of(n, n_with, rng):
    has = np.arange(n) < n_with
    array = np.where(has[:, None], rng.normal(size=(n, 4)), 0).astype(np.float32)
    return StreamInputs({"rna": array}, has[:, None], [f"p{i}" for i in range(n)])


@pytest.mark.parametrize("n_with", [0, 1, 9])
def test_a_stream_of_few_patients_is_neutral(n_with):
    background = class_quantiles(inputs_of(30, n_with, np.random.default_rng(0)), np.arange(30) % 3)
    assert background.arrays["rna"].shape == (3 * len(QUANTILES), 4) and background.present.all()
    assert background.arrays["rna"].dtype == np.float32 and not background.arrays["rna"].any()


def test_a_class_of_few_patients_has_the_quantiles_of_all():
    inputs = inputs_of(30, 30, np.random.default_rng(0))
    rows = class_quantiles(inputs, np.r_[np.zeros(21, int), np.ones(9, int)]).arrays["rna"]
    everybody = class_quantiles(inputs, np.zeros(30, int)).arrays["rna"]
    np.testing.assert_array_equal(rows[len(QUANTILES) :], everybody)
    assert (np.diff(rows[: len(QUANTILES)], axis=0) > 0).all() and (rows[: len(QUANTILES)] != everybody).all()
    assert not (inputs.arrays["rna"][:, None] == rows).any()  # not one value is a patient's
