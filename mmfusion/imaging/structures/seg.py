"""Read DICOM-SEG: place the frames of the segments on one grid."""

from __future__ import annotations

import math

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from mmfusion.errors import COPY_AGAIN, ScanError, ScanWarning, warn
from mmfusion.imaging.structures.rois import Roi, check_same_patient_space, choose_rois
from mmfusion.imaging.structures.seg_frames import frames_of, grid_of, segment_numbers
from mmfusion.imaging.volume import Volume
from mmfusion.limits import check_memory

HALF = 0.5  # share of MaximumFractionalValue from which on a voxel belongs to a fractional segment
LABELMAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
_KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")


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
        If the object is not a segmentation, is damaged, states no places of its frames, does not contain the
        segment, or was drawn on another scan; if a segment that `roi` names has no voxel.

    Warns
    -----
    ScanWarning
        If the only segment has no voxel and `roi` is None: the mask is then empty. If there are surplus bytes
        of pixels.
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
    frames = [f for f in frames_of(ds, path) if f.segment is None or f.segment in chosen]
    values = _values(ds, path)
    named = ", ".join(names[n] or str(n) for n in chosen)
    if not frames:
        raise ScanError("an empty region", file=path, expected="at least one voxel", got=named)
    kind = ds.SegmentationType
    limit = HALF * int(ds.get("MaximumFractionalValue") or 1)
    affine, places, n = grid_of(frames, reference, path)
    check_memory(2.0 * n * math.prod(values.shape[1:]), "the mask", file=path, error=ScanError)
    array = np.zeros((n, *values.shape[1:]), dtype=np.uint8)
    for frame, place in zip(frames, places):
        plane = values[frame.index]
        array[place] |= (
            np.isin(plane, chosen) if kind == "LABELMAP" else plane >= (limit if kind[0] == "F" else 1)
        )
    if not array.any():
        if roi is not None:
            raise ScanError("an empty region", file=path, expected="at least one voxel", got=named)
        warn(f"{path}: {named}: the region is empty: the mask has no voxel", ScanWarning, stacklevel=2)
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


def count_frames(ds: Dataset, path: str) -> dict[int, int]:
    """Return number of a segment -> number of its frames; in a label map this is the number of all frames."""
    numbers = segment_numbers(ds, path)
    return {n: sum(s in (n, None) for s in numbers) for n in segments(ds, path)}


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


def _values(ds: Dataset, path: str) -> np.ndarray:
    """Return the values of all frames, shape (frames, rows, columns).

    Raises
    ------
    ScanError
        If they need more memory than allowed, some are lost, or they cannot be decoded.
    """
    n = len(ds.get("PerFrameFunctionalGroupsSequence") or ())
    stated = int(ds.get("NumberOfFrames") or 1)
    if stated != n:
        problem, expected = "truncated or damaged DICOM-SEG", f"{n} frames, as it describes"
        raise ScanError(problem, file=path, column="NumberOfFrames", expected=expected, got=stated)
    pixels = n * int(ds.Rows) * int(ds.Columns)
    check_memory(4.0 * pixels, "the segmentation", file=path, error=ScanError)
    syntax = ds.file_meta.TransferSyntaxUID
    if "PixelData" in ds and not syntax.is_encapsulated:
        _check_length(len(ds.PixelData), math.ceil(pixels * int(ds.BitsAllocated) / 8), path)
    try:
        values = ds.pixel_array
    except RuntimeError as error:
        got, hint = f"{syntax.name}: {error}"[:200], "export it uncompressed"
        raise ScanError("the pixels could not be decoded", file=path, got=got, hint=hint) from error
    return values[None] if values.ndim == 2 else values


def _check_length(got: int, expected: int, path: str) -> None:
    if got < expected:
        problem, hint = "truncated or damaged DICOM-SEG", COPY_AGAIN
        of = f"{got} of {expected} bytes of pixels"
        raise ScanError(problem, file=path, column="PixelData", got=of, hint=hint)
    if got > expected + 1:  # one byte makes the length even
        text = f"{path}: {got - expected} bytes of pixels more than its frames have: they are left out"
        warn(text, ScanWarning, stacklevel=2)
