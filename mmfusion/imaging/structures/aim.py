"""Read AIM 4 XML: find elements and values, and convert a radiologist's marks to points in LPS mm."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.choose import SeriesRules
from mmfusion.imaging.structures.source import Source, read_source
from mmfusion.imaging.structures.xml_file import elements, name_of, open_xml

_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_COLUMNS = ["shape", "x", "y", "z", "radius_mm", "sop_instance_uid"]


def read_aim_points(path: str | Path, source: Source, *, series: SeriesRules = None) -> pd.DataFrame:
    """Return the marks of an AIM 4 file in LPS mm, to be used as seeds.

    A mark lies on one slice. It shows the position of a lesion, not its extent: in NSCLC-Radiogenomics it is
    a circle of a few mm. It is not a mask.

    Parameters
    ----------
    path : path
        AIM file with an `ImageAnnotationCollection`.
    source : path or sequence of paths
        DICOM files of the scan that was annotated. Their SOPInstanceUIDs and positions give the position of
        the mark.
    series : str or sequence of str, optional
        Rules that choose a series of `source` if there are several; see `mmfusion.imaging.read`.

    Returns
    -------
    DataFrame
        One row per mark. Columns: `shape` (such as "TwoDimensionCircle"); `x`, `y`, `z` in LPS mm (centre of
        a circle, else the mean of the points); `radius_mm` (circles only); `sop_instance_uid`.

    Raises
    ------
    ScanError
        If the file is not an AIM file, has no two-dimensional mark, or refers to slices that are not in
        `source`.

    References
    ----------
    Channin et al., "The caBIG Annotation and Image Markup project", J. Digit. Imaging 23 (2010). Pixel
    coordinates are counted from the corner of the first pixel, as in DICOM's SCOORD (PS3.3 C.18.6).
    """
    path = Path(path)
    root = open_aim(path)
    marks = [e for e in elements(root, "MarkupEntity") if value_of(e, "imageReferenceUid")]
    if not marks:
        raise ScanError(
            "the file has no mark", file=path, expected="a two-dimensional MarkupEntity", got=name_of(root)
        )
    headers = {str(ds.SOPInstanceUID): ds for ds in read_source(source, series).headers}
    return pd.DataFrame([_placed(mark, headers, path) for mark in marks], columns=_COLUMNS)


def open_aim(path: str | Path) -> ElementTree.Element:
    """Return the root element of an AIM file.

    Raises
    ------
    ScanError
        If the file is not XML; see `mmfusion.imaging.structures.xml_file.open_xml`.
    """
    return open_xml(path, "AIM 4 XML")


def value_of(element: ElementTree.Element, child: str) -> str | None:
    """Return the value of a child element, which AIM writes as attribute `root` or `value`; None if absent.

    Examples
    --------
    >>> value_of(ElementTree.fromstring("<point><x value='3.5'/></point>"), "x")
    '3.5'
    """
    return next((e.get("root") or e.get("value") for e in element if name_of(e) == child), None)


def _placed(mark: ElementTree.Element, headers: dict, path: Path) -> list[object]:
    uid = value_of(mark, "imageReferenceUid")
    if uid not in headers:
        raise ScanError(
            "drawn on a slice that is not there",
            file=path,
            column="imageReferenceUid",
            expected=f"one of {len(headers)} slices of {next(iter(headers.values())).SeriesInstanceUID}",
            got=uid,
            hint="was the series anonymized again, or is it another series of the patient?",
        )
    ds = headers[uid]
    points = [[value_of(p, axis) for axis in "xy"] for p in elements(mark, "TwoDimensionSpatialCoordinate")]
    try:
        pixels = np.array(points, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        pixels = np.empty((0, 2))
    if not len(pixels) or not np.isfinite(pixels).all():
        raise ScanError("a mark without coordinates", file=path, expected="x and y of each point", got=points)
    row, column = np.array(ds.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    down, across = (float(v) for v in ds.PixelSpacing)
    axes = np.stack([row * across, column * down])
    mm = np.array(ds.ImagePositionPatient, dtype=np.float64) + (pixels - 0.5) @ axes
    circle = mark.get(_TYPE) == "TwoDimensionCircle" and len(mm) == 2  # its centre and a point on it
    center = mm[0] if circle else mm.mean(axis=0)
    radius = float(np.linalg.norm(mm[1] - mm[0])) if circle else np.nan
    return [mark.get(_TYPE, ""), *center, radius, uid]
