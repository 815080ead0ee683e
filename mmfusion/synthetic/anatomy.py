"""Render a small chest CT of the phantom: lung, vessels, chest wall with ribs, a lesion, and a scanner.

Arrays are (z, y, x), coordinates are LPS mm. A scan does not depend on the stage. It depends on the
appearance of the lesion, the side of the chest, the scanner and a random generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from mmfusion.synthetic.lesions import SpikyBall

LUNG_HU, VESSEL_HU, MUSCLE_HU, FAT_HU, BONE_HU = -850.0, 20.0, 45.0, -95.0, 420.0
WALL_MM, MEDIASTINUM_MM = 50.0, 58.0  # distances from the centre of the field of view, outwards and inwards
VESSELS, POINTS_PER_VOXEL = 9, 12


@dataclass(frozen=True)
class Scanner:
    """Scanner of a site.

    Attributes
    ----------
    name : str
        Description.
    shape : tuple of int
        Number of voxels (z, y, x).
    spacing : tuple of float
        Voxel size (z, y, x), mm.
    noise_hu : float
        Standard deviation of the noise before the reconstruction kernel, HU.
    blur_mm : float
        Standard deviation of the Gaussian reconstruction kernel, mm.
    offset_hu : float
        Constant added to all values, HU.

    Examples
    --------
    >>> SCANNERS[0].spacing, SCANNERS[0].noise_hu
    ((3.0, 3.0, 3.0), 45.0)
    """

    name: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    noise_hu: float
    blur_mm: float
    offset_hu: float


SCANNERS = (
    Scanner("soft kernel, low noise", (46, 46, 46), (3.0, 3.0, 3.0), 45.0, 1.9, 0.0),
    Scanner("sharp kernel, noisy", (44, 48, 48), (3.2, 2.9, 2.9), 75.0, 1.2, 8.0),
    Scanner("medium kernel", (48, 44, 44), (2.9, 3.2, 3.2), 60.0, 1.5, -10.0),
    Scanner("soft kernel, offset", (46, 48, 48), (3.0, 2.9, 2.9), 55.0, 1.8, 15.0),
)


@dataclass(frozen=True)
class Scan:
    """One rendered scan.

    Attributes
    ----------
    hu : ndarray of int16, shape (z, y, x)
        Values in HU.
    mask : ndarray of uint8, shape (z, y, x)
        Mask of the lesion, 0 or 1.
    origin : ndarray, shape (3,)
        Centre of voxel 0 (x, y, z), LPS mm.
    centre : ndarray, shape (3,)
        Centre of the lesion (x, y, z), LPS mm.

    Examples
    --------
    >>> from mmfusion.synthetic import lesions
    >>> lesion = lesions.sample(np.zeros(1), np.random.default_rng(0)).iloc[0]
    >>> scan = render(lesion, SCANNERS[0], np.random.default_rng(0), right=True)
    >>> scan.hu.shape, scan.mask.max().item()
    ((46, 46, 46), 1)
    """

    hu: np.ndarray
    mask: np.ndarray
    origin: np.ndarray
    centre: np.ndarray


def render(lesion: Mapping[str, float], scanner: Scanner, rng: np.random.Generator, *, right: bool) -> Scan:
    """Render one scan.

    Parameters
    ----------
    lesion : mapping
        Appearance of the lesion: a row of `lesions.sample`.
    scanner : Scanner
        Grid, noise, kernel and offset.
    rng : Generator
        Random generator of this scan.
    right : bool
        True for the right lung: the chest wall then lies at the patient's right (-x), else at the left.

    Returns
    -------
    Scan
        Values, mask and positions.

    Examples
    --------
    >>> from mmfusion.synthetic import lesions
    >>> lesion = lesions.sample(np.zeros(1), np.random.default_rng(0)).iloc[0]
    >>> render(lesion, SCANNERS[0], np.random.default_rng(0), right=True).hu.shape
    (46, 46, 46)
    """
    axes = [
        (np.arange(n, dtype=np.float32) - (n - 1) / 2) * s for n, s in zip(scanner.shape, scanner.spacing)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    outward = -x if right else x
    hu = np.full(scanner.shape, LUNG_HU + rng.normal(0, 20), dtype=np.float32)
    voxel_mm = float(np.mean(scanner.spacing))
    vessels = _vessels(scanner, rng, right=right)
    hu += vessels * (VESSEL_HU - hu)
    depth = outward - (WALL_MM + rng.normal(0, 2) - y**2 / 260 - (z - rng.normal(0, 15)) ** 2 / 500)
    hu += _soft(depth, voxel_mm) * (_wall_hu(depth, y, z, rng) - hu)
    hu += _soft(-outward - MEDIASTINUM_MM - rng.normal(0, 2) + y**2 / 400, voxel_mm) * (MUSCLE_HU - hu)

    centre = rng.uniform(-8, 8, 3)  # (z, y, x) from the middle of the field of view
    ball = SpikyBall(lesion["diameter_mm"], lesion["spiculation"], rng)
    inside, box = _fill(ball, centre, axes, voxel_mm)
    texture = gaussian_filter(rng.standard_normal(inside.shape, dtype=np.float32), 1.0)
    tissue = lesion["solidity_hu"] + lesion["texture_hu"] * texture / max(float(texture.std()), 1e-6)
    hu[box] += inside * (tissue - hu[box])
    mask = np.zeros(scanner.shape, dtype=np.uint8)
    mask[box] = inside >= 0.5

    hu += scanner.noise_hu * rng.standard_normal(scanner.shape, dtype=np.float32)
    hu = gaussian_filter(hu, [scanner.blur_mm / s for s in scanner.spacing], truncate=3.0) + scanner.offset_hu
    middle = np.round(np.array([-75.0 if right else 75.0, -150.0, -620.0]) + rng.normal(0, 15, 3), 1)
    first = np.array([axis[0] for axis in axes[::-1]])
    return Scan(
        hu=np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        mask=mask,
        origin=middle + first,
        centre=middle + centre[::-1],
    )


def _soft(depth: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Return the share of a voxel that lies behind a surface, for its depth behind the surface in mm."""
    return np.clip(depth / voxel_mm + 0.5, 0.0, 1.0)


