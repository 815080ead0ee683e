"""Frames of a DICOM-SEG: check that each states its place in the patient, and put them on one grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from mmfusion.errors import ScanError
from mmfusion.imaging.affine import stacked
from mmfusion.imaging.volume import Volume

_GROUPS = {  # sequence that each frame needs -> what is absent without it
    "PlanePositionSequence": "positions",
    "PlaneOrientationSequence": "orientation",
    "PixelMeasuresSequence": "pixel size",
}
_FARTHEST_MM = 1e5  # a coordinate beyond this is no place in a scanner


@dataclass(frozen=True)
class Frame:
    """One frame of a segmentation and its place in the patient.

    Attributes
    ----------
    index : int
        Number of the frame in the file, from 0.
    segment : int or None
        Number of its segment; None in a label map, whose values are the numbers of the segments.
    position : ndarray, shape (3,)
        Centre of the first pixel, LPS mm.
    orientation : ndarray, shape (6,)
        Unit vectors along a row and a column.
    spacing : ndarray, shape (2,)
        Distance between rows and between columns, mm.
    step, thickness : float
        Distance between planes, and their thickness, mm; 0 if the file does not state it.
    """

    index: int
    segment: int | None
    position: np.ndarray
    orientation: np.ndarray
    spacing: np.ndarray
    step: float
    thickness: float


def frames_of(ds: Dataset, path: str) -> list[Frame]:
    """Return all frames of a segmentation with their places.

    Raises
    ------
    ScanError
        If frames state no position, orientation, pixel size or segment, or an impossible one.
    """
    items = list(ds.get("PerFrameFunctionalGroupsSequence") or ())
    for name, absent in _GROUPS.items():
        without = sum(group(ds, own, name) is None for own in items)
        if without:
            raise ScanError(
                f"the frames have no {absent}",
                file=path,
                column=name,
                expected="one for each frame",
                got=f"absent in {without} of {len(items)} frames",
                hint="it cannot be placed in the patient: export it again, from a scan with positions",
            )
    segments = segment_numbers(ds, path)
    return [_frame(ds, own, k, segments[k], path) for k, own in enumerate(items)]


def segment_numbers(ds: Dataset, path: str) -> list[int | None]:
    """Return the number of the segment of each frame; None for every frame of a label map.

    Raises
    ------
    ScanError
        If a frame states no segment.
    """
    items = list(ds.get("PerFrameFunctionalGroupsSequence") or ())
    if ds.SegmentationType == "LABELMAP":
        return [None] * len(items)
    groups = [group(ds, own, "SegmentIdentificationSequence") for own in items]
    if without := sum(g is None or g.get("ReferencedSegmentNumber") is None for g in groups):
        got = f"absent in {without} of {len(items)} frames"
        problem, hint = "frames that state no segment", "export it again"
        column = "ReferencedSegmentNumber"
        raise ScanError(problem, file=path, column=column, got=got, hint=hint)
    return [int(g.ReferencedSegmentNumber) for g in groups]


def group(ds: Dataset, own: Dataset, name: str) -> Dataset | None:
    """Return a functional group of a frame, or that of all frames; None if the file has neither."""
    shared = ds.get("SharedFunctionalGroupsSequence") or ()
    found = own.get(name) or (shared[0].get(name) if len(shared) else None)
    return found[0] if found else None


def _frame(ds: Dataset, own: Dataset, index: int, segment: int | None, path: str) -> Frame:
    measures = group(ds, own, "PixelMeasuresSequence")
    values = {
        "ImagePositionPatient": (3, group(ds, own, "PlanePositionSequence")),
        "ImageOrientationPatient": (6, group(ds, own, "PlaneOrientationSequence")),
        "PixelSpacing": (2, measures),
    }
    numbers = {}
    for column, (count, item) in values.items():
        value = np.array([np.nan if v is None else v for v in item.get(column) or ()], dtype=np.float64)
        good = value.shape == (count,) and (np.abs(value) <= _FARTHEST_MM).all()
        if not good or (column == "PixelSpacing" and not (value > 0).all()):
            expected, got = f"{count} numbers", np.array2string(value, precision=4)
            problem = "a frame at an impossible place"
            raise ScanError(problem, file=path, column=column, expected=expected, got=got)
        numbers[column] = value
    step, thickness = (abs(float(measures.get(k) or 0)) for k in ("SpacingBetweenSlices", "SliceThickness"))
    return Frame(index, segment, *numbers.values(), step, thickness)


def grid_of(frames: list[Frame], reference: Volume | None, path: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the affine of the grid of all frames, each frame's plane index, and the number of planes.

    Raises
    ------
    ScanError
        If the frames do not lie on one grid.
    """
    first = frames[0]
    for frame in frames:
        parallel = np.allclose(frame.orientation, first.orientation, atol=1e-4)
        if not (parallel and np.allclose(frame.spacing, first.spacing, rtol=1e-4)):
            problem, hint = "frames of different orientation or spacing", "export one grid per file"
            raise ScanError(problem, file=path, hint=hint)
    row, column = first.orientation.reshape(2, 3)
    normal = np.cross(row, column)
    position = np.array([f.position for f in frames])
    depth = position @ normal
    aside = position - depth[:, None] * normal
    if np.abs(aside - aside[0]).max() > 0.1 * first.spacing.min():
        raise ScanError("frames are shifted against each other", file=path, hint="export one grid per file")
    step = _step(np.unique(np.round(depth, 3)), first, reference, path)
    places = np.rint((depth - depth.min()) / step).astype(int)
    affine = stacked(row, column, (step, *first.spacing), position[depth.argmin()])
    return affine, places, int(places.max()) + 1


def _step(depths: np.ndarray, first: Frame, reference: Volume | None, path: str) -> float:
    """Return the distance between planes in mm.

    It is the first of these distances that fits all frames: the distance stated in the file; the distance of
    the scan's slices, if the frames lie in their planes; the frames' thickness, which need not be their
    distance; the smallest gap between frames; the scan's slice spacing.
    """
    gaps = np.diff(depths)
    across = None if reference is None else _across(first, reference)
    candidates = [first.step, across or 0, first.thickness, *(gaps.min(keepdims=True) if gaps.size else ())]
    if reference is not None:
        candidates.append(reference.spacing[0])
    for step in candidates:
        times = gaps / step if step > 0 else gaps
        if step > 0 and (np.abs(times - np.rint(times)) < 0.1).all() and (times > 0.5).all():
            return float(gaps.sum() / np.rint(times).sum()) if gaps.size else float(step)
    expected = f"multiples of {first.thickness or gaps.min(initial=0):.3f} mm"
    raise ScanError(
        "frames are unevenly spaced", file=path, expected=expected, got=f"{gaps.min(initial=0):.3f} mm"
    )


def _across(frame: Frame, scan: Volume) -> float | None:
    """Return the scan's spacing along the normal of a frame, mm.

    It is None if the frame is not parallel to the scan's voxels, or has another pixel size.
    """
    row, column = frame.orientation.reshape(2, 3)
    axes = np.abs(scan.affine[:3, :3].T @ np.column_stack([row, column, np.cross(row, column)]))  # mm
    along = axes.argmax(axis=0)
    sizes = np.array(scan.spacing[::-1])[along]
    parallel = len({*along}) == 3 and np.allclose(axes.max(axis=0), sizes, rtol=1e-3)
    return float(sizes[2]) if parallel and np.allclose(sizes[:2], frame.spacing[::-1], rtol=1e-2) else None
