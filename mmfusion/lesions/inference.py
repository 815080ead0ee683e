"""Prediction of a segmenter for one patient: probabilities, and the mask on the grid of the scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from mmfusion.errors import DataError, ScanWarning, warn
from mmfusion.imaging import Volume
from mmfusion.imaging.boxes import Box, box_map, lesion_boxes
from mmfusion.lesions.export import export_mask
from mmfusion.lesions.labels import given
from mmfusion.lesions.postprocess import nearest_region
from mmfusion.lesions.scans import Prepared, named
from mmfusion.lesions.tables import table_of
from mmfusion.nn.training.windows import predict_volume

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

SEED_CUBE_MM = 120.0  # half side of the cube that is read around a seed
SEED_REACH_MM = 15.0  # largest distance from a seed to the lesion that is meant


def segment(
    model: LesionSegmenter,
    scan: Volume | str | Path,
    pet: Volume | str | Path | None = None,
    seed: Sequence[float] | None = None,
    *,
    mask: Volume | str | Path | None = None,
) -> Volume:
    """Segment the lesions of one patient.

    Parameters
    ----------
    scan : Volume or path
        Scan of the first modality, in any format that `mmfusion.imaging.read` reads.
    pet : Volume or path, optional
        Scan of the second modality.
    seed : (x, y, z), optional
        A point in the lesion, LPS mm. Only the lesion there, or within 15 mm, is kept.
    mask : Volume or path, optional
        The true mask, which only the box mode "oracle" reads.

    Returns
    -------
    Volume
        Unit "mask", on the grid of `scan`. `mmfusion.lesions.write_mask` writes it.

    Raises
    ------
    DataError
        If the model needs a PET and none is given, if it does not read one, or if the box mode is "oracle"
        and there is no mask.
    ScanError
        If a scan cannot be read, or the seed lies outside it.
    """
    check_is_fitted(model, "module_")
    first, *others = model.fitted_.modalities
    if pet is not None and not others:
        raise DataError("the model does not read a second scan", parameter="pet", expected=f"{first} only",
                        hint="leave it out, or fit a model with modalities=('ct', 'pet')")  # fmt: skip
    cells = {(first, "volume"): scan, (first, "mask"): mask}
    cells |= {(m, "volume"): one for m, one in zip(others, [pet], strict=False)}
    cells = {k: str(v) if isinstance(v, Path) else v for k, v in cells.items() if v is not None}
    return segment_row(model, pd.Series(cells, name="patient", dtype=object), seed)


def probabilities(model: LesionSegmenter, X: pd.DataFrame) -> Iterator[Volume]:
    """Yield the probability map of each patient, unit "probability", on the grid of the network."""
    check_is_fitted(model, "module_")

    def one(row: pd.Series) -> Volume:
        scans = model.reader.prepare(row)
        with named(row.name):
            return probability_map(model, scans, prediction_boxes(model, row, scans))

    return (one(row) for _, row in table_of(X).iterrows())


def probability_map(model: LesionSegmenter, scans: Prepared, boxes: Sequence[Box] | None) -> Volume:
    """Return the probability that each voxel belongs to a lesion, on the grid of the network.

    Parameters
    ----------
    model : LesionSegmenter
        A fitted segmenter.
    scans : Prepared
        Scans of the patient.
    boxes : sequence of boxes, or None
        Boxes that the network gets as a cue; None: the whole scan.

    Returns
    -------
    Volume
        float32 in [0, 1], unit "probability".

    Raises
    ------
    DataError
        If the network predicts no masks, or values that are no numbers.
    """
    if "mask" not in model.module_.tasks:
        raise DataError("the network predicts no masks", parameter="options",
                        expected="mask among its tasks", got=model.module_.tasks)  # fmt: skip
    cue, space = None, scans.image.shape[1:]
    if model.box_mode != "none":
        cue = np.ones(space, np.float32) if boxes is None else box_map(boxes, space)
    logits = predict_volume(
        model.module_,
        scans.image,
        model.fitted_.size,
        device=model.device,
        cue=cue,
        slab=model.module_.slab,
        flips=model.test_time_flips,
    )[0]
    if np.isnan(logits).any():  # no voxel would be above the threshold
        raise DataError("the network predicts values that are not numbers", expected="finite weights",
                        hint="fit it again, with a lower lr")  # fmt: skip
    expit(logits, out=logits)
    return Volume(logits, scans.affine, unit="probability", provenance=stamp(model))


def stamp(model: LesionSegmenter) -> str | None:
    """Return "oracle" if the predictions of a model use the true masks, else None."""
    return "oracle" if model.box_mode == "oracle" else None


def prediction_boxes(
    model: LesionSegmenter, row: pd.Series, scans: Prepared, mask: np.ndarray | None = None
) -> list[Box] | None:
    """Return the boxes that a network gets as a cue at prediction; None means the whole scan.

    Parameters
    ----------
    model : LesionSegmenter
        A fitted segmenter.
    row : Series
        The patient's row of `Cohort.X`. Only the mode "oracle" reads its mask.
    scans : Prepared
        Scans of the patient.
    mask : ndarray, optional
        The true mask on the grid of the network, if it was read before.

    Raises
    ------
    DataError
        In the mode "oracle", if the patient has no mask.
    """
    if model.box_mode == "detector":
        return model.detector_.find(row, scans)
    if model.box_mode != "oracle":
        return None
    if mask is None:
        reader, label = model.reader, row.get((model.fitted_.modalities[0], "mask"))
        if not given(label, row.name, "mask"):
            raise DataError(
                "no mask, and box_mode='oracle' reads the box of the true mask",
                patient=row.name,
                column="mask",
                hint="use box_mode='detector' for patients without masks",
            )
        mask = reader.mask(row, label, scans)
    return lesion_boxes(mask)


def segment_row(
    model: LesionSegmenter, row: pd.Series, seed: Sequence[float] | None = None
) -> Volume:  # fmt: skip
    """Return the mask of a patient on the grid of the first scan.

    Parameters
    ----------
    model : LesionSegmenter
        A fitted segmenter.
    row : Series
        The patient's row of `Cohort.X`.
    seed : (x, y, z), optional
        A point in the lesion, LPS mm. Only the lesion there is kept.

    Raises
    ------
    DataError
        If the patient lacks a scan.
    ScanError
        If a scan cannot be read, or the seed lies outside it.

    Warns
    -----
    ScanWarning
        If no lesion is found near the seed.
    """
    scan = model.reader.scan(row)
    if seed is not None:
        seed = scan.expect_inside(seed)
    scans = model.reader.prepare(row, scan)
    with named(row.name):
        boxes = prediction_boxes(model, row, scans)
        if seed is not None:
            scans, boxes = _around(scans, boxes, seed)
        probability = probability_map(model, scans, boxes)
    mask = export_mask(probability, scan, model.threshold_, provenance=stamp(model))
    return mask if seed is None else _at_seed(mask, seed, row.name)


def _around(
    scans: Prepared, boxes: Sequence[Box] | None, seed: np.ndarray
) -> tuple[Prepared, list[Box] | None]:
    """Return the scans in a cube around a point, and the boxes in the voxels of the cube."""
    grid = Volume(np.broadcast_to(np.uint8(0), scans.image.shape[1:]), scans.affine, unit="mask")
    at = grid.mm_to_voxel(seed)[::-1]
    half = SEED_CUBE_MM / np.array(grid.spacing)
    low = np.maximum(np.floor(at - half), 0).astype(int)
    high = np.minimum(np.ceil(at + half) + 1, grid.shape).astype(int)
    affine = scans.affine.copy()
    affine[:3, 3] = grid.voxel_to_mm(low[::-1])
    image = scans.image[(slice(None), *(slice(a, b) for a, b in zip(low, high, strict=True)))]
    if boxes is not None:
        ends = [[(s.start - a, s.stop - a) for s, a in zip(box, low, strict=True)] for box in boxes]
        boxes = [tuple(slice(max(int(a), 0), max(int(b), 0)) for a, b in box) for box in ends]
    return Prepared(image, affine), boxes


def _at_seed(mask: Volume, seed: np.ndarray, patient: object) -> Volume:
    at = mask.mm_to_voxel(seed)[::-1]
    array = nearest_region(mask.array, at, mask.spacing, SEED_REACH_MM)
    if not array.any():
        text = f"patient {patient}: no lesion found within {SEED_REACH_MM:g} mm of the seed"
        warn(text, ScanWarning, stacklevel=4)
    return replace(mask, array=array)
