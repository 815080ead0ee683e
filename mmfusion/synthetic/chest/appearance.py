"""Appearance of the lesions: type, diameter and the properties that a scan shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

N_DRAWS = 6  # random numbers per lesion
LOW, HIGH = 3.0, 100.0  # smallest and largest diameter, mm


@dataclass(frozen=True)
class LesionType:
    """One type of lesion: where it lies and the ranges of its properties.

    Attributes
    ----------
    place : {"lung", "wall", "vessel", "mediastinum"}
        Where it lies: free in the lung, or in contact with the chest wall, a vessel or the mediastinum.
    diameter_mm : (low, high)
        Range in which the type occurs, mm.
    solidity : (low, high)
        Share of the volume that is solid; the rest is ground glass.
    spiculation, lobulation : (low, high)
        0 is smooth, 1 is strongly spiculated or lobulated.
    cavity : (low, high)
        Share of the volume that is air.
    calcium : float
        1 if the lesion is calcified, else 0.

    Examples
    --------
    >>> TYPES["cavitated"].cavity, TYPES["solid"].place
    ((0.15, 0.55), 'lung')
    """

    place: str = "lung"
    diameter_mm: tuple[float, float] = (LOW, HIGH)
    solidity: tuple[float, float] = (1.0, 1.0)
    spiculation: tuple[float, float] = (0.0, 0.4)
    lobulation: tuple[float, float] = (0.0, 0.4)
    cavity: tuple[float, float] = (0.0, 0.0)
    calcium: float = 0.0


TYPES = {
    "solid": LesionType(),
    "part-solid": LesionType(diameter_mm=(6, 50), solidity=(0.1, 0.7)),
    "ground-glass": LesionType(diameter_mm=(4, 50), solidity=(0.0, 0.0), spiculation=(0.0, 0.2)),
    "juxtapleural": LesionType(place="wall"),
    "juxtavascular": LesionType(place="vessel", diameter_mm=(LOW, 60)),
    "mediastinal-contact": LesionType(place="mediastinum", diameter_mm=(8, HIGH)),
    "cavitated": LesionType(diameter_mm=(10, HIGH), cavity=(0.15, 0.55)),
    "calcified": LesionType(diameter_mm=(LOW, 40), spiculation=(0.0, 0.15), calcium=1.0),
    "lobulated": LesionType(diameter_mm=(6, HIGH), lobulation=(0.6, 1.0)),
    "spiculated": LesionType(diameter_mm=(6, HIGH), spiculation=(0.6, 1.0)),
}
TRAITS = ("size", "ground_glass", "spiculation", "lobulation", "cavity", "calcium")


def draw(
    uniform: np.ndarray, types: Sequence[str] = tuple(TYPES), diameters: tuple[float, float] = (LOW, HIGH)
) -> pd.DataFrame:
    """Return the appearance of one lesion per row of random numbers.

    Parameters
    ----------
    uniform : ndarray, shape (n, 6)
        Random numbers in [0, 1).
    types : sequence of str
        Types that occur, equally often; keys of `TYPES`.
    diameters : (low, high)
        Range of the diameters, mm. The diameter is log-uniform over the part of this range in which its type
        occurs, or over this whole range if there is no such part.

    Returns
    -------
    DataFrame, shape (n, 7)
        Columns `type`, `diameter_mm` (of the sphere of equal volume), `solidity`, `spiculation`,
        `lobulation`, `cavity`, `calcium`; see `LesionType`.

    Examples
    --------
    >>> draw(np.full((1, 6), 0.5), ["solid"])[["type", "diameter_mm"]].values.tolist()
    [['solid', 17.32]]
    """
    kinds, which = [TYPES[name] for name in types], (uniform[:, 0] * len(types)).astype(int)
    low, high = np.log([_overlap(kind.diameter_mm, diameters) for kind in kinds])[which].T
    diameter = np.exp(low + (high - low) * uniform[:, 1]).round(2)
    out = pd.DataFrame({"type": np.array(types)[which], "diameter_mm": diameter})
    for column, name in enumerate(("solidity", "spiculation", "lobulation", "cavity"), start=2):
        low, high = np.array([getattr(kind, name) for kind in kinds])[which].T
        out[name] = (low + (high - low) * uniform[:, column]).round(4)
    out["calcium"] = np.array([kind.calcium for kind in kinds])[which]
    return out


def _overlap(own: tuple[float, float], wanted: tuple[float, float]) -> tuple[float, float]:
    low, high = max(own[0], wanted[0]), min(own[1], wanted[1])
    return (low, high) if low <= high else wanted


def traits(lesions: pd.DataFrame) -> np.ndarray:
    """Return the properties on which genotype and expression depend, shape (n, 6), in the order of `TRAITS`.

    They are standardised: mean 0 and standard deviation 1 over lesions of all types and diameters.

    Examples
    --------
    >>> many = traits(draw(np.random.default_rng(0).random((5000, 6))))
    >>> bool(np.abs(many.mean(axis=0)).max() < 0.05), bool(np.abs(many.std(axis=0) - 1).max() < 0.05)
    (True, True)
    """
    mean, sd = _standard()
    return (_raw(lesions) - mean) / sd


def _raw(lesions: pd.DataFrame) -> np.ndarray:
    columns = [np.log(lesions["diameter_mm"]), 1 - lesions["solidity"]]
    columns += [lesions[name] for name in ("spiculation", "lobulation", "cavity", "calcium")]
    return np.column_stack(columns).astype(float)


@lru_cache(maxsize=1)
def _standard() -> tuple[np.ndarray, np.ndarray]:
    raw = _raw(draw(np.random.default_rng(0).random((20_000, N_DRAWS))))
    return raw.mean(axis=0), raw.std(axis=0)
