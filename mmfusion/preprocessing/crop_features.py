"""Interpretable features of scan crops, for models that read tables (ridge, forest)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.measure import marching_cubes, mesh_surface_area

from mmfusion.errors import DataError
from mmfusion.modalities import scan_modality
from mmfusion.preprocessing.uptake import describe_uptake

_SHELLS_MM = (0, 4, 8, 12, 16, 22, 30, 42)
_SOFT_HU, _TISSUE_HU, _LUNG_HU = -150.0, -400.0, -850.0
_BALLS_MM = (6, 10, 15, 20)
_REACH_MM = 30.0  # the lesion is searched within this radius of the crop's centre
_NEAR_MM = 9.0  # and its nearest voxel must be this close to the centre
_PIECE = (
    "ml",
    "diameter_mm",
    "sphericity",
    "elongation",
    "flatness",
    "density",
    "density_sd",
    "density_core",
    "rim_edge",
)


def crop_features(
    crops: np.ndarray,
    *,
    spacing: float = 3.0,
    window: tuple[float, float] | None = None,
    index: Sequence[object] | None = None,
    modality: str = "ct",
) -> pd.DataFrame:
    """Compute interpretable features of tumour crops.

    For a PET, and for what its window cuts off, see `mmfusion.preprocessing.uptake`. The features of a CT are
    the density by distance from the centre, the share of soft tissue within balls, and size, shape, density,
    texture and sharpness of the piece of tissue at the centre (above -400 HU, within 30 mm). Sphericity,
    elongation and flatness follow the Image Biomarker Standardisation Initiative (Zwanenburg et al. 2020,
    Radiology 295(2)): 1 for a ball, less for other shapes.

    Parameters
    ----------
    crops : ndarray, shape (n, 1, S, S, S)
        Output of `ScanTransformer`: values in `window`, mapped to [0, 1]. A crop of zeros means that there is
        no scan.
    spacing : float
        Voxel size in mm.
    window : (float, float), optional
        Values at 0 and at 1; default the modality's window.
    index : sequence, optional
        Patient ids, the index of the result.
    modality : {"ct", "pet"}
        Modality of the scans.

    Returns
    -------
    DataFrame of float64, shape (n, 24) or (n, 13)
        HU or SUVbw, mL, mm or shares, as the names say. The row of a patient without a scan is missing.

    Raises
    ------
    DataError
        If the crops have another shape.

    Examples
    --------
    >>> crops = np.full((1, 1, 16, 16, 16), 0.1)
    >>> crops[:, :, 6:10, 6:10, 6:10] = 0.8
    >>> crop_features(crops, index=["p1"]).loc["p1", ["piece_ml", "soft_share_6mm"]].round(2).tolist()
    [0.86, 1.0]
    """
    if crops.ndim != 5 or crops.shape[1] != 1 or len(set(crops.shape[2:])) != 1:
        raise DataError("not crops", expected="shape (n, 1, S, S, S)", got=crops.shape)
    axis = (np.arange(crops.shape[-1]) - (crops.shape[-1] - 1) / 2) * spacing
    radius = np.sqrt(sum(np.square(a) for a in np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)))
    low, high = scan_modality(modality).window if window is None else window
    describe = {"HU": _describe, "SUVbw": describe_uptake}[scan_modality(modality).unit]
    rows = [
        describe(low + (high - low) * crop[0].astype(np.float64), radius, spacing) if crop.any() else {}
        for crop in crops
    ]
    columns = list(describe(np.full(crops.shape[2:], low), radius, spacing))
    return pd.DataFrame(rows, index=index, columns=columns, dtype=np.float64)


def _describe(hu: np.ndarray, radius: np.ndarray, spacing: float) -> dict[str, float]:
    out: dict[str, float] = {}
    for a, b in pairwise(_SHELLS_MM):
        shell = (radius >= a) & (radius < b)
        out[f"density_{a}_{b}mm"] = float(hu[shell].mean()) if shell.any() else np.nan
    for r in _BALLS_MM:
        out[f"soft_share_{r}mm"] = float((hu[radius < r] > _SOFT_HU).mean()) if (radius < r).any() else np.nan
    ball = hu[radius < 15]
    for percent in (10, 50, 90):
        out[f"density_p{percent}_15mm"] = float(np.percentile(ball, percent))
    edge = np.sqrt(sum(np.square(g) for g in np.gradient(hu, spacing)))
    out["edge_energy_15mm"] = float(np.sqrt(np.square(edge[radius < 15]).mean()))
    return out | _piece(_central_piece(hu, radius), hu, edge, spacing)


def _central_piece(hu: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return the mask of the piece of tissue nearest to the centre; all False if no tissue is near.

    An erosion by one voxel cuts thin bridges to vessels or pleura. It is skipped if it removes the whole
    lesion.
    """
    tissue = (hu > _TISSUE_HU) & (radius < _REACH_MM)
    core = _nearest(ndimage.binary_erosion(tissue), radius)
    if core.any():
        return ndimage.binary_dilation(core, mask=tissue)
    return _nearest(tissue, radius)


def _nearest(tissue: np.ndarray, radius: np.ndarray) -> np.ndarray:
    labels, _ = ndimage.label(tissue)
    distance = np.where(tissue, radius, np.inf)
    nearest = distance.argmin()
    if distance.flat[nearest] > _NEAR_MM:
        return np.zeros(tissue.shape, dtype=bool)
    return labels == labels.flat[nearest]


def _piece(piece: np.ndarray, hu: np.ndarray, edge: np.ndarray, spacing: float) -> dict[str, float]:
    """Return size, shape and density of the piece of tissue at the centre; zeros if there is none."""
    if not piece.any():
        return {f"piece_{name}": 0.0 for name in _PIECE}
    points = np.argwhere(piece) * spacing
    volume = len(points) * spacing**3
    # partial volume sets the position of the surface between voxels; it is halfway where tissue was cut off
    alone = np.where(piece | (hu <= _TISSUE_HU), hu, _LUNG_HU)
    padded = np.pad(alone, 1, constant_values=_LUNG_HU)
    vertices, faces, _, _ = marching_cubes(padded, _TISSUE_HU, spacing=(spacing,) * 3)
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    enclosed = abs(np.sum(a * np.cross(b, c))) / 6  # sum over the tetrahedra from the origin to each face
    centred = points - points.mean(axis=0)
    # the variance within a voxel is added, so that a piece of one voxel is a ball
    least, minor, major = np.sqrt(np.linalg.eigvalsh(centred.T @ centred / len(points)) + spacing**2 / 12)
    core = ndimage.binary_erosion(piece)
    rim = piece & ~core
    values = (
        volume / 1000,
        2 * (3 * volume / (4 * np.pi)) ** (1 / 3),
        np.pi ** (1 / 3) * (6 * enclosed) ** (2 / 3) / mesh_surface_area(vertices, faces),
        minor / major,
        least / major,
        hu[piece].mean(),
        hu[piece].std(),
        hu[core].mean() if core.any() else hu[piece].max(),
        edge[rim].mean(),
    )
    return {f"piece_{name}": float(value) for name, value in zip(_PIECE, values)}
