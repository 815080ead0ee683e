"""The phantom's lesion: what it looks like given the tumour burden, and how it fills voxels.

Four appearances are Gaussian given the burden `B` ~ N(0, 1), each z_j = c_j B + sqrt(1 - c_j^2) e_j, and become
physical quantities through strictly increasing bounded maps, so that p(appearance | burden) is known exactly.
The uptake, which a PET shows, is a fifth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit

# appearance: (correlation with the burden, low, high, steepness, geometric?)
APPEARANCE = {
    "diameter_mm": (0.94, 10.0, 50.0, 1.1, True),  # of the sphere of equal volume
    "solidity_hu": (0.50, -350.0, 60.0, 1.0, False),  # mean attenuation: part-solid to solid
    "spiculation": (0.40, 0.05, 0.60, 1.0, False),  # relative height of the spikes
    "texture_hu": (0.25, 10.0, 90.0, 1.0, False),  # standard deviation inside
}
UPTAKE = {"suv": (0.60, 2.0, 14.0, 1.0, True)}  # mean uptake in SUVbw, which a PET shows and a CT does not
_ALL = {**APPEARANCE, **UPTAKE}
SEEN_BY = {"ct": tuple(APPEARANCE), "pet": ("diameter_mm", *UPTAKE), "ct+pet": tuple(_ALL)}


def sample(
    burden: np.ndarray, rng: np.random.Generator, names: Sequence[str] = SEEN_BY["ct"]
) -> pd.DataFrame:
    """Return the appearance of one lesion per burden, shape (n, len(names)); columns `names`."""
    out = {}
    for name in names:
        c, low, high, steepness, geometric = _ALL[name]
        z = c * burden + np.sqrt(1 - c**2) * rng.standard_normal(len(burden))
        share = expit(steepness * z)
        out[name] = low * (high / low) ** share if geometric else low + (high - low) * share
    return pd.DataFrame(out)


def log_likelihood(
    lesions: pd.DataFrame, grid: np.ndarray, names: Sequence[str] = SEEN_BY["ct"]
) -> np.ndarray:
    """Return log p(appearance in `names` | burden = grid) up to a constant, shape (n, n_grid)."""
    total = np.zeros((len(lesions), len(grid)))
    for name in names:
        c, low, high, steepness, geometric = _ALL[name]
        value = lesions[name].to_numpy()[:, None]
        share = np.log(value / low) / np.log(high / low) if geometric else (value - low) / (high - low)
        total -= 0.5 * (logit(share) / steepness - c * grid) ** 2 / (1 - c**2)
    return total


def volume_ml(diameter_mm: np.ndarray | float) -> np.ndarray | float:
    """Volume of a sphere of that diameter, mL."""
    return np.pi / 6 * np.asarray(diameter_mm) ** 3 / 1000


class SpikyBall:
    """A ball with spikes in random directions, of a given volume.

    Parameters
    ----------
    diameter_mm : float
        Of the sphere of equal volume.
    spiculation : float
        Height of a spike over the radius.
    rng : Generator
        Draws the spikes' directions.
    """

    N_SPIKES, SHARPNESS = 10, 12.0

    def __init__(self, diameter_mm: float, spiculation: float, rng: np.random.Generator) -> None:
        spikes = rng.standard_normal((self.N_SPIKES, 3))
        self.spikes = (spikes / np.linalg.norm(spikes, axis=1, keepdims=True)).astype(np.float32)
        self.spiculation = spiculation
        # mean of r^3 over the sphere sets the volume
        self.radius = diameter_mm / 2 / np.mean(self._relief(_DIRECTIONS) ** 3) ** (1 / 3)

    @property
    def reach(self) -> float:
        """No part is farther from the centre, mm."""
        return float(self.radius * (1 + 2 * self.spiculation))

    def occupancy(self, offsets: np.ndarray, voxel_mm: float) -> np.ndarray:
        """Share of each voxel inside, float32 in [0, 1], for offsets (..., 3) in mm from the centre."""
        distance = np.sqrt(np.einsum("...i,...i->...", offsets, offsets))
        surface = self.radius * self._relief(offsets / np.maximum(distance, 1e-3)[..., None])
        return np.clip((surface - distance) / voxel_mm + 0.5, 0.0, 1.0)

    def _relief(self, directions: np.ndarray) -> np.ndarray:
        lobes = np.exp(self.SHARPNESS * (directions @ self.spikes.T - 1)).sum(axis=-1)
        return 1 + self.spiculation * np.minimum(lobes, 2.0)


def _fibonacci_sphere(n: int) -> np.ndarray:
    """`n` directions spread evenly over the sphere, shape (n, 3)."""
    k = np.arange(n) + 0.5
    z, angle = 1 - 2 * k / n, np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1).astype(np.float32)


_DIRECTIONS = _fibonacci_sphere(400)
