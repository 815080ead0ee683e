"""Lesions of the phantom: their appearance given the tumour burden, and the voxels that they fill.

Four properties are Gaussian given the burden `B` ~ N(0, 1): z_j = c_j B + sqrt(1 - c_j^2) e_j. Strictly
increasing bounded maps turn them into physical quantities, so that p(appearance | burden) is known exactly.
The uptake, which a PET shows, is a fifth property.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit

# appearance: (correlation with the burden, low, high, steepness, geometric?)
APPEARANCE = {
    "diameter_mm": (0.94, 10.0, 50.0, 1.1, True),  # diameter of the sphere of equal volume
    "solidity_hu": (0.50, -350.0, 60.0, 1.0, False),  # mean attenuation: part-solid to solid
    "spiculation": (0.40, 0.05, 0.60, 1.0, False),  # relative height of the spikes
    "texture_hu": (0.25, 10.0, 90.0, 1.0, False),  # standard deviation inside
}
UPTAKE = {"suv": (0.60, 2.0, 14.0, 1.0, True)}  # mean uptake in SUVbw; only a PET shows it
_ALL = {**APPEARANCE, **UPTAKE}
SEEN_BY = {"ct": tuple(APPEARANCE), "pet": ("diameter_mm", *UPTAKE), "ct+pet": tuple(_ALL)}


def sample(
    burden: np.ndarray, rng: np.random.Generator, names: Sequence[str] = SEEN_BY["ct"]
) -> pd.DataFrame:
    """Draw the appearance of one lesion per burden.

    Parameters
    ----------
    burden : ndarray, shape (n,)
        Tumour burden of each patient, standard normal.
    rng : Generator
        Random generator.
    names : sequence of str
        Properties to draw, keys of `APPEARANCE` or `UPTAKE`.

    Returns
    -------
    DataFrame, shape (n, len(names))
        Columns `names`.

    Examples
    --------
    >>> list(sample(np.zeros(2), np.random.default_rng(0)))
    ['diameter_mm', 'solidity_hu', 'spiculation', 'texture_hu']
    """
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
    """Return log p(appearance | burden = grid) up to a constant, shape (n, n_grid).

    Parameters
    ----------
    lesions : DataFrame, shape (n, >= len(names))
        Appearance, as `sample` returns it.
    grid : ndarray, shape (n_grid,)
        Values of the burden.
    names : sequence of str
        Properties that are seen.

    Examples
    --------
    >>> log_likelihood(sample(np.zeros(2), np.random.default_rng(0)), np.linspace(-4, 4, 5)).shape
    (2, 5)
    """
    total = np.zeros((len(lesions), len(grid)))
    for name in names:
        c, low, high, steepness, geometric = _ALL[name]
        value = lesions[name].to_numpy()[:, None]
        share = np.log(value / low) / np.log(high / low) if geometric else (value - low) / (high - low)
        total -= 0.5 * (logit(share) / steepness - c * grid) ** 2 / (1 - c**2)
    return total


def volume_ml(diameter_mm: np.ndarray | float) -> np.ndarray | float:
    """Return the volume in mL of a sphere with a diameter in mm.

    Examples
    --------
    >>> round(float(volume_ml(10.0)), 3)
    0.524
    """
    return np.pi / 6 * np.asarray(diameter_mm) ** 3 / 1000


class SpikyBall:
    """Ball of a given volume with spikes in random directions.

    Parameters
    ----------
    diameter_mm : float
        Diameter of the sphere of equal volume, mm.
    spiculation : float
        Height of a spike divided by the radius.
    rng : Generator
        Random generator for the directions of the spikes.

    Examples
    --------
    >>> ball = SpikyBall(20.0, 0.0, np.random.default_rng(0))  # without spikes: a sphere
    >>> round(ball.reach, 3)
    10.0
    """

    N_SPIKES, SHARPNESS = 10, 12.0

    def __init__(self, diameter_mm: float, spiculation: float, rng: np.random.Generator) -> None:
        spikes = rng.standard_normal((self.N_SPIKES, 3))
        self.spikes = (spikes / np.linalg.norm(spikes, axis=1, keepdims=True)).astype(np.float32)
        self.spiculation = spiculation
        # the mean of r^3 over all directions gives the volume
        self.radius = diameter_mm / 2 / np.mean(self._relief(_DIRECTIONS) ** 3) ** (1 / 3)

    @property
    def reach(self) -> float:
        """Largest distance of any part from the centre, mm."""
        return float(self.radius * (1 + 2 * self.spiculation))

    def occupancy(self, offsets: np.ndarray, voxel_mm: float) -> np.ndarray:
        """Return the share of each voxel that lies inside, in [0, 1].

        Parameters
        ----------
        offsets : ndarray of float32, shape (..., 3)
            Offset of each voxel's centre from the centre of the ball, mm.
        voxel_mm : float
            Voxel size, mm.

        Returns
        -------
        ndarray of float32, shape (...)
            Shares.
        """
        distance = np.sqrt(np.einsum("...i,...i->...", offsets, offsets))
        surface = self.radius * self._relief(offsets / np.maximum(distance, 1e-3)[..., None])
        return np.clip((surface - distance) / voxel_mm + 0.5, 0.0, 1.0)

    def _relief(self, directions: np.ndarray) -> np.ndarray:
        lobes = np.exp(self.SHARPNESS * (directions @ self.spikes.T - 1)).sum(axis=-1)
        return 1 + self.spiculation * np.minimum(lobes, 2.0)


def _fibonacci_sphere(n: int) -> np.ndarray:
    """Return `n` directions that are spread evenly over the sphere, shape (n, 3)."""
    k = np.arange(n) + 0.5
    z, angle = 1 - 2 * k / n, np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1).astype(np.float32)


_DIRECTIONS = _fibonacci_sphere(400)
