"""Read RTSTRUCT: closed planar contours, filled on the grid of a scan."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from numbers import Integral

import numpy as np
from pydicom.dataset import Dataset

from mmfusion.errors import ScanError
from mmfusion.imaging.sampling import fullest
from mmfusion.imaging.structures.contours import coverage, slabs
from mmfusion.imaging.structures.rois import Roi, check_same_patient_space, choose_rois
from mmfusion.imaging.volume import Volume

_log = logging.getLogger(__name__)
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_FLAT = 0.1  # voxels; largest distance of a contour's points from its plane
_SAME_PLANE = 0.05  # mm; contours closer than this lie in the same plane
_MOST_MM = 10.0  # mm; largest thickness that a contour represents along the normal


def read_rtstruct(ds: Dataset, path: str, *, reference: Volume | None, roi: Roi = None) -> Volume:
    """Return a mask of one or several regions on the grid of `reference`.

    The area of a plane is computed by the even-odd rule: a contour within another contour is a hole, and
    keyholes cancel out. It counts for the slab from halfway to halfway between neighbouring contour planes;
    these need not be the slices of the scan. The mask consists of the voxels that are covered most, so that
    its volume is that of the contours. Call all functions of this module within `source.readable`, because
    pydicom raises many kinds of errors for damaged files.

    Parameters
    ----------
    ds : Dataset
        The structure set.
    path : str
        File name for messages.
    reference : Volume
        The scan that it was drawn on, or another grid with the same axes.
    roi : int, str, sequence of these, or None
        See `mmfusion.imaging.structures.rois.choose_rois`.

    Returns
    -------
    Volume
        uint8 in {0, 1}, unit "mask".

    Raises
    ------
    ScanError
        If there is no reference; if the file is damaged, does not contain the region, or has no closed
        contour of it; if the region was drawn on another scan, oblique to its slices, or outside of it.
    """
    names = regions(ds)
    chosen = choose_rois(names, roi, path)
    if reference is None:
        hint = "read_mask(path, reference=read(<DICOM folder of the CT>))"
        raise ScanError("contours have no grid", file=path, expected="reference=<the scan>", hint=hint)
    _check(ds, chosen, reference, path)
    asked = {roi} if isinstance(roi, (str, Integral)) else set(roi or ())
    contours = _drawn(ds, {number: names[number] for number in chosen}, asked, path)
    series = referenced_series(ds)
    mask = np.zeros(reference.shape, dtype=np.uint8)
    for number, closed in contours.items():
        _fill(mask, [reference.mm_to_voxel(c) for c in closed], reference, names[number], path)
    return Volume(
        mask,
        reference.affine,
        unit="mask",
        frame_of_reference=reference.frame_of_reference,
        series_uid=series[0] if len(series) == 1 else reference.series_uid,
    )


def regions(ds: Dataset) -> dict[int, str]:
    """Return number -> name of every region.

    Examples
    --------
    >>> region = Dataset()
    >>> region.ROINumber, region.ROIName = 1, "GTV-1"
    >>> structures = Dataset()
    >>> structures.StructureSetROISequence = [region]
    >>> regions(structures)
    {1: 'GTV-1'}
    """
    return {
        int(item.ROINumber): str(item.get("ROIName") or "")
        for item in ds.get("StructureSetROISequence") or ()
    }


def count_contours(ds: Dataset) -> dict[int, int]:
    """Return number of a region -> number of its contours.

    Examples
    --------
    >>> region = Dataset()
    >>> region.ReferencedROINumber, region.ContourSequence = 1, [Dataset(), Dataset()]
    >>> structures = Dataset()
    >>> structures.ROIContourSequence = [region]
    >>> count_contours(structures)
    {1: 2}
    """
    items = ds.get("ROIContourSequence") or ()
    return {int(item.ReferencedROINumber): len(item.get("ContourSequence") or ()) for item in items}


def referenced_series(ds: Dataset) -> list[str]:
    """Return the SeriesInstanceUIDs of the images that the structure set was drawn on."""
    return [str(series.SeriesInstanceUID) for series in _referenced(ds)]


def _referenced(ds: Dataset) -> list[Dataset]:
    return [
        series
        for frame in ds.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    ]


def _check(ds: Dataset, chosen: Sequence[int], reference: Volume, path: str) -> None:
    images = [image for series in _referenced(ds) for image in series.get("ContourImageSequence") or ()]
    frames = ds.get("ReferencedFrameOfReferenceSequence") or ()
    default = frames[0].FrameOfReferenceUID if len(frames) == 1 else None
    for item in ds.StructureSetROISequence:
        if int(item.ROINumber) in chosen:
            check_same_patient_space(
                reference,
                path,
                frame_of_reference=item.get("ReferencedFrameOfReferenceUID") or default,
                series=referenced_series(ds),
                images=images,
            )


def _drawn(
    ds: Dataset, chosen: Mapping[int, str], asked: set[int | str], path: str
) -> dict[int, list[np.ndarray]]:
    """Return number -> closed contours for the chosen regions.

    An empty region is left out with a log line if only a pattern chose it. It is an error if `asked` contains
    its number or name, or if all regions are empty.
    """
    found, empty = {}, []
    for number, name in chosen.items():
        try:
            found[number] = _contours(ds, number, name, path)
        except _EmptyRegion as error:
            if {number, name} & asked:
                raise
            empty.append(error)
    if not found:
        raise empty[0]
    if empty:
        _log.warning(
            "%s: empty regions are left out: %s", path, ", ".join(str(error.column) for error in empty)
        )
    return found


class _EmptyRegion(ScanError):
    """Error for a region without a closed contour."""


def _contours(ds: Dataset, number: int, name: str, path: str) -> list[np.ndarray]:
    """Return the closed contours of a region: points in LPS mm, each of shape (n, 3)."""
    found, others = [], set()
    for item in ds.get("ROIContourSequence") or ():
        if int(item.ReferencedROINumber) != number:
            continue
        for contour in item.get("ContourSequence") or ():
            if contour.ContourGeometricType not in _CLOSED:
                others.add(str(contour.ContourGeometricType))
                continue
            points = np.array(contour.ContourData, dtype=np.float64)
            stated = int(contour.get("NumberOfContourPoints") or points.size // 3)
            if points.size != 3 * stated or not np.isfinite(points).all():
                got = f"{points.size} numbers for {stated} points"
                raise ScanError("truncated or damaged RTSTRUCT", file=path, column=name, got=got)
            if stated >= 3:
                found.append(points.reshape(-1, 3))
    if not found:
        got = ", ".join(sorted(others)) or "no contour of three points"
        raise _EmptyRegion("an empty region", file=path, column=name, expected=" or ".join(_CLOSED), got=got)
    if others:
        _log.warning("%s: %s: contours of type %s are left out", path, name, ", ".join(sorted(others)))
    return found


def _fill(mask: np.ndarray, contours: list[np.ndarray], reference: Volume, name: str, path: str) -> None:
    """Set the voxels of a mask that the contours (voxel x, y, z) cover, in place."""
    axis = int(np.argmin([max(np.ptp(c[:, k]) for c in contours) for k in range(3)]))
    if max(np.ptp(c[:, axis]) for c in contours) > _FLAT:
        hint = "read it on the scan that it was drawn on, then resample it with .like()"
        raise ScanError("contours oblique to the scan's slices", file=path, column=name, hint=hint)
    spacing = reference.spacing[2 - axis]
    planes = _planes(contours, axis, _SAME_PLANE / spacing)
    extent = slabs(np.array(list(planes)), alone=1.0, most=max(_MOST_MM / spacing, 1.0))
    turned = np.moveaxis(mask, 2 - axis, 0)  # (planes, down, across); the others keep their order
    low, high = (getattr(np.concatenate(contours), end)(axis=0) for end in ("min", "max"))
    low, high = np.delete(low, axis), np.delete(high, axis)  # (across, down)
    corner = np.maximum(np.floor(low - 0.5), 0).astype(int)
    stop = np.minimum(np.ceil(high + 1.5), turned.shape[:0:-1]).astype(int)
    first, last = (
        max(int(np.floor(extent.min() + 0.5)), 0),
        min(int(np.ceil(extent.max() + 0.5)), len(turned)),
    )
    inside = (corner < stop).all() and first < last
    share = np.zeros((last - first, *(stop - corner)[::-1]) if inside else (0, 0, 0), dtype=np.float32)
    for (low_k, high_k), polygons in zip(extent, planes.values()) if inside else ():
        area = coverage([p - corner for p in polygons], share.shape[1:])
        for k in range(max(int(np.floor(low_k + 0.5)), first), min(int(np.ceil(high_k + 0.5)), last)):
            share[k - first] += max(min(high_k, k + 0.5) - max(low_k, k - 0.5), 0) * area
    if not share.any():
        low, high = (reference.voxel_to_mm(v) for v in (np.zeros(3), np.array(reference.shape[::-1]) - 1))
        expected = f"x, y, z from {np.round(low, 1)} to {np.round(high, 1)} mm"
        got = f"{np.round(reference.voxel_to_mm(contours[0][0]), 1)} mm"
        problem = "the region lies outside the scan, or has no area"
        raise ScanError(problem, file=path, column=name, expected=expected, got=got)
    block = turned[first:last, corner[1] : stop[1], corner[0] : stop[0]]
    block |= fullest(np.minimum(share, 1))


def _planes(contours: list[np.ndarray], axis: int, tolerance: float) -> dict[float, list[np.ndarray]]:
    """Return depth -> polygons (across, down), in ascending order of depth (voxels along `axis`)."""
    planes: dict[float, list[np.ndarray]] = {}
    for contour in sorted(contours, key=lambda c: c[:, axis].mean()):
        depth = float(contour[:, axis].mean())
        at = next((d for d in reversed(planes) if depth - d <= tolerance), depth)
        polygon, there = np.delete(contour, axis, axis=1), planes.setdefault(at, [])
        if not any(_same_outline(polygon, other) for other in there):  # a second copy would cancel the first
            there.append(polygon)
    return planes


def _same_outline(one: np.ndarray, other: np.ndarray) -> bool:
    """Return True if two polygons have the same corners, with any first corner and any direction."""
    return len(one) == len(other) and {*map(tuple, one.round(3))} == {*map(tuple, other.round(3))}
