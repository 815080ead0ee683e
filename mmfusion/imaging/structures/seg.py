"""Read DICOM-SEG: place the frames of the segments on one grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from mmfusion.errors import ScanError
from mmfusion.imaging.affine import stacked
from mmfusion.imaging.structures.rois import Roi, check_same_patient_space, choose_rois
from mmfusion.imaging.volume import Volume

HALF = 0.5  # share of MaximumFractionalValue from which on a voxel belongs to a fractional segment
LABELMAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
_KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")


@dataclass(frozen=True)
class _Frame:
    index: int
    segment: int | None  # None in a label map: its values are the numbers of the segments
    position: np.ndarray  # (3,), LPS mm
    orientation: np.ndarray  # (6,), unit vectors along a row and a column
    spacing: np.ndarray  # (row, column), mm
    step: float  # distance between planes, mm; 0 if the file does not state it
    thickness: float  # mm; 0 if the file does not state it


def read_seg(ds: Dataset, path: str, *, reference: Volume | None = None, roi: Roi = None) -> Volume:
    """Return a mask of one or several segments on the grid of the segmentation, in LPS orientation.

    Call all functions of this module within `source.readable`, because pydicom raises many kinds of errors
    for damaged files.

    Parameters
    ----------
    ds : Dataset
        Segmentation with pixels.
    path : str
        File name for messages.
    reference : Volume, optional
        The scan, to check that the segment was drawn on it. If the file does not state the distance between
        planes, the scan's is used.
    roi : int, str, sequence of these, or None
        See `mmfusion.imaging.structures.rois.choose_rois`.

    Returns
    -------
    Volume
        uint8 in {0, 1}, unit "mask". Empty slices that the file leaves out are 0. A voxel belongs to a
        fractional segment if its value is at least half the maximum. Several segments are joined; they may
        overlap.

    Raises
    ------
    ScanError
        If the object is not a segmentation, is damaged, does not contain the segment, has no voxel of it, or
        was drawn on another scan.
    """
    names = segments(ds, path)
    chosen = choose_rois(names, roi, path)
    if reference is not None:
        series = ds.get("ReferencedSeriesSequence") or ()
        images = [image for item in series for image in item.get("ReferencedInstanceSequence") or ()]
        frame = ds.get("FrameOfReferenceUID")
        check_same_patient_space(
            reference, path, frame_of_reference=frame, series=referenced_series(ds), images=images
        )
    frames = [f for f in _frames(ds) if f.segment is None or f.segment in chosen]
    values = _values(ds, path)
    named = ", ".join(names[n] or str(n) for n in chosen)
    if not frames:
        raise ScanError("an empty region", file=path, expected="at least one voxel", got=named)
    kind = ds.SegmentationType
    limit = HALF * int(ds.get("MaximumFractionalValue") or 1)
    affine, places, n = _grid(frames, reference, path)
    array = np.zeros((n, *values.shape[1:]), dtype=np.uint8)
    for frame, place in zip(frames, places):
        plane = values[frame.index]
        array[place] |= (
            np.isin(plane, chosen) if kind == "LABELMAP" else plane >= (limit if kind[0] == "F" else 1)
        )
    if not array.any():
        raise ScanError("an empty region", file=path, expected="at least one voxel", got=named)
    series = referenced_series(ds)
    return Volume(
        array,
        affine,
        unit="mask",
        frame_of_reference=ds.get("FrameOfReferenceUID"),
        series_uid=series[0] if len(series) == 1 else None,
    ).to_lps()


def segments(ds: Dataset, path: str) -> dict[int, str]:
    """Return number -> label of every segment.

    Raises
    ------
    ScanError
        If the object is not a segmentation of voxels.
    """
    storage, kind = ds.get("SOPClassUID"), ds.get("SegmentationType")
    if storage not in (SegmentationStorage, LABELMAP_STORAGE) or kind not in _KINDS:
        got = f"{ds.get('Modality')}, {ds.get('SegmentationType')}"
        raise ScanError("not a segmentation of voxels", file=path, expected=", ".join(_KINDS), got=got)
    described = {
        int(s.SegmentNumber): str(s.get("SegmentLabel") or "") for s in ds.get("SegmentSequence") or ()
    }
    return {n: name for n, name in described.items() if n > 0}  # 0 is the background of a label map


def count_frames(ds: Dataset) -> dict[int, int]:
    """Return number of a segment -> number of its frames; in a label map this is the number of all frames."""
    numbers = [frame.segment for frame in _frames(ds)]
    described = [int(s.SegmentNumber) for s in ds.SegmentSequence]
    return {n: sum(s in (n, None) for s in numbers) for n in described}


def referenced_series(ds: Dataset) -> list[str]:
    """Return the SeriesInstanceUIDs of the images that the segmentation was drawn on.

    Examples
    --------
    >>> series, segmentation = Dataset(), Dataset()
    >>> series.SeriesInstanceUID = "1.2.3"
    >>> segmentation.ReferencedSeriesSequence = [series]
    >>> referenced_series(segmentation)
    ['1.2.3']
    """
    return [str(item.SeriesInstanceUID) for item in ds.get("ReferencedSeriesSequence") or ()]


def _frames(ds: Dataset) -> Iterator[_Frame]:
    shared = ds.SharedFunctionalGroupsSequence[0]
    for index, own in enumerate(ds.PerFrameFunctionalGroupsSequence):

        def group(name: str, own: Dataset = own) -> Dataset:
            return (own.get(name) or shared[name].value)[0]

        measures = group("PixelMeasuresSequence")
        labels = ds.SegmentationType == "LABELMAP"
        yield _Frame(
            index,
            None if labels else int(group("SegmentIdentificationSequence").ReferencedSegmentNumber),
            np.array(group("PlanePositionSequence").ImagePositionPatient, dtype=np.float64),
            np.array(group("PlaneOrientationSequence").ImageOrientationPatient, dtype=np.float64),
            np.array(measures.PixelSpacing, dtype=np.float64),
            float(measures.get("SpacingBetweenSlices") or 0),
            float(measures.get("SliceThickness") or 0),
        )


def _values(ds: Dataset, path: str) -> np.ndarray:
    try:
        values = ds.pixel_array
    except RuntimeError as error:
        got, hint = ds.file_meta.TransferSyntaxUID.name, "export it uncompressed"
        raise ScanError("no decoder for this compression", file=path, got=got, hint=hint) from error
    values = values[None] if values.ndim == 2 else values
    if len(values) != len(ds.PerFrameFunctionalGroupsSequence):
        expected = f"{len(ds.PerFrameFunctionalGroupsSequence)} frames"
        raise ScanError("truncated or damaged DICOM-SEG", file=path, expected=expected, got=len(values))
    return values


def _grid(frames: list[_Frame], reference: Volume | None, path: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the affine of the grid of all frames, each frame's plane index, and the number of planes."""
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


def _step(depths: np.ndarray, first: _Frame, reference: Volume | None, path: str) -> float:
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


def _across(frame: _Frame, scan: Volume) -> float | None:
    """Return the scan's spacing along the normal of a frame, mm.

    It is None if the frame is not parallel to the scan's voxels, or has another pixel size.
    """
    row, column = frame.orientation.reshape(2, 3)
    axes = np.abs(scan.affine[:3, :3].T @ np.column_stack([row, column, np.cross(row, column)]))  # mm
    along = axes.argmax(axis=0)
    sizes = np.array(scan.spacing[::-1])[along]
    parallel = len({*along}) == 3 and np.allclose(axes.max(axis=0), sizes, rtol=1e-3)
    return float(sizes[2]) if parallel and np.allclose(sizes[:2], frame.spacing[::-1], rtol=1e-2) else None
