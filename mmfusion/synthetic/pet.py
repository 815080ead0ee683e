"""Render a small PET of the phantom, in SUVbw: the lesion of the CT at a lower resolution.

The PET shows the size of the lesion, as the CT does, and its uptake, which the CT does not show. The lesion
is a ball with the volume of the CT's lesion and a constant uptake. It has no spikes, attenuation or texture,
so that the information of a PET about the tumour burden is known exactly.
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
NOISE = 0.08  # relative standard deviation, before the blur of the resolution
BREATHING_MM = 1.5  # SD along each axis of the distance between the lesion in the PET and in the CT


@dataclass(frozen=True)
class PetScan:
    """One rendered PET.

    Attributes
    ----------
    suv : ndarray of float32, shape (z, y, x)
        Uptake, SUVbw.
    mask : ndarray of uint8, shape (z, y, x)
        Mask of the lesion, 0 or 1.
    origin : ndarray, shape (3,)
        Centre of voxel 0 (x, y, z), LPS mm.
    centre : ndarray, shape (3,)
        Centre of the lesion (x, y, z), LPS mm.

    Examples
    --------
    >>> scan = PetScan(np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8), np.zeros(3), np.zeros(3))
    >>> scan.suv.shape
    (36, 36, 36)
    """

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
    """Render one PET.

    Parameters
    ----------
    lesion : mapping
        `diameter_mm`, and `suv`, the uptake in SUVbw.
    ct : Scan
        CT of the same patient, which gives the positions of the patient and the lesion.
    ct_spacing : (z, y, x)
        Voxel size of the CT, mm.
    rng : Generator
        Random generator of this PET.
    right : bool
        True for the right lung, as for the CT.

    Examples
    --------
    >>> from mmfusion.synthetic import lesions
    >>> from mmfusion.synthetic.anatomy import SCANNERS, render
    >>> lesion = lesions.sample(np.zeros(1), np.random.default_rng(0)).assign(suv=6.0).iloc[0]
    >>> ct = render(lesion, SCANNERS[0], np.random.default_rng(0), right=True)
    >>> pet = render_pet(lesion, ct, SCANNERS[0].spacing, np.random.default_rng(1), right=True)
    >>> pet.suv.shape, bool(pet.mask.any())
    ((36, 36, 36), True)
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
