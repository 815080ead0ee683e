"""Tissues of the lesion phantom in HU, and how they are mixed into an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AIR, FAT, MUSCLE = -1000.0, -100.0, 55.0  # HU
# phase -> HU of blood in the arteries, of blood in the veins and the right heart; enhancement of organs, HU
PHASES = {"none": (42, 42, 0), "arterial": (290, 230, 25), "venous": (165, 160, 45)}


@dataclass(frozen=True)
class Contrast:
    """Contrast phase of one patient.

    Attributes
    ----------
    arteries, veins : float
        Attenuation of arterial and of venous blood, HU.
    enhancement : float
        Attenuation of organs and tumours above that without contrast agent, HU.

    Examples
    --------
    >>> Contrast.draw("none", np.random.default_rng(0)).enhancement
    0.0
    """

    arteries: float
    veins: float
    enhancement: float

    @classmethod
    def draw(cls, phase: str, rng: np.random.Generator) -> Contrast:
        """Draw the HU of one patient in a phase of `PHASES`."""
        arteries, veins, more = PHASES[phase]
        spread = rng.uniform(0.8, 1.25)
        return cls(arteries * spread, veins * spread * rng.uniform(0.9, 1.1), more * rng.uniform(0.6, 1.4))


def paint(hu: np.ndarray, share: np.ndarray, tissue: np.ndarray | float) -> None:
    """Mix a tissue into an image in place, by its share of each voxel.

    Parameters
    ----------
    hu : ndarray
        Image, HU; it is changed. For PET, the values are SUV.
    share : ndarray
        Share of each voxel that is this tissue, 0 to 1.
    tissue : float or ndarray
        Value of the tissue, in the unit of the image.

    Examples
    --------
    >>> image = np.zeros(2)
    >>> paint(image, np.array([0.0, 0.5]), 50.0)
    >>> image.tolist()
    [0.0, 25.0]
    """
    hu += share * (np.float32(tissue) - hu if np.isscalar(tissue) else tissue - hu)
