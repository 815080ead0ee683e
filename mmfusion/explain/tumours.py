"""The true tumours on the crops that a model read, to judge maps of scans."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError
from mmfusion.explain.conditional import FittedModel, find_stream
from mmfusion.preprocessing.crop_box import crop_box
from mmfusion.streams import CUBE


def tumour_masks(
    model: FittedModel, cohort: Cohort, patients: Sequence[object], *, stream: str | None = None
) -> np.ndarray:
    """Return the masks of the tumours on the crops that a model reads.

    The model does not read the masks. A crop is placed by the seed, or by the lungs, as for the model.

    Parameters
    ----------
    model : StageClassifier
        A fitted classifier that reads scans.
    cohort : Cohort
        Cohort with scans; its masks are in the column `mask`.
    patients : sequence of str
        Ids of the patients, such as `ScanAttribution.patients`.
    stream : str, optional
        Name of the scan stream. Default: the first.

    Returns
    -------
    ndarray of uint8, shape (n, S, S, S)
        0 or 1; all 0 for a patient without a mask, or whose tumour lies outside the crop.

    Raises
    ------
    DataError
        If the model reads no scans, or a patient is unknown or has no scan.
    ScanError
        If a scan or mask cannot be read; the error names the patient.
    """
    _, spec = find_stream(model, CUBE, "scan", stream)
    settings, known = model.transformer_.transformers_[spec.name], set(cohort.table.index)
    masks = np.zeros((len(patients), *spec.shape[1:]), np.uint8)
    for mask, patient in zip(masks, patients, strict=True):
        if patient not in known:
            raise DataError("no such patient in the cohort", patient=patient, got=cohort.name)
        scan = open_scan(cohort, patient, spec.modality)
        if scan.lesion is not None:
            seed = None if settings.mode == "lung" else scan.seed
            center, size = crop_box(scan.volume, seed, settings.side, settings.spacing, settings.mode)
            mask[:] = scan.lesion.crop(center, size, size / settings.side).array
    return masks


def pointing_game(maps: np.ndarray, masks: np.ndarray) -> pd.Series:
    """Return for each map if its largest value lies in the tumour.

    Maps by occlusion have the same value in a whole block. If several voxels have the largest value, the
    result is the share of them that lies in the tumour.

    Parameters
    ----------
    maps : ndarray, shape (n, S, S, S)
        Maps with values of 0 or above.
    masks : ndarray, shape (n, S, S, S)
        Masks of the tumour on the same crops, 0 or 1.

    Returns
    -------
    Series of float
        1 for a hit, 0 for a miss, or a share; NaN for a map of zeros, or without a tumour. The mean is the
        hit rate.

    Raises
    ------
    DataError
        If the shapes differ, or a value is not a finite number.

    References
    ----------
    Zhang et al. 2018, International Journal of Computer Vision 126.

    Examples
    --------
    >>> maps, mask = np.zeros((2, 2, 2, 2)), np.zeros((2, 2, 2, 2))
    >>> maps[:, 0, 1, 1] = 1
    >>> mask[0, 0, 1, 1] = mask[1, 0, 0, 0] = 1
    >>> pointing_game(maps, mask).tolist()
    [1.0, 0.0]
    """
    maps, inside = checked_maps(maps, masks)
    flat, inside = (array.reshape(len(maps), prod(maps.shape[1:])) for array in (maps, inside))
    largest = flat == flat.max(axis=1, keepdims=True)
    hit = (largest & inside).sum(axis=1) / largest.sum(axis=1)
    return pd.Series(np.where((flat.max(axis=1) > 0) & inside.any(axis=1), hit, np.nan), name="hit")


def checked_maps(maps: object, masks: object) -> tuple[np.ndarray, np.ndarray]:
    """Return maps as floats and masks as bool, both of shape (n, S, S, S), after checking them.

    Raises
    ------
    DataError
        If the shapes differ, or a value is not a finite number.

    Examples
    --------
    >>> checked_maps(np.zeros((1, 2, 2, 2)), None)
    Traceback (most recent call last):
    mmfusion.errors.DataError: parameter masks: not numbers (expected shape (n, S, S, S); got object)
    """
    arrays = {"maps": np.asarray(maps), "masks": np.asarray(masks)}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            got = "NaN or infinity" if array.dtype.kind == "f" else array.dtype
            raise DataError("not numbers", parameter=name, expected="shape (n, S, S, S)", got=got)
    maps, masks = arrays.values()
    if maps.shape != masks.shape or maps.ndim != 4:
        raise DataError("maps and masks differ in shape", expected=maps.shape, got=masks.shape)
    return maps.astype(float), masks > 0
