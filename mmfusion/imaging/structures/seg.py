"""Reading DICOM-SEG: frames of segments, put where they lie."""

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

HALF = 0.5  # of MaximumFractionalValue: from there on a voxel belongs to a fractional segment
LABELMAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
_KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")


@dataclass(frozen=True)
class _Frame:
    index: int
    segment: int | None  # None in a label map: the values say
    position: np.ndarray
    orientation: np.ndarray
    spacing: np.ndarray  # (row, column)
    step: float  # distance of planes; 0 where the file is silent
    thickness: float


def read_seg(ds: Dataset, path: str, *, reference: Volume | None = None, roi: Roi = None) -> Volume:
    """Mask of one or several segments, on the segmentation's own grid, in LPS orientation.

    Call it, as all of this module, within `source.readable`: pydicom has many errors for damaged files.

    Parameters
    ----------
    ds : Dataset
        With pixels.
    path : str
        For messages.
    reference : Volume, optional
        The scan, to check that it was drawn there; its distance of slices places frames where the file is silent.
    roi
        See `mmfusion.imaging.structures.rois.choose_rois`.

    Returns
    -------
    Volume
        Slices that the file leaves out, because nothing is on them, are 0. A fractional segment takes voxels of half
        the greatest value and above. Several segments are joined, overlapping or not.

    Raises
    ------
    ScanError
        If it is no segmentation, is damaged, lacks the segment, holds nothing of it, or was drawn on another scan.
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
    """Number -> label of every segment that is described."""
    if (
        ds.get("SOPClassUID") not in (SegmentationStorage, LABELMAP_STORAGE)
        or ds.get("SegmentationType") not in _KINDS
    ):
        got = f"{ds.get('Modality')}, {ds.get('SegmentationType')}"
        raise ScanError("not a segmentation of voxels", file=path, expected=", ".join(_KINDS), got=got)
    described = {
        int(s.SegmentNumber): str(s.get("SegmentLabel") or "") for s in ds.get("SegmentSequence") or ()
    }
    return {
        number: name for number, name in described.items() if number > 0
    }  # 0: the background of a label map


def count_frames(ds: Dataset) -> dict[int, int]:
    """Number of a segment -> its frames; of a label map, all frames."""
    numbers = [frame.segment for frame in _frames(ds)]
    described = [int(s.SegmentNumber) for s in ds.SegmentSequence]
    return {n: sum(s in (n, None) for s in numbers) for n in described}


def referenced_series(ds: Dataset) -> list[str]:
    """SeriesInstanceUIDs that it says it was drawn on."""
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
    """Affine of the grid that holds all frames, the plane of each, and how many planes."""
    first = frames[0]
    for frame in frames:
        if not (np.allclose(frame.orientation, first.orientation, atol=1e-4)
                and np.allclose(frame.spacing, first.spacing, rtol=1e-4)):  # fmt: skip
            raise ScanError(
                "frames of different orientation or spacing", file=path, hint="export one grid a file"
            )
    row, column = first.orientation.reshape(2, 3)
    normal = np.cross(row, column)
    position = np.array([f.position for f in frames])
    depth = position @ normal
    aside = position - depth[:, None] * normal
    if np.abs(aside - aside[0]).max() > 0.1 * first.spacing.min():
        raise ScanError("frames are shifted against each other", file=path, hint="export one grid a file")
    step = _step(np.unique(np.round(depth, 3)), first, reference, path)
    places = np.rint((depth - depth.min()) / step).astype(int)
    affine = stacked(row, column, (step, *first.spacing), position[depth.argmin()])
    return affine, places, int(places.max()) + 1


def _step(depths: np.ndarray, first: _Frame, reference: Volume | None, path: str) -> float:
    """Distance of planes, mm: the first that fits all frames.

    What the file says, the scan's slices where the frames lie in their planes (thickness says nothing of distance),
    the frames' thickness, the least gap.
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
    """The scan's spacing along the normal of a frame that lies in its planes, with pixels as large."""
    row, column = frame.orientation.reshape(2, 3)
    axes = np.abs(scan.affine[:3, :3].T @ np.column_stack([row, column, np.cross(row, column)]))  # mm
    along = axes.argmax(axis=0)
    sizes = np.array(scan.spacing[::-1])[along]
    parallel = len({*along}) == 3 and np.allclose(axes.max(axis=0), sizes, rtol=1e-3)
    return float(sizes[2]) if parallel and np.allclose(sizes[:2], frame.spacing[::-1], rtol=1e-2) else None
