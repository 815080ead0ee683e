"""AIM 4 XML, opened and walked; and where a radiologist put a mark: a point in the patient, from the slice it names."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.series import SeriesRules
from mmfusion.imaging.structures.source import Source, read_source

_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_COLUMNS = ["shape", "x", "y", "z", "radius_mm", "sop_instance_uid"]


def read_aim_points(path: str | Path, source: Source, *, series: SeriesRules = None) -> pd.DataFrame:
    """The marks of an AIM 4 file in LPS mm, to be used as seeds.

    A mark lies on one slice and shows where a lesion is, not how far it reaches (in NSCLC-Radiogenomics it is a
    circle of a few mm): there is no mask in it.

    Parameters
    ----------
    path : path
        An `ImageAnnotationCollection`.
    source : path or sequence of paths
        DICOM files of the scan that it was drawn on: their SOPInstanceUIDs and positions place the mark.
    series : str or sequence of str, optional
        Which of `source`, if there are several, as of `mmfusion.imaging.read`.

    Returns
    -------
    DataFrame
        A row a mark: `shape` ("TwoDimensionCircle"...), `x`, `y`, `z` (centre of a circle, else the mean of the
        points), `radius_mm` (circles), `sop_instance_uid`.

    Raises
    ------
    ScanError
        If it is no AIM file, has no two-dimensional mark, or names slices that are not in `source`.

    References
    ----------
    Channin et al., "The caBIG Annotation and Image Markup project", J. Digit. Imaging 23 (2010). Pixel coordinates
    are counted from the corner of the first pixel, as in DICOM's SCOORD (PS3.3 C.18.6).
    """
    path = Path(path)
    root = open_aim(path)
    marks = [e for e in elements(root, "MarkupEntity") if value_of(e, "imageReferenceUid")]
    if not marks:
        raise ScanError(
            "no mark in it", file=path, expected="a two-dimensional MarkupEntity", got=name_of(root)
        )
    headers = {str(ds.SOPInstanceUID): ds for ds in read_source(source, series).headers}
    return pd.DataFrame([_placed(mark, headers, path) for mark in marks], columns=_COLUMNS)


def open_aim(path: str | Path) -> ElementTree.Element:
    """The root of an AIM file; as published, one may hold bytes that are not UTF-8 in free text.

    Raises
    ------
    ScanError
        If it is no XML.
    """
    try:
        return ElementTree.fromstring(Path(path).read_bytes().decode("utf-8", errors="replace"))
    except (OSError, ElementTree.ParseError) as error:
        raise ScanError("not an AIM file", file=path, expected="AIM 4 XML", got=error) from error


def name_of(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def elements(root: ElementTree.Element, *names: str) -> list[ElementTree.Element]:
    """Those of these names, at any depth, in the order of the file."""
    return [element for element in root.iter() if name_of(element) in names]


def value_of(element: ElementTree.Element, child: str) -> str | None:
    """Of a child, in either of the ways that AIM writes values: an attribute `root` or `value`."""
    return next((e.get("root") or e.get("value") for e in element if name_of(e) == child), None)


def _placed(mark: ElementTree.Element, headers: dict, path: Path) -> list[object]:
    uid = value_of(mark, "imageReferenceUid")
    if uid not in headers:
        hint = "was the series anonymized anew, or is it another one of the patient's?"
        expected = f"one of {len(headers)} slices of {next(iter(headers.values())).SeriesInstanceUID}"
        raise ScanError("drawn on a slice that is not there", file=path, column="imageReferenceUid",
                        expected=expected, got=uid, hint=hint)  # fmt: skip
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
    circle = mark.get(_TYPE) == "TwoDimensionCircle" and len(mm) == 2  # its centre, and a point on it
    center = mm[0] if circle else mm.mean(axis=0)
    radius = float(np.linalg.norm(mm[1] - mm[0])) if circle else np.nan
    return [mark.get(_TYPE, ""), *center, radius, uid]
