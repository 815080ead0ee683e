"""A small PET of the phantom, in SUVbw: the same lesion as the CT's, as a scanner of lower resolution shows it.

It shows the lesion's size, as the CT does, and its uptake, which the CT does not: a ball of the lesion's volume and of
one uptake. Spikes, attenuation and texture are not in it, so that what a PET says of the burden is known exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from mmfusion.synthetic.anatomy import MEDIASTINUM_MM, WALL_MM, Scan
from mmfusion.synthetic.lesions import SpikyBall

SHAPE, SPACING_MM = (36, 36, 36), 4.0  # as wide as the CT
RESOLUTION_MM = 5.0  # full width at half maximum
LUNG_SUV, MUSCLE_SUV, BLOOD_SUV = 0.45, 0.75, 1.6
NOISE = 0.08  # relative, before the resolution
BREATHING_MM = 1.5  # how far the lesion lies from where the CT saw it: SD along each axis


@dataclass(frozen=True)
class PetScan:
    """`suv` float32, `mask` uint8, shape (z, y, x); `origin` (of voxel 0) and lesion `centre` in LPS mm, shape (3,)."""

    suv: np.ndarray
    mask: np.ndarray
    origin: np.ndarray
    centre: np.ndarray


def render_pet(
    lesion: Mapping[str, float],
    ct: Scan,
    ct_spacing: tuple[float, float, float],
    rng: np.random.Generator,
    *,
    right: bool,
) -> PetScan:
    """Draw one PET.

    Parameters
    ----------
    lesion : mapping
        `diameter_mm` and `suv`.
    ct : Scan
        Where the patient and the lesion lie.
    ct_spacing : (z, y, x)
        Of the CT, mm.
    rng : Generator
        The PET's own.
    right : bool
        Which lung, as of the CT.
    """
    middle = ct.origin + (np.array(ct.hu.shape[::-1]) - 1) / 2 * ct_spacing[::-1]
    axes = [(np.arange(n, dtype=np.float32) - (n - 1) / 2) * SPACING_MM for n in SHAPE]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    outward = -x if right else x
    suv = np.full(SHAPE, LUNG_SUV, dtype=np.float32)
    suv += _soft(outward - (WALL_MM - y**2 / 260 - z**2 / 500)) * (MUSCLE_SUV - suv)
    suv += _soft(-outward - MEDIASTINUM_MM + y**2 / 400) * (BLOOD_SUV - suv)
    centre = ct.centre + rng.normal(0, BREATHING_MM, 3)
    offsets = np.stack(np.broadcast_arrays(z, y, x), axis=-1) - (centre - middle)[::-1]
    inside = SpikyBall(lesion["diameter_mm"], 0.0, rng).occupancy(offsets.astype(np.float32), SPACING_MM)
    suv += inside * (lesion["suv"] - suv)
    suv *= 1 + NOISE * rng.standard_normal(SHAPE, dtype=np.float32)
    suv = gaussian_filter(suv, RESOLUTION_MM / 2.355 / SPACING_MM, truncate=3.0)
    first = np.array([axis[0] for axis in axes[::-1]])
    return PetScan(
        suv=np.maximum(suv, 0).round(3),
        mask=(inside >= 0.5).astype(np.uint8),
        origin=middle + first,
        centre=centre,
    )


def _soft(depth: np.ndarray) -> np.ndarray:
    return np.clip(depth / SPACING_MM + 0.5, 0.0, 1.0)
