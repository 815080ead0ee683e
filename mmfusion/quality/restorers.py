"""Comparison of restorers on one scan: size of the change, lesion contrast, noise, effect on a prediction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from mmfusion.display import html_card, html_table
from mmfusion.errors import ScanError
from mmfusion.imaging.hu import CT_WINDOW, PADDING_HU
from mmfusion.imaging.restoration.base import Restorer, difference, make_restorer
from mmfusion.imaging.sampling import filled_box
from mmfusion.imaging.volume import Volume
from mmfusion.registry import RESTORERS, list_restorers

_RING_MM = (2.0, 8.0)  # distance of the surrounding ring from the lesion's edge
_BALL_MM = 5.0  # radius of the ball that is used as the lesion if only a point is given
_FLAT = 7  # side in pixels of the squares in which noise is measured
_FLAT_HU = {"tissue": (-50.0, 120.0), "air": (-1023.0, -940.0)}  # range of the smoothed HU in a square


@dataclass(frozen=True, eq=False, repr=False)
class RestorerComparison:
    """Measurements and images of several restorers on one scan.

    Parameters
    ----------
    table : DataFrame
        A row per restorer, "input" first. If a name occurs several times, its label has the options that
        differ. `ssim`, `psnr_db`: similarity to the input; they measure change, not quality.
        `ssim_reference`, `psnr_reference_db`: similarity to the reference, if there is one. `contrast_hu`:
        mean of the lesion minus mean of the surrounding ring, 2 to 8 mm from the lesion's edge. `cnr`: the
        contrast divided by the SD of the ring. `noise_tissue_hu`, `noise_air_hu`: median SD over flat squares
        of 7 pixels. `mean_abs_delta_hu`: mean absolute change. `seconds`: run time. `p(<class>)`, `shift`:
        probabilities of a prediction, and the largest change of a probability.
    images, deltas : dict of str to ndarray of float32, shape (y, x)
        HU of one axial slice by restorer, with "input" among the images; and the HU that each restorer added.
    contour : ndarray of bool, shape (y, x), or None
        Lesion in this slice.
    spacing : tuple of float
        Pixel size (y, x) of the slice in mm.
    slice_index : int
        Index of the slice along z.
    """

    table: pd.DataFrame
    images: dict[str, np.ndarray]
    deltas: dict[str, np.ndarray]
    contour: np.ndarray | None
    spacing: tuple[float, float]
    slice_index: int

    def __repr__(self) -> str:
        return f"RestorerComparison(\n{self.table.round(3).to_string()}\n)"

    def _repr_html_(self) -> str:
        notes = ["SSIM and PSNR measure how much a restorer changes the scan, not how good the result is."]
        return html_card(f"{len(self.deltas)} restorers on one scan", html_table(self.table), notes=notes)


def compare_restorers(
    volume: Volume,
    restorers: Sequence[str | Mapping[str, object] | Restorer] | None = None,
    *,
    mask: Volume | None = None,
    point: Sequence[float] | None = None,
    reference: Volume | None = None,
    predict: Callable[[Volume], Mapping[str, float]] | None = None,
) -> RestorerComparison:
    """Run several restorers on one scan and measure their effects.

    Parameters
    ----------
    volume : Volume
        Scan in HU. A crop around the lesion is enough, and much faster than a whole scan.
    restorers : sequence, optional
        Names, mappings of "name" and options, or restorers. Default: all restorers that need no weights.
    mask : Volume, optional
        Mask of the lesion. It is resampled to the scan's grid.
    point : (float, float, float), optional
        Point (x, y, z) in LPS mm. If there is no mask, a ball of radius 5 mm around it is used as the lesion.
    reference : Volume, optional
        The same scan with less noise, on the same grid. It is known for a phantom.
    predict : callable, optional
        Function of a volume that returns probabilities by class:
        `lambda v: model.predict_patient(ct=...).probabilities`.

    Raises
    ------
    ScanError
        If volumes are on different grids, or the lesion lies outside the scan.
    MMFusionError
        If there is no such restorer, or its weights or package are not installed.

    Examples
    --------
    >>> scan = Volume(np.zeros((2, 12, 12), np.float32), np.eye(4))
    >>> found = compare_restorers(scan, ["identity"])
    >>> list(found.table.index), float(found.table.loc["identity", "mean_abs_delta_hu"])
    (['input', 'identity'], 0.0)
    """
    named = _named(_without_weights() if restorers is None else restorers)
    lesion = _lesion(volume, mask, point)
    flat = {name: _flat(volume, limits) for name, limits in _FLAT_HU.items()}
    results, seconds = {"input": volume}, {"input": np.nan}
    for name, restorer in named.items():
        start = time.perf_counter()
        results[name] = restorer(volume)
        seconds[name] = time.perf_counter() - start
    rows = {}
    for name, result in results.items():
        rows[name] = _similarity(volume, result, "")
        rows[name] |= _similarity(reference, result, "_reference") if reference is not None else {}
        rows[name] |= _contrast(result, lesion)
        rows[name] |= {f"noise_{k}_hu": _noise(result, where) for k, where in flat.items()}
        rows[name] |= {
            "mean_abs_delta_hu": float(np.abs(difference(volume, result)).mean()),
            "seconds": seconds[name],
        }
    if predict is not None:
        _predictions(rows, results, predict)
    area = np.ones(volume.shape[0]) if lesion is None else lesion.sum(axis=(1, 2))
    k = int(np.median(np.flatnonzero(area == area.max())))
    return RestorerComparison(
        table=pd.DataFrame.from_dict(rows, orient="index").rename_axis("restorer"),
        images={name: result.array[k].astype(np.float32) for name, result in results.items()},
        deltas={name: difference(volume, results[name])[k] for name in named},
        contour=None if lesion is None else lesion[k],
        spacing=volume.spacing[1:],
        slice_index=k,
    )


def _without_weights() -> list[str]:
    names = [name for name in list_restorers().index if not RESTORERS.get(name).needs_weights]
    return sorted(names, key="identity".__ne__)


def _named(chosen: Sequence[str | Mapping[str, object] | Restorer]) -> dict[str, Restorer]:
    """Return the restorers by label; equal labels are extended by the options that differ, or numbered."""
    labels, made = [_label(r) for r in chosen], [make_restorer(r) for r in chosen]
    named: dict[str, Restorer] = {}
    for label, restorer in zip(labels, made, strict=True):
        alike = [vars(other) for name, other in zip(labels, made, strict=True) if name == label]
        differing = [f"{k}={v}" for k, v in vars(restorer).items() if any(o.get(k) != v for o in alike)]
        name = " ".join([label, *differing])
        n = sum(known == name or known.startswith(f"{name} #") for known in named) + 1
        named[name if n == 1 else f"{name} #{n}"] = restorer
    return named


def _label(restorer: str | Mapping[str, object] | Restorer) -> str:
    if isinstance(restorer, str):
        return restorer
    options = dict(restorer) if isinstance(restorer, Mapping) else vars(restorer)
    name = options.get("name") or restorer.registered_name
    return str(options.get("mode") or name)


def _lesion(volume: Volume, mask: Volume | None, point: Sequence[float] | None) -> np.ndarray | None:
    if mask is None and point is None:
        return None
    if mask is not None:
        lesion = mask.on_grid(volume.affine, volume.shape).array > 0
    else:
        index = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape[::-1]], indexing="ij"), axis=-1)
        far = np.linalg.norm(volume.voxel_to_mm(index) - np.asarray(point, dtype=np.float64), axis=-1)
        lesion = (far <= _BALL_MM).transpose(2, 1, 0)
    if not lesion.any():
        raise ScanError("the lesion lies outside the scan", got=mask if point is None else list(point))
    return lesion


def _contrast(volume: Volume, lesion: np.ndarray | None) -> dict[str, float]:
    if lesion is None:
        return {}
    reach = [int(np.ceil(_RING_MM[1] / s)) + 1 for s in volume.spacing]
    box = tuple(slice(max(s.start - r, 0), s.stop + r) for s, r in zip(filled_box(lesion), reach))
    hu, inside = volume.array[box].astype(np.float64), lesion[box]
    edge = ndimage.distance_transform_edt(~inside, sampling=volume.spacing)
    ring = hu[(edge >= _RING_MM[0]) & (edge <= _RING_MM[1]) & (hu > PADDING_HU)]
    contrast = float(hu[inside].mean() - ring.mean()) if ring.size else np.nan
    return {"contrast_hu": contrast, "cnr": contrast / ring.std() if ring.size and ring.std() > 0 else np.nan}


def _flat(volume: Volume, limits: tuple[float, float]) -> np.ndarray:
    """Return the mask of voxels with a flat neighbourhood, bool, shape (z, y, x).

    In the square of 7 pixels around such a voxel, all smoothed values are within the limits.
    """
    smooth = ndimage.gaussian_filter(volume.array.astype(np.float32), (0, 1.5, 1.5))
    within = (smooth >= limits[0]) & (smooth <= limits[1])
    return ndimage.minimum_filter(within, (1, _FLAT, _FLAT), mode="constant")


def _noise(volume: Volume, where: np.ndarray) -> float:
    if not where.any():
        return np.nan
    size = (1, _FLAT, _FLAT)
    hu = volume.array.astype(np.float64)
    mean = ndimage.uniform_filter(hu, size)
    variance = ndimage.uniform_filter(hu**2, size) - mean**2
    return float(np.median(np.sqrt(np.maximum(variance[where], 0))))


def _similarity(one: Volume, other: Volume, suffix: str) -> dict[str, float]:
    """Return SSIM (mean over the axial slices) and PSNR within the window; PSNR leaves out padding."""
    from skimage.metrics import structural_similarity

    difference(one, other)  # raises an error if the grids differ
    low, high = CT_WINDOW
    a, b = ((np.clip(v.array.astype(np.float64), low, high) - low) / (high - low) for v in (one, other))
    known = one.array > PADDING_HU
    error = float(((a - b)[known] ** 2).mean()) if known.any() else 0.0
    side = min(7, *(n - 1 + n % 2 for n in a.shape[1:]))
    ssim = (
        [structural_similarity(p, q, data_range=1.0, win_size=side) for p, q in zip(a, b)]
        if side >= 3
        else [np.nan]
    )
    psnr = float(-10 * np.log10(error)) if error else np.inf
    return {f"ssim{suffix}": float(np.mean(ssim)), f"psnr{suffix}_db": psnr}


def _predictions(rows: dict[str, dict], results: Mapping[str, Volume], predict: Callable) -> None:
    before = dict(predict(results["input"]))
    for name, result in results.items():
        after = before if name == "input" else dict(predict(result))
        rows[name] |= {f"p({c})": float(p) for c, p in after.items()}
        rows[name]["shift"] = max(abs(float(after[c]) - float(p)) for c, p in before.items())
