"""Scans of one patient of the lesion phantom: choice of the grid, CT, PET and masks as volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.imaging import Volume
from mmfusion.synthetic.chest import appearance, uptake
from mmfusion.synthetic.chest.geometry import Grid
from mmfusion.synthetic.chest.patient import Patient
from mmfusion.synthetic.chest.scanner import Protocol, Slices, acquire

SIDES_MM = (38.0, 205.0)  # range of the side of a crop whose spacing is random
SHARES = (0.15, 0.72)  # range of the lesion's diameter relative to the side of such a crop
JITTER = 0.12  # largest shift of the lesion from the middle of a crop along each axis, as a share of the side
PET_SIDE_MM = 120.0  # a PET with a grid of its own is at least as wide
SHARED_SIDE_MM = 96.0  # a crop with a PET on the grid of the CT is at least as wide
PIXELS_MM = (0.6, 0.98)  # range of the pixel size of the grid "scanner"


@dataclass(frozen=True)
class Settings:
    """Options that all patients of a cohort share; see `lesion_phantom`.

    Examples
    --------
    >>> Settings(pet=True).pet_spacing
    4.0
    """

    size: int = 64
    spacing: float | None = None
    grid: str = "cube"
    whole: bool = False
    types: tuple[str, ...] = tuple(appearance.TYPES)
    diameters: tuple[float, float] = (appearance.LOW, appearance.HIGH)
    thickness: tuple[float, float] = (0.6, 8.0)
    lesions: tuple[int, int] = (1, 1)
    pet: bool = False
    pet_spacing: float | None = 4.0
    igtv: bool = False


@dataclass(frozen=True)
class Scans:
    """Scans, masks and facts of one patient.

    Attributes
    ----------
    volumes : mapping of str to Volume
        "ct", "ct_mask" and, with PET, "pet" and "pet_mask".
    seed : ndarray, shape (3,)
        A point in the first lesion (x, y, z), LPS mm.
    lesions : DataFrame
        One row per lesion: `appearance.draw` and `centre_x`, `centre_y`, `centre_z`, LPS mm.
    facts : mapping
        Protocol, contrast phase, volume of the mask and uptake.
    """

    volumes: Mapping[str, Volume]
    seed: np.ndarray
    lesions: pd.DataFrame
    facts: Mapping[str, object]


def appearances(settings: Settings, seed: int, number: int) -> pd.DataFrame:
    """Return the appearance of the lesions of one patient, which does not depend on other patients.

    Parameters
    ----------
    settings : Settings
        Options of the cohort.
    seed, number : int
        Seed of the cohort, and number of the patient in it, from 0.

    Returns
    -------
    DataFrame
        As `appearance.draw` returns it, one row per lesion.

    Examples
    --------
    >>> appearances(Settings(), 0, 3).equals(appearances(Settings(), 0, 3))
    True
    """
    rng = np.random.default_rng([seed, number, 20])
    count = int(rng.integers(settings.lesions[0], settings.lesions[1] + 1))
    uniform = rng.random((count, appearance.N_DRAWS))
    return appearance.draw(uniform, settings.types, settings.diameters)


def make(settings: Settings, seed: int, number: int) -> Scans:
    """Make the scans of one patient.

    Parameters
    ----------
    settings, seed, number
        As for `appearances`.

    Examples
    --------
    >>> scans = make(Settings(size=16), 0, 0)
    >>> scans.volumes["ct"].shape, sorted(scans.volumes)
    ((16, 16, 16), ['ct', 'ct_mask'])
    """
    lesions = appearances(settings, seed, number)
    rng = np.random.default_rng([seed, number, 21])
    patient = Patient(lesions.to_dict("records"), rng)
    protocol = Protocol.draw(rng, settings.thickness, float(lesions["diameter_mm"].min()))
    out, slices = _grids(settings, patient, protocol, rng)
    hu, share = patient.draw(slices.fine)
    breath = uptake.Uptake.draw(patient, np.random.default_rng([seed, number, 22]))
    offsets = breath.breathing.offsets if settings.igtv else np.zeros((1, 3))
    if settings.igtv:
        share = patient.share(slices.fine, offsets)
    seen = acquire(
        slices.average(hu), out.spacing[1], max(protocol.thickness_mm, out.spacing[0]), protocol, rng
    )
    ct = np.clip(np.rint(slices.back(seen)), -1024, 3071).astype(np.int16)
    mask = _mask(slices.back(slices.average(share)))
    place = np.round(np.array([0.0, -150.0, -600.0]) + rng.normal(0, 20, 3), 1)
    affine = _affine(out, place)
    volumes = {"ct": Volume(ct, affine), "ct_mask": Volume(mask, affine, unit="mask")}
    if settings.pet:
        volumes |= _pet(settings, patient, breath, out, offsets, place)
    centres = pd.DataFrame(
        [lesion.centre[::-1] + place for lesion in patient.lesions],
        columns=["centre_x", "centre_y", "centre_z"],
    ).round(2)
    facts = {
        "thickness_mm": protocol.thickness_mm,
        "spacing_mm": out.spacing[1],
        "kernel": protocol.kernel,
        "noise_hu": round(protocol.noise_hu, 1),
        "contrast": patient.phase,
        "volume_ml": round(float(mask.sum()) * float(np.prod(out.spacing)) / 1000, 4),
        "breathing_mm": round(float(-breath.breathing.offsets[-1, 0]), 1),
        "suv": round(breath.suv[0], 2),
    }
    return Scans(
        volumes, _point_inside(mask, patient, out, rng) + place, pd.concat([lesions, centres], axis=1), facts
    )


def _grids(
    settings: Settings, patient: Patient, protocol: Protocol, rng: np.random.Generator
) -> tuple[Grid, Slices]:
    """Choose the grid of the scan, and the slices from which it is made."""
    diameter = 2 * patient.lesions[0].radius
    if settings.whole:
        spacing = settings.spacing or 2.5
        low, high = patient.chest.extent
        side, centre = high - low, (low + high) / 2
    else:
        spacing = settings.spacing or _spacing(settings, diameter, rng)
        side = np.full(3, settings.size * spacing)
        centre = patient.lesions[0].centre + rng.uniform(-JITTER, JITTER, 3) * side
    steps = np.full(3, spacing)
    if settings.grid == "scanner":
        steps[0] = protocol.thickness_mm
    out = Grid.around(centre, np.maximum(np.round(side / steps), 2).astype(int), steps)
    native = settings.grid == "scanner"
    return out, Slices(out, protocol.thickness_mm, rng.random(), native=native)


def _spacing(settings: Settings, diameter: float, rng: np.random.Generator) -> float:
    """Draw the size of a pixel that shows the lesion at a random scale, mm."""
    shared = settings.pet and settings.pet_spacing is None
    low, high = np.array([max(SIDES_MM[0], SHARED_SIDE_MM * shared), SIDES_MM[1]]) / settings.size
    if settings.grid == "scanner":
        own = rng.uniform(*PIXELS_MM)
        least = SHARED_SIDE_MM / settings.size if shared else 0.0
        return round(float(max(own, least, diameter / SHARES[1] / settings.size)), 3)
    share = np.exp(rng.uniform(*np.log(SHARES)))
    finest = max(low, diameter / SHARES[1] / settings.size)
    return round(float(np.clip(diameter / share / settings.size, finest, max(finest, high))), 3)


def _mask(share: np.ndarray) -> np.ndarray:
    """Return the voxels that are at least half inside; of a lesion thinner than a slice, the fullest ones."""
    half = min(0.5, 0.7 * float(share.max()))
    return (share >= max(half, 1e-6)).astype(np.uint8)


def _pet(
    settings: Settings,
    patient: Patient,
    breath: uptake.Uptake,
    out: Grid,
    offsets: np.ndarray,
    place: np.ndarray,
) -> dict[str, Volume]:
    grid = out
    if settings.pet_spacing is not None:
        step = settings.pet_spacing
        side = np.maximum(out.high - out.low + np.array(out.spacing), PET_SIDE_MM)
        grid = Grid.around(
            (out.low + out.high) / 2, np.maximum(np.round(side / step), 4).astype(int), (step,) * 3
        )
    affine = _affine(grid, place)
    return {
        "pet": Volume(uptake.render(patient, breath, grid), affine, "PT", "SUVbw"),
        "pet_mask": Volume(_mask(patient.share(grid, offsets)), affine, "PT", "mask"),
    }


def _point_inside(mask: np.ndarray, patient: Patient, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Return a point (x, y, z) in the mask near the centre of the first lesion, mm."""
    lesion = patient.lesions[0]
    aim = lesion.centre + rng.normal(0, 0.2, 3) * lesion.radius
    voxels = np.argwhere(mask)
    if not len(voxels):
        return aim[::-1]
    points = np.column_stack([axis[v] for axis, v in zip((grid.z, grid.y, grid.x), voxels.T)])
    return points[np.argmin(((points - aim) ** 2).sum(axis=1))][::-1].astype(float)


def _affine(grid: Grid, place: np.ndarray) -> np.ndarray:
    affine = np.diag([*grid.spacing[::-1], 1.0])
    affine[:3, 3] = grid.low[::-1] + place
    return affine
