"""Changes of a CT have the strength that they state, keep padding, grid and input, and are reproducible."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

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


@pytest.mark.parametrize(
    ("shape", "affine"),
    [
        ((40, 96, 96), [[0.7, 0, 0, 0], [0, 0.7, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        ((96, 40, 96), [[0, 0, 0.7, 0], [0.7, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),  # stored as (x, z, y)
    ],
)
def test_the_noise_of_a_low_dose_has_a_grain_in_the_slice_and_none_between_slices(shape, affine):
    v = Volume(np.zeros(shape, np.float32), np.array(affine, float))
    noise = lower_dose(v, 0.25, rng()).to_lps().array
    assert noise.shape == (40, 96, 96)
    assert noise.std() == pytest.approx(DOSE_SD_HU * np.sqrt(3), rel=0.01)
    between = np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())
    beside = np.corrcoef(noise[:, :, 1:].ravel(), noise[:, :, :-1].ravel())
    assert abs(between[0, 1]) < 0.02 and beside[0, 1] > 0.15


def test_the_noise_of_a_low_dose_nearly_averages_out_in_larger_voxels():
    v = Volume(np.zeros((60, 128, 128), np.float32), np.diag([0.7, 0.7, 1.0, 1.0]))
    noise = lower_dose(v, 0.25, rng())
    blurred = gaussian_filter(rng().normal(size=v.shape), 0.7 / np.array(v.spacing))
    blurred = Volume((blurred / blurred.std() * noise.array.std()).astype(np.float32), v.affine)
    large, large_blurred = (one.resample(3.0).array.std() for one in (noise, blurred))
    # 26 HU per voxel: about 3 HU are left with the noise of filtered back projection, 9 HU with blurred noise
    assert 1.0 < large < 3.5 and large < large_blurred / 3


@pytest.mark.parametrize("shape", [(50000, 1, 1), (20, 50, 50)])
def test_the_noise_of_a_low_dose_has_its_strength_without_neighbours_in_the_slice(shape):
    wide = Volume(np.zeros(shape, np.float32), np.diag([20.0, 20.0, 1.0, 1.0]))  # far wider than the grain
    assert lower_dose(wide, 0.5, rng()).array.std() == pytest.approx(DOSE_SD_HU, rel=0.02)


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


@pytest.mark.parametrize("sigma", [2.0, -2.0])
def test_a_kernel_acts_in_the_slice_and_not_between_slices(sigma):
    array = np.zeros((9, 20, 20), np.float32)
    array[4, 10, 10] = array[6] = 100.0
    found = change_kernel(Volume(array, AFFINE), sigma).array
    assert (found[[0, 1, 2, 3, 5, 7, 8]] == 0).all() and np.allclose(found[6], 100)  # other slices stay
    assert found[4, 10, 12] * sigma > 0
    # the same scan, stored with the patient's long axis as the last axis of the array
    turned = np.array([[0, 0, 0.8, 0], [0, 0.8, 0, 0], [1.25, 0, 0, 0], [0, 0, 0, 1.0]])
    stored = change_kernel(Volume(array.transpose(2, 1, 0).copy(), turned), sigma).array
    np.testing.assert_allclose(stored.transpose(2, 1, 0), found, atol=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_padding_as_it_is_read_stays(name):
    array = np.full((12, 20, 20), 40, np.int16)
    array[:, :6] = -1024  # the value that `read` gives to padding
    assert (EVERY[name](Volume(array, AFFINE)).array[:, :6] == -1024).all()


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
