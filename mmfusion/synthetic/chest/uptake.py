"""PET of the lesion phantom, in SUVbw: tumours that move with breathing, and normal uptake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from mmfusion.synthetic.chest.anatomy import Chest
from mmfusion.synthetic.chest.geometry import Grid, coverage, ellipsoid, sampled
from mmfusion.synthetic.chest.noise import fractal
from mmfusion.synthetic.chest.patient import Lesion, Patient
from mmfusion.synthetic.chest.tissue import paint

STEPS = 5  # positions from the end of expiration to the end of inspiration
SHARES = np.array([1, 2, 2, 2, 1]) / 8  # share of the time at each position; a breath has eight equal phases


@dataclass(frozen=True)
class Breathing:
    """Movement of the lesions with breathing.

    Attributes
    ----------
    offsets : ndarray, shape (5, 3)
        Offset (z, y, x) of the lesion in mm at each position, from the end of expiration, which the CT shows,
        to the end of inspiration. The lesion moves down and a little to the front.

    Examples
    --------
    >>> Breathing.of(8.0).offsets[:, 0].round(1).tolist()
    [-0.0, -1.2, -4.0, -6.8, -8.0]
    """

    offsets: np.ndarray

    @classmethod
    def of(cls, amplitude_mm: float) -> Breathing:
        """Return the movement with this amplitude along z: a sine squared in time (Lujan 1999, n = 1)."""
        path = np.sin(np.pi * np.arange(STEPS) / (2 * (STEPS - 1))) ** 2
        return cls(amplitude_mm * path[:, None] * np.array([-1.0, -0.25, 0.0]))


@dataclass(frozen=True)
class Uptake:
    """Uptake of one patient.

    Attributes
    ----------
    breathing : Breathing
        Movement of the lesions.
    suv : tuple of float
        Uptake in the middle of each lesion, SUVbw, before the blur.
    fade : float
        Share of this uptake that is missing at the upper and lower end of a lesion, 0 to 1.
    heart, liver, blood : float
        Normal uptake, SUVbw.
    resolution_mm : float
        Full width at half maximum of the scanner's point spread function, mm.
    noise : float
        Relative standard deviation of the noise in tissue with an SUV of 1, before the blur.
    seed : int
        Seed of the noise.
    """

    breathing: Breathing
    suv: tuple[float, ...]
    fade: float
    heart: float
    liver: float
    blood: float
    resolution_mm: float
    noise: float
    seed: int

    @classmethod
    def draw(cls, patient: Patient, rng: np.random.Generator) -> Uptake:
        """Draw the uptake of a patient; lesions in the lower lung move more."""
        first, chest = patient.lesions[0], patient.chest
        height = np.clip((first.centre[0] - chest.dome_right) / 160, 0, 1)
        amplitude = float(rng.uniform(0.5, 3) + rng.uniform(1, 13) * (1 - height))
        blood = rng.uniform(1.3, 2.1)
        return cls(
            breathing=Breathing.of(amplitude),
            suv=tuple(_suv(lesion, rng) for lesion in patient.lesions),
            fade=float(rng.uniform(0.35, 0.7)),
            heart=float(np.exp(rng.uniform(np.log(1.5), np.log(8)))),
            liver=float(rng.uniform(1.7, 2.8)),
            blood=float(blood),
            resolution_mm=float(rng.uniform(4.5, 7.0)),
            noise=float(rng.uniform(0.15, 0.45)),
            seed=int(rng.integers(2**62)),
        )


def _suv(lesion: Lesion, rng: np.random.Generator) -> float:
    """Draw the uptake: low in ground glass and calcified lesions, higher in large solid ones."""
    facts = lesion.facts
    if facts["calcium"]:
        return float(rng.uniform(0.8, 2.2))
    high = np.exp(rng.normal(np.log(5.5), 0.5)) * (0.7 + 0.6 * min(lesion.radius / 20, 1.0))
    return float(rng.uniform(0.9, 2.0) + facts["solidity"] * high)


def render(patient: Patient, uptake: Uptake, grid: Grid) -> np.ndarray:
    """Return the PET on a grid, SUVbw, float32: the average over one breath, blurred, with noise.

    Parameters
    ----------
    patient : Patient
        Chest and lesions.
    uptake : Uptake
        Uptake and movement.
    grid : Grid
        Voxels of the PET.

    Examples
    --------
    >>> from mmfusion.synthetic.chest import appearance
    >>> rows = appearance.draw(np.full((1, 6), 0.3)).to_dict("records")
    >>> patient = Patient(rows, np.random.default_rng(0))
    >>> uptake = Uptake.draw(patient, np.random.default_rng(1))
    >>> grid = Grid.around(patient.lesions[0].centre, (16, 16, 16), (4, 4, 4))
    >>> bool(render(patient, uptake, grid).max() > 1)
    True
    """
    rng = np.random.default_rng(uptake.seed)
    suv = _normal(patient.chest, uptake, grid, rng)
    for lesion, level in zip(patient.lesions, uptake.suv):
        for offset, share in zip(uptake.breathing.offsets, SHARES):
            box, distance = patient.surface(lesion, grid, offset)
            if not distance.size:
                continue
            inside = coverage(distance, grid.spacing[1]) * fading(grid.part(box), lesion, uptake.fade, offset)
            depth = -distance / np.float32(lesion.radius)
            if lesion.facts["cavity"]:
                inside = inside * (depth < 1 - lesion.facts["cavity"] ** (1 / 3))
            paint_share = np.float32(share) * np.clip(inside, 0, 1)
            suv[box] += paint_share * np.maximum(level - suv[box], 0)
    grain = rng.standard_normal(grid.shape, dtype=np.float32)
    voxels = (4.0**3 / np.prod(grid.spacing)) ** 0.5  # smaller voxels count fewer decays
    suv += np.float32(uptake.noise * voxels) * np.sqrt(np.maximum(suv, 0.1)) * grain
    blurred = gaussian_filter(suv, [uptake.resolution_mm / 2.355 / s for s in grid.spacing], truncate=3.0)
    return np.maximum(blurred, 0).round(3)


def fading(grid: Grid, lesion: Lesion, fade: float, offset: np.ndarray) -> np.ndarray:
    """Return the uptake at each height as a share of that in the middle, float32, shape (n_z, 1, 1).

    It is 1 in the middle of the lesion, and falls with the square of the distance along z to 1 - `fade` at a
    distance of one radius.

    Parameters
    ----------
    grid : Grid
        Positions.
    lesion : Lesion
        The lesion, at the end of expiration.
    fade : float
        Share of the uptake that is missing at the upper and lower end.
    offset : (z, y, x)
        Movement of the lesion from its place at the end of expiration, mm.
    """
    height = (grid.z - np.float32(lesion.centre[0] + offset[0])) / np.float32(lesion.radius)
    return (1 - np.float32(fade) * np.clip(height**2, 0, 1.5))[:, None, None].clip(0.05)


def _normal(chest: Chest, uptake: Uptake, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Return the normal uptake on a grid: lung, muscle, fat, mediastinum, heart, vessels, liver, spine."""
    at, voxel = grid.coordinates, grid.spacing[1]
    mottle = fractal(rng, grid, 20.0, 2)
    cavity = sampled(chest.cavity, grid)
    suv = np.full(grid.shape, 0.45, dtype=np.float32) + 0.05 * mottle
    middle = coverage(sampled(chest.mediastinum, grid), voxel)
    paint(suv, middle, 0.75 * uptake.blood + 0.15 * mottle)
    heart = sampled(chest.heart, grid)
    paint(suv, coverage(heart, voxel), uptake.blood)
    s, ventricle = chest.scale, chest.heart_centre + np.array([-6, 6, 22]) * chest.scale
    outer = ellipsoid(at, ventricle, np.array([35, 30, 28]) * s)
    # the inside of the left ventricle, open to the base of the heart
    inner = ellipsoid(at, ventricle + np.array([4, 4, -8]) * s, np.array([24, 20, 24]) * s)
    paint(suv, coverage(np.maximum(np.maximum(outer, heart), -inner), voxel), uptake.heart)
    for vessel in (chest.aorta, chest.other_vessels):
        paint(suv, coverage(sampled(vessel, grid), voxel), uptake.blood)
    below = coverage(sampled(chest.diaphragm, grid), voxel)
    left = coverage(-(at[2] - 25), 10.0)
    paint(suv, below, uptake.liver * (1 - 0.45 * left) * (1 + 0.06 * mottle))
    beyond = coverage(-cavity, voxel)
    paint(suv, beyond, 0.9 + 0.12 * mottle)
    paint(suv, beyond * coverage(chest.muscle_mm + 11 - cavity, voxel), 0.3)
    spine = ellipsoid((np.float32(0), at[1], at[2]), chest.spine * [0, 1, 1], (1e6, 15, 17))
    paint(suv, coverage(spine, voxel), 1.3)
    paint(suv, coverage(sampled(chest.central_airways, grid), voxel), 0.3)
    paint(suv, coverage(-chest.body(cavity, at), voxel), 0.0)
    return suv
