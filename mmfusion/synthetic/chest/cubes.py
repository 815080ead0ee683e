"""Cubes of voxels around a click on a lesion of the phantom, at several scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmfusion.synthetic.chest import appearance
from mmfusion.synthetic.chest.geometry import Grid
from mmfusion.synthetic.chest.noise import unit_vectors
from mmfusion.synthetic.chest.patient import Patient
from mmfusion.synthetic.chest.scanner import Protocol, Slices, acquire
from mmfusion.synthetic.chest.shape import REACH

THICKNESS_MM = (0.6, 6.0)
MEASURE = 32  # voxels along the side of the grid on which the volume of a lesion is measured
_OFF = 0.6  # largest distance of a click from the centre of the lesion, as a share of its radius
_TRIES = 40


@dataclass(frozen=True)
class Cube:
    """Voxels around a click on a lesion.

    Attributes
    ----------
    hu : ndarray of int16, shape (size, size, size)
        CT, HU, axes (z, y, x).
    mask : ndarray of uint8, shape (size, size, size)
        The lesion, 0 or 1.
    spacing : float
        Size of a voxel, mm.
    volume_mm3 : float
        Volume of the whole lesion, also outside the cube, mm3.

    Examples
    --------
    >>> cube = Cube(np.zeros((2, 2, 2), np.int16), np.ones((2, 2, 2), np.uint8), 2.0, 100.0)
    >>> float(cube.mask.sum() * cube.spacing**3 / cube.volume_mm3)  # the share that is in the cube
    0.64
    """

    hu: np.ndarray
    mask: np.ndarray
    spacing: float
    volume_mm3: float


def click_cubes(
    seed: int,
    number: int,
    *,
    size: int = 48,
    scales: int = 3,
    sides: tuple[float, float] = (36.0, 200.0),
    shares: tuple[float, float] = (0.08, 1.2),
    types: Sequence[str] = tuple(appearance.TYPES),
) -> list[Cube]:
    """Draw cubes around clicks on the first lesion of one phantom patient.

    The middle of each cube is a random point in the lesion. Cubes of a patient have the same scanner and
    different clicks and scales.

    Parameters
    ----------
    seed, number : int
        Seed of the cohort, and number of the patient in it.
    size : int
        Side of a cube in voxels.
    scales : int
        Number of cubes.
    sides : (low, high)
        Range of the side of a cube, mm; log-uniform.
    shares : (low, high)
        Range of the lesion's diameter relative to the side; it limits `sides`.
    types : sequence of str
        Types of lesions.

    Returns
    -------
    list of Cube

    Examples
    --------
    >>> cube, = click_cubes(0, 0, size=16, scales=1)
    >>> cube.hu.shape, cube.mask[7:9, 7:9, 7:9].any()
    ((16, 16, 16), np.True_)
    """
    rng = np.random.default_rng([seed, number, 31])
    rows = appearance.draw(rng.random((1, appearance.N_DRAWS)), tuple(types)).to_dict("records")
    patient = Patient(rows, rng)
    lesion = patient.lesions[0]
    diameter = 2 * lesion.radius
    protocol = Protocol.draw(rng, THICKNESS_MM, diameter)
    volume = _volume(patient, lesion)
    low, high = np.clip(diameter / np.array(shares[::-1]), *sides)
    out = []
    for side in np.exp(rng.uniform(np.log(low), np.log(high), scales)):
        step = float(side) / size
        grid = Grid.around(_click(patient, lesion, rng), (size,) * 3, (step,) * 3)
        slices = Slices(grid, protocol.thickness_mm, rng.random())
        hu, share = patient.draw(slices.fine)
        seen = acquire(slices.average(hu), step, max(protocol.thickness_mm, step), protocol, rng)
        filled = slices.back(slices.average(share))
        mask = (filled >= min(0.5, 0.7 * float(filled.max()))) & (filled > 1e-6)
        image = np.clip(np.rint(slices.back(seen)), -1024, 3071).astype(np.int16)
        out.append(Cube(image, mask.astype(np.uint8), step, volume))
    return out


def _click(patient: Patient, lesion: object, rng: np.random.Generator) -> np.ndarray:
    """Return a random point (z, y, x) in a lesion; near its centre if it is thin."""
    for turn in range(_TRIES):
        shrink = 1 - turn / _TRIES
        point = lesion.centre + unit_vectors(rng, 1)[0] * lesion.radius * _OFF * shrink * rng.random()
        around = Grid.around(point, (1, 1, 1), (0.5, 0.5, 0.5))
        _, distance = patient.surface(lesion, around)
        if distance.size and distance.min() < 0:
            return point
    return lesion.centre


def _volume(patient: Patient, lesion: object) -> float:
    """Return the volume of a lesion, mm3."""
    step = 2 * REACH * lesion.radius / MEASURE
    grid = Grid.around(lesion.centre, (MEASURE,) * 3, (step,) * 3)
    return float(patient.share(grid).sum() * step**3)
