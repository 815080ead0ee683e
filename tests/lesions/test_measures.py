"""Measures of lesions whose size and shape are known, and bad input."""

import numpy as np
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume
from mmfusion.lesions.measures import measure


def ball(radius=12.0, hu=30, spacing=(2.0, 1.0, 1.0), squash=1.0):
    z, y, x = (np.arange(n) * s for n, s in zip((20, 40, 40), spacing))
    inside = ((z[:, None, None] - 19) * squash) ** 2 + (y[:, None] - 19.5) ** 2 + (x - 19.5) ** 2 <= radius**2
    affine = np.diag([*spacing[::-1], 1.0])
    return Volume(np.where(inside, hu, -850).astype(np.int16), affine), Volume(inside, affine, unit="mask")


def test_a_ball():
    scan, mask = ball()
    found = measure(scan, mask)
    assert found["volume_ml"] == pytest.approx(4 / 3 * np.pi * 12**3 / 1000, rel=0.03)
    assert found["longest_mm"] == pytest.approx(24, abs=1)
    assert found["perpendicular_mm"] == pytest.approx(24, abs=1)
    assert found["mean_hu"] == 30 and found["sd_hu"] == 0
    assert 0.85 < found["sphericity"] <= 1


def test_a_flat_lesion_is_less_round():
    flat = measure(*ball(squash=3.0))["sphericity"]
    assert flat < measure(*ball())["sphericity"] - 0.1


def test_one_voxel():
    array = np.zeros((3, 3, 3), np.uint8)
    array[1, 1, 1] = 1
    scan = Volume(np.full((3, 3, 3), 7, np.int16), np.eye(4))
    found = measure(scan, Volume(array, np.eye(4), unit="mask"))
    assert np.isfinite(list(found.values())).all() and found["volume_ml"] == pytest.approx(0.001)


def test_bad_input():
    scan, mask = ball()
    with pytest.raises(ScanError, match="an empty mask"):
        measure(scan, Volume(mask.array * 0, mask.affine, unit="mask"))
    with pytest.raises(ScanError, match="another grid than the scan"):
        measure(scan, mask.crop_box(mask.bounding_box()))
    pet = Volume(scan.array.astype(np.float32), scan.affine, "PT", "SUVbw")
    with pytest.raises(ScanError, match="not a CT"):
        measure(pet, mask)
