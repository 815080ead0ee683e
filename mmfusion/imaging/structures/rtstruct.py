"""Read RTSTRUCT: closed planar contours, filled on the grid of a scan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Integral

import numpy as np
from pydicom.dataset import Dataset

from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.imaging.structures.filling import Contour, fill
from mmfusion.imaging.structures.rois import Roi, check_same_patient_space, choose_rois
from mmfusion.imaging.volume import Volume

_XOR = "CLOSEDPLANAR_XOR"
_CLOSED = ("CLOSED_PLANAR", _XOR)
_ALSO_CLOSED = ("INTERPOLATED_PLANAR", "INTERPOLATEDPLANAR")  # made by a program between drawn contours
_FARTHEST_MM = 1e5  # a coordinate beyond this is no place in a scanner


def read_rtstruct(ds: Dataset, path: str, *, reference: Volume | None, roi: Roi = None) -> Volume:
    """Return a mask of one or several regions on the grid of `reference`.

    Contours of type CLOSED_PLANAR that overlap in part are joined; one that lies wholly within another is a
    hole, and keyholes cancel out. Contours of type CLOSEDPLANAR_XOR are combined by the even-odd rule. The
    area of a plane counts for the slab from halfway to halfway between neighbouring contour planes; these
    need not be the slices of the scan. The mask consists of the voxels that are covered most, so that its
    volume is that of the contours. Call all functions of this module within `source.readable`, because
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

    Warns
    -----
    ScanWarning
        If something is left out: points and open contours, which enclose nothing; empty regions that a
        pattern chose; contours that reach beyond the scan. If some contours lie between slices.
    """
    names = regions(ds)
    chosen = choose_rois(names, roi, path)
    if reference is None:
        hint = "read_mask(path, reference=read(<DICOM folder of the CT>))"
        raise ScanError("contours have no grid", file=path, expected="reference=<the scan>", hint=hint)
    _check(ds, chosen, reference, path)
    asked = {roi} if isinstance(roi, (str, Integral)) else set(roi or ())
    contours = _drawn(ds, {number: names[number] for number in chosen}, asked, reference, path)
    series = referenced_series(ds)
    mask = np.zeros(reference.shape, dtype=np.uint8)
    for number, closed in contours.items():
        try:
            remarks = fill(mask, closed, reference)
        except ScanError as error:
            error.file, error.column = path, names[number]
            raise
        for remark in remarks:
            _warn(f"{path}: {names[number]}: {remark}")
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
    ds: Dataset, chosen: Mapping[int, str], asked: set[int | str], reference: Volume, path: str
) -> dict[int, list[Contour]]:
    """Return number -> closed contours (in voxels of the scan) for the chosen regions.

    An empty region is left out with a warning if only a pattern chose it. It is an error if `asked` contains
    its number or name, or if all regions are empty.
    """
    found, empty = {}, []
    for number, name in chosen.items():
        try:
            found[number] = [
                Contour(reference.mm_to_voxel(points), kind == _XOR)
                for points, kind in _contours(ds, number, name, path)
            ]
        except _EmptyRegion as error:
            if {number, name} & asked:
                raise
            empty.append(error)
    if not found:
        raise empty[0]
    if empty:
        _warn(f"{path}: empty regions are left out: {', '.join(str(error.column) for error in empty)}")
    return found


class _EmptyRegion(ScanError):
    """Error for a region without a closed contour."""


def _contours(ds: Dataset, number: int, name: str, path: str) -> list[tuple[np.ndarray, str]]:
    """Return the closed contours of a region: points in LPS mm, each of shape (n, 3), and the type."""
    found, others = [], Counter()
    for item in ds.get("ROIContourSequence") or ():
        if int(item.ReferencedROINumber) != number:
            continue
        for contour in item.get("ContourSequence") or ():
            kind = str(contour.get("ContourGeometricType") or "of no stated type")
            points = _points(contour, name, path)
            if kind not in (*_CLOSED, *_ALSO_CLOSED):
                others[kind] += 1
            elif len(points) < 3:
                others[f"{kind} of fewer than 3 points"] += 1
            else:
                found.append((points, kind))
    listed = ", ".join(f"{kind} ({n})" for kind, n in sorted(others.items()))
    if not found:
        got = listed or "no contour of three points"
        raise _EmptyRegion("an empty region", file=path, column=name, expected=" or ".join(_CLOSED), got=got)
    if others:
        _warn(f"{path}: {name}: contours that enclose nothing are left out: {listed}")
    return found


def _points(contour: Dataset, name: str, path: str) -> np.ndarray:
    """Return the points of a contour in LPS mm, shape (n, 3)."""
    data = contour.get("ContourData")
    points = np.array([] if data is None else data, dtype=np.float64).ravel()
    stated = int(contour.get("NumberOfContourPoints") or points.size // 3)
    if points.size != 3 * stated:
        got = f"{points.size} numbers for {stated} points"
        raise ScanError("truncated or damaged RTSTRUCT", file=path, column=name, got=got)
    if not (np.abs(points) <= _FARTHEST_MM).all():  # NaN is refused as well
        worst = points[~(np.abs(points) <= _FARTHEST_MM)][0]
        expected = f"coordinates in mm, to {_FARTHEST_MM:.0f}"
        raise ScanError(
            "a contour at an impossible place", file=path, column=name, expected=expected, got=worst
        )
    return points.reshape(-1, 3)


def _warn(text: str) -> None:
    warn(text, ScanWarning, stacklevel=3)
