"""Changes of a CT have the strength that they state, keep padding, grid and input, and are reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.evaluation.perturbations import (
    add_noise,
    change_contrast,
    change_kernel,
    lower_dose,
    thicken_slices,
)
from mmfusion.evaluation.perturbations.scans import DOSE_SD_HU
from mmfusion.imaging import Volume

AFFINE = np.diag([0.8, 0.8, 1.25, 1.0])


def scan(value: float = 0.0, shape=(24, 40, 40)) -> Volume:
    array = np.full(shape, value, np.float32)
    array[:, :3] = -2000.0  # padding
    return Volume(array, AFFINE)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


EVERY = {
    "noise": lambda v: add_noise(v, 30.0, rng()),
    "contrast": lambda v: change_contrast(v, 1.2),
    "dose": lambda v: lower_dose(v, 0.1, rng()),
    "slices": lambda v: thicken_slices(v, 5.0),
    "soft": lambda v: change_kernel(v, 1.5),
    "sharp": lambda v: change_kernel(v, -1.5),
}


@pytest.mark.parametrize("name", EVERY)
def test_input_grid_and_padding_stay_and_the_result_repeats(name):
    original = add_noise(scan(40.0), 50.0, rng(9))
    before = original.array.copy()
    found = EVERY[name](original)
    assert np.array_equal(original.array, before)
    assert found.array.dtype == original.array.dtype and np.array_equal(found.affine, original.affine)
    assert (found.array[:, :3] == -2000.0).all()
    assert found.array[:, 3:].min() >= -1024 and found.array.max() <= 3071
    assert not np.array_equal(found.array[:, 3:], before[:, 3:])
    assert np.array_equal(found.array, EVERY[name](original).array)


def test_whole_numbers_are_rounded_and_not_cut_off():
    whole = Volume(np.zeros((30, 30, 30), np.int16), AFFINE)
    found = add_noise(whole, 10.0, rng())
    assert found.array.dtype == np.int16
    np.testing.assert_array_equal(found.array, np.rint(rng().normal(0, 10.0, whole.shape)))


def test_strengths_that_change_nothing():
    v = add_noise(scan(), 30.0, rng(1))
    for same in (add_noise(v, 0.0, rng()), change_contrast(v, 1.0), lower_dose(v, 1.0, rng()),
                 thicken_slices(v, 1.0), change_kernel(v, 0.0)):  # fmt: skip
        assert np.array_equal(same.array, v.array)


@pytest.mark.parametrize("sd", [10.0, 80.0])
def test_noise_has_its_standard_deviation(sd):
    assert add_noise(scan(), sd, rng()).array[:, 3:].std() == pytest.approx(sd, rel=0.03)


@pytest.mark.parametrize("dose", [0.5, 0.1])
def test_the_variance_grows_with_one_over_the_dose(dose):
    found = lower_dose(scan(), dose, rng()).array[:, 3:]
    # the noise of the scan itself and that which is added make that of the dose
    assert DOSE_SD_HU**2 + found.var() == pytest.approx(DOSE_SD_HU**2 / dose, rel=0.06)
    assert np.corrcoef(found[:, :, 1:].ravel(), found[:, :, :-1].ravel())[0, 1] > 0.4  # it has a grain


def test_thick_slices_average_over_mm_and_keep_the_mean():
    array = np.zeros((40, 8, 8), np.float32)
    array[20] = 100.0
    found = thicken_slices(Volume(array, AFFINE), 5.0).array[:, 5, 5]  # a slice of 5 mm has four of 1.25 mm
    # the slice with the plane has 25 HU at its centre, between two old slices, and 0 at the next centres
    assert found.max() == pytest.approx(25 * (1 - 0.5 / 4)) and found.sum() == pytest.approx(100.0)
    assert (found > 0).sum() == 8
    smooth = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 8, 8)).copy()
    same = thicken_slices(Volume(smooth, AFFINE), 5.0).array[2:-2]
    np.testing.assert_allclose(same, smooth[2:-2], atol=1e-4)  # a ramp stays a ramp


def test_slices_of_an_axis_that_runs_down_are_averaged_alike():
    array = np.zeros((30, 8, 8), np.float32)
    array[9] = 100.0
    down = thicken_slices(Volume(array[::-1].copy(), np.diag([0.8, 0.8, -1.25, 1.0])), 5.0)
    up = thicken_slices(Volume(array, AFFINE), 5.0)
    np.testing.assert_allclose(down.array[::-1], up.array, atol=1e-3)


def test_kernels_keep_the_mean_and_change_an_edge_in_mm():
    array = np.zeros((9, 9, 60), np.float32)
    array[..., 30:] = 100.0
    v = Volume(array, AFFINE)
    soft, sharp = change_kernel(v, 2.0).array[4, 4], change_kernel(v, -2.0).array[4, 4]
    assert soft.mean() == pytest.approx(50, abs=0.5) and sharp.mean() == pytest.approx(50, abs=0.5)
    x = (np.arange(60) - 29.5) * 0.8
    inside = np.abs(x) < 6
    from scipy.stats import norm

    np.testing.assert_allclose(soft[inside] / 100, norm.cdf(x[inside] / 2.0), atol=0.03)
    assert sharp.max() > 110 and sharp.min() < -10  # the overshoot of a sharp kernel


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        (lambda v: add_noise(v, -1.0, rng()), "sd_hu"),
        (lambda v: change_contrast(v, 0.0), "factor"),
        (lambda v: lower_dose(v, 0.0, rng()), "dose"),
        (lambda v: lower_dose(v, 1.5, rng()), "dose"),
        (lambda v: thicken_slices(v, 0.0), "mm"),
    ],
)
def test_a_strength_out_of_range_is_one_error(wrong, parameter):
    with pytest.raises(DataError, match=rf"parameter {parameter}: the strength .* out of range"):
        wrong(scan())
