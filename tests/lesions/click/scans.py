"""Scans of balls in a lung, with a chest wall and a vessel."""

from __future__ import annotations

import numpy as np

from mmfusion.imaging import Volume

AFFINE = np.diag([0.9, 0.9, 1.5, 1.0])
AFFINE[:3, 3] = (-30.0, -40.0, -500.0)
SHAPE = (48, 90, 100)


def chest(balls=(((15.0, 0.0, -464.0), 9.0),), *, noise=15.0, seed=0) -> tuple[Volume, list[Volume]]:
    """A scan, and the mask of each ball (centre (x, y, z) and radius, mm)."""
    z, y, x = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    points = np.stack([x, y, z], axis=-1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    hu = np.full(SHAPE, -850.0)
    hu[points[..., 1] > 33] = 45.0  # the chest wall
    hu[np.hypot(points[..., 0] - 40, points[..., 2] + 470) < 2.5] = 60.0  # a vessel
    masks = []
    for centre, radius in balls:
        inside = np.linalg.norm(points - centre, axis=-1) <= radius
        hu[inside] = 35.0
        masks.append(Volume(inside, AFFINE, unit="mask"))
    hu += np.random.default_rng(seed).normal(0, noise, SHAPE)
    return Volume(np.rint(hu).astype(np.int16), AFFINE), masks


def dice(one: Volume, two: Volume) -> float:
    both = np.count_nonzero(one.array & two.array)
    return 2 * both / (np.count_nonzero(one.array) + np.count_nonzero(two.array))
