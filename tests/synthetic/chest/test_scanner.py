"""The scanner: slices average the object over their thickness; kernels and thickness change the noise."""

import numpy as np
import pytest

from mmfusion.synthetic.chest.geometry import Grid
from mmfusion.synthetic.chest.scanner import KERNELS, Protocol, Slices, acquire

OUT = Grid.around((5, 0, 0), (40, 4, 4), (1, 1, 1))


def _ramp(grid):
    return np.broadcast_to(grid.z[:, None, None], grid.shape).astype(np.float32)


@pytest.mark.parametrize("thickness", [0.6, 2.5, 8.0])
@pytest.mark.parametrize("offset", [0.0, 0.7])
def test_slices_do_not_shift_the_object(thickness, offset):
    slices = Slices(OUT, thickness, offset)
    seen = slices.back(slices.average(_ramp(slices.fine)))
    assert seen.shape == OUT.shape
    assert np.abs(seen - _ramp(OUT)).max() < 1e-3


def test_a_thin_plate_is_spread_over_a_slice():
    height = {}
    for thickness in (1.0, 2.0, 4.0, 8.0):
        slices = Slices(OUT, thickness)
        plate = (np.abs(slices.fine.z - 5) < 1).astype(np.float32)[:, None, None] * np.ones(
            (1, 4, 4), np.float32
        )
        height[thickness] = slices.back(slices.average(plate)).max()
    assert list(height.values()) == sorted(height.values(), reverse=True)
    assert height[8.0] < 0.35


def test_native_slices_are_those_of_the_grid():
    out = Grid.around((0, 0, 0), (6, 4, 4), (5.0, 0.8, 0.8))
    slices = Slices(out, 5.0, native=True)
    assert len(slices.fine.z) == 6 * 6
    seen = slices.back(slices.average(_ramp(slices.fine)))
    assert np.abs(seen - _ramp(out)).max() < 1e-3


def test_sharp_kernels_are_noisier_and_thick_slices_quieter():
    flat = np.zeros((4, 64, 64), dtype=np.float32)

    def noise(kernel, thickness):
        protocol = Protocol(thickness, kernel, 15.0, 0.0)
        return acquire(flat, 0.8, thickness, protocol, np.random.default_rng(0)).std()

    assert noise("soft", 3.0) < noise("medium", 3.0) < noise("sharp", 3.0)
    assert noise("medium", 1.0) / noise("medium", 4.0) == pytest.approx(2, rel=0.01)
    assert noise("medium", 3.0) == pytest.approx(15, rel=0.01)


def test_a_sharp_kernel_keeps_edges():
    edge = np.zeros((1, 64, 64), dtype=np.float32)
    edge[..., 32:] = 100
    steep = {}
    for kernel in KERNELS:
        protocol = Protocol(3.0, kernel, 0.0, 0.0)
        seen = acquire(edge, 0.7, 3.0, protocol, np.random.default_rng(0))
        steep[kernel] = np.abs(np.diff(seen[0, 32])).max()
    assert steep["soft"] < steep["medium"] < steep["sharp"]


def test_small_lesions_are_not_lost_in_thick_slices():
    rng = np.random.default_rng(0)
    drawn = [Protocol.draw(rng, (0.6, 8.0), 4.0).thickness_mm for _ in range(200)]
    assert 0.6 <= min(drawn) < 1
    assert 4 < max(drawn) <= 4.8
    assert Protocol.draw(rng, (5.0, 8.0), 4.0).thickness_mm == pytest.approx(5.0)
