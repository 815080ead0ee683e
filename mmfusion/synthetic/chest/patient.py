"""One patient of the lesion phantom: a chest with lungs and lesions, drawn on any grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmfusion.synthetic.chest import placement
from mmfusion.synthetic.chest.anatomy import Chest
from mmfusion.synthetic.chest.appearance import TYPES
from mmfusion.synthetic.chest.geometry import Grid, coverage, sampled
from mmfusion.synthetic.chest.lungs import Lungs
from mmfusion.synthetic.chest.nodule import Nodule
from mmfusion.synthetic.chest.shape import REACH, LesionShape
from mmfusion.synthetic.chest.surroundings import outside_lungs
from mmfusion.synthetic.chest.tissue import PHASES, Contrast, paint

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Lesion:
    """One lesion in its place.

    Attributes
    ----------
    facts : mapping
        Row of `appearance.draw`.
    centre : ndarray, shape (3,)
        Centre (z, y, x), mm.
    shape : LesionShape
        Surface.
    nodule : Nodule
        Tissue.
    """

    facts: Mapping[str, object]
    centre: np.ndarray
    shape: LesionShape
    nodule: Nodule

    @property
    def radius(self) -> float:
        """Radius of the sphere of equal volume, mm."""
        return self.shape.radius


class Patient:
    """Chest, lungs and lesions of one patient, all random.

    Parameters
    ----------
    rows : sequence of mapping
        Appearance of each lesion, rows of `appearance.draw`; the first is placed first.
    rng : Generator
        Random generator of the patient.
    contrast : str, optional
        Contrast phase, a key of `PHASES`; random by default.

    Raises
    ------
    DataError
        If the lesions do not fit into the lungs.

    Examples
    --------
    >>> from mmfusion.synthetic.chest import appearance
    >>> rows = appearance.draw(np.full((1, 6), 0.3)).to_dict("records")
    >>> patient = Patient(rows, np.random.default_rng(0))
    >>> hu, share = patient.draw(Grid.around(patient.lesions[0].centre, (16, 16, 16), (2, 2, 2)))
    >>> hu.shape, bool(share.max() > 0.9)
    ((16, 16, 16), True)
    """

    def __init__(
        self, rows: Sequence[Mapping[str, object]], rng: np.random.Generator, contrast: str | None = None
    ) -> None:
        self.phase = contrast or str(rng.choice(list(PHASES), p=[0.45, 0.2, 0.35]))
        self.chest = Chest(rng)
        self.contrast = Contrast.draw(self.phase, rng)
        self.lungs = Lungs(self.chest, self.contrast, rng)
        self.lesions: list[Lesion] = []
        for row in rows:
            taken = [(lesion.centre, lesion.radius) for lesion in self.lesions]
            centre = placement.place(row["type"], row["diameter_mm"] / 2, self.lungs, rng, taken)
            nodule = Nodule(row, self.lungs, rng)
            self.lesions.append(Lesion(row, centre, LesionShape(row, rng), nodule))
        self._seed = int(rng.integers(2**62))

    def draw(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Return the HU and the share of each voxel inside lesions, before the scanner, on a grid.

        Returns
        -------
        hu : ndarray of float32, shape `grid.shape`
            Attenuation, HU.
        share : ndarray of float32, shape `grid.shape`
            Share inside any lesion, 0 to 1. Cavities and calcifications belong to it, spicules do not.
        """
        rng = np.random.default_rng(self._seed)
        hu, vessel = self.lungs.draw(grid, rng)
        voxel = grid.spacing[1]
        cavity, diaphragm = sampled(self.chest.cavity, grid), sampled(self.chest.diaphragm, grid)
        lung = np.maximum(np.maximum(cavity, -sampled(self.chest.mediastinum, grid)), -diaphragm)
        for lesion in self.lesions:
            lesion.nodule.draw_collapse(hu, grid, lesion.centre, self.chest, rng)
        beyond = coverage(-lung, voxel)
        if beyond.any():
            paint(hu, beyond, outside_lungs(self.chest, self.contrast, grid, cavity, diaphragm, rng))
        share = np.zeros(grid.shape, dtype=np.float32)
        for lesion in self.lesions:
            box, distance = self.surface(lesion, grid)
            if not distance.size:
                continue
            part = grid.part(box)
            thread = lesion.nodule.draw_spicules(lesion.shape, lesion.centre, part)
            paint(hu[box], thread * coverage(lung[box], voxel), lesion.nodule.solid_hu - 40)
            inside = lesion.nodule.draw(hu[box], distance, vessel[box], part, rng)
            np.maximum(share[box], inside, out=share[box])
        return hu, share

    def share(self, grid: Grid, offsets: Sequence[Sequence[float]] = ((0, 0, 0),)) -> np.ndarray:
        """Return the share of each voxel inside lesions that lie at any of some offsets (z, y, x), mm."""
        out = np.zeros(grid.shape, dtype=np.float32)
        for lesion in self.lesions:
            for offset in offsets:
                box, distance = self.surface(lesion, grid, offset)
                np.maximum(out[box], coverage(distance, grid.spacing[1]), out=out[box])
        return out

    def surface(
        self, lesion: Lesion, grid: Grid, offset: Sequence[float] = (0, 0, 0)
    ) -> tuple[Box, np.ndarray]:
        """Return the box of voxels that a lesion can reach, and the distance to its surface there, mm.

        The lesion ends at the chest wall, the diaphragm, the heart, the great vessels and the large airways.
        A lesion of the mediastinum grows into its fat; some lesions of the wall grow into the wall.
        """
        centre = lesion.centre + np.asarray(offset)
        reach = REACH * lesion.radius + 4
        box = grid.box(centre - reach, centre + reach)
        part = grid.part(box)
        if not all(part.shape):
            return box, np.zeros(part.shape, dtype=np.float32)
        distance, chest = lesion.shape.distance(part, centre), self.chest
        distance = np.maximum(distance, sampled(chest.cavity, part) - np.float32(lesion.nodule.invasion_mm))
        distance = np.maximum(distance, -sampled(chest.diaphragm, part))
        if TYPES[lesion.facts["type"]].place == "mediastinum":
            return box, np.maximum(distance, 1.5 - sampled(chest.organs, part))
        return box, np.maximum(distance, -sampled(chest.mediastinum, part))