def _wall_hu(depth: np.ndarray, y: np.ndarray, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the HU of the chest wall: muscle, ribs every 26 mm that descend to the front, and fat."""
    rib = (z + 0.35 * y + rng.uniform(0, 26)) % 26 < 10
    tissue = np.where(depth > 18, FAT_HU, MUSCLE_HU).astype(np.float32)
    return np.where(rib & (depth > 3) & (depth < 12), BONE_HU, tissue)


def _vessels(scanner: Scanner, rng: np.random.Generator, *, right: bool) -> np.ndarray:
    """Return the share of each voxel that lies in vessels, float32 in [0, 1].

    The vessels start at the hilum, spread and become thinner. The share is estimated from random points.
    """
    along = np.linspace(0, 1, 90, dtype=np.float32)[None, :, None]
    direction = rng.normal(0, 0.6, (VESSELS, 1, 3)) * [1, 1, 0] + [0, 0, -1 if right else 1]
    bend = rng.normal(0, 12, (VESSELS, 1, 3))
    hilum = np.array([0, 0, 56.0 if right else -56.0]) + rng.normal(0, 5, 3)
    length = rng.uniform(60, 105, (VESSELS, 1, 1))
    line = hilum + along * length * direction + along**2 * bend
    radius = 3.6 - 2.6 * along
    step_volume = np.pi * radius[0, :, 0] ** 2 * length.mean() / along.shape[1]
    points = np.maximum(1, step_volume / np.prod(scanner.spacing) * POINTS_PER_VOXEL).astype(int)
    cloud = np.repeat(line, points, axis=1)
    ball = rng.uniform(-1, 1, cloud.shape).astype(np.float32)
    cloud = cloud + ball * np.repeat(radius, points, axis=1)
    index = np.floor(cloud / scanner.spacing + np.array(scanner.shape) / 2).astype(int).reshape(-1, 3)
    index = index[((index >= 0) & (index < scanner.shape)).all(axis=1)]
    flat = np.ravel_multi_index(index.T, scanner.shape)
    count = np.bincount(flat, minlength=int(np.prod(scanner.shape))).reshape(scanner.shape)
    return np.minimum(count / POINTS_PER_VOXEL, 1.0).astype(np.float32)


def _fill(
    ball: SpikyBall, centre: np.ndarray, axes: list[np.ndarray], voxel_mm: float
) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Return the share of each voxel that the ball fills, and the box of voxels that it can reach."""
    reach = ball.reach + voxel_mm
    limits = [np.searchsorted(axis, [c - reach, c + reach]) for axis, c in zip(axes, centre)]
    box = tuple(slice(*limit) for limit in limits)
    offsets = np.stack(
        np.meshgrid(*[axis[b] - c for axis, b, c in zip(axes, box, centre)], indexing="ij"), axis=-1
    )
    return ball.occupancy(offsets.astype(np.float32), voxel_mm), box
