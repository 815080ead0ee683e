"""Read the annotations of LIDC-IDRI: up to four radiologists' marks on one CT, in the published XML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.structures.xml_file import elements, name_of, open_xml

_ROOT = "LidcReadMessage"
_KIND = "LIDC-IDRI XML"
_MOST_PIXELS = 4096  # a coordinate beyond this is no pixel of a CT


@dataclass(frozen=True, eq=False)
class LidcContour:
    """One contour of a mark, on one slice.

    Parameters
    ----------
    points : ndarray of int, shape (n, 2)
        Pixels (x, y), counted from 0, in the order of the file. They are the first pixels outside the region.
        A mark without an outline has one pixel.
    z : float
        Position of the slice along the patient's axis, mm (z of ImagePositionPatient).
    sop_uid : str
        SOPInstanceUID of the slice, or "".
    inside : bool
        False for a region that the reader excluded from the nodule, such as a cavity.

    Examples
    --------
    >>> LidcContour(np.array([[10, 12]]), -120.0).inside
    True
    """

    points: np.ndarray
    z: float
    sop_uid: str = ""
    inside: bool = True


@dataclass(frozen=True, eq=False)
class LidcMark:
    """A mark of one reader: a nodule, or another lesion.

    Parameters
    ----------
    reader : int
        Number of the reading session in the file, from 1. The readers are anonymous: reader 1 of two files
        need not be the same person.
    name : str
        The reader's own id of the mark. Readers number their marks independently.
    kind : {"nodule", "small", "other"}
        A nodule of 3 mm or more, which has an outline; a nodule below 3 mm, which is one point; or a lesion
        of 3 mm or more that is no nodule, one point too.
    contours : tuple of LidcContour
        The outline, slice by slice.
    ratings : mapping of str to int
        The reader's ratings of a nodule (subtlety, texture, malignancy, ...), most from 1 to 5. The
        malignancy is an opinion, not a diagnosis.

    Examples
    --------
    >>> LidcMark(1, "7", "small", (LidcContour(np.array([[10, 12]]), -120.0),)).kind
    'small'
    """

    reader: int
    name: str
    kind: Literal["nodule", "small", "other"]
    contours: tuple[LidcContour, ...]
    ratings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LidcReading:
    """The marks of all readers on one CT.

    Parameters
    ----------
    path : Path
        The file.
    series_uid : str
        SeriesInstanceUID of the CT, or "".
    readers : int
        Number of readers, with and without marks.
    marks : tuple of LidcMark
        All marks, in the order of the file.

    Examples
    --------
    >>> LidcReading(Path("158.xml"), "1.2.3", 4, ()).marks
    ()
    """

    path: Path
    series_uid: str
    readers: int
    marks: tuple[LidcMark, ...]


def is_lidc(path: str | Path) -> bool:
    """Return True if the first 2000 bytes of a file name the root element of LIDC-IDRI.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "158.xml"
    ...     _ = file.write_text("<LidcReadMessage/>")
    ...     is_lidc(file)
    True
    """
    with Path(path).open("rb") as file:
        return f"<{_ROOT}".encode() in file.read(2000)


def read_lidc(path: str | Path) -> LidcReading:
    """Read the marks of one LIDC-IDRI file; contours stay in pixels of the CT.

    `mmfusion.imaging.lidc_nodules` joins the marks of the readers and makes masks of them.

    Parameters
    ----------
    path : path
        XML file with the root element `LidcReadMessage`.

    Returns
    -------
    LidcReading

    Raises
    ------
    ScanError
        If the file is not XML, belongs to a chest radiograph (`IdriReadMessage`), has no reading session, or
        has a contour without a place.

    References
    ----------
    Armato et al., "The Lung Image Database Consortium (LIDC) and Image Database Resource Initiative (IDRI)",
    Medical Physics 38 (2011), doi:10.1118/1.3528204.

    Examples
    --------
    >>> import tempfile
    >>> point = "<edgeMap><xCoord>40</xCoord><yCoord>51</yCoord></edgeMap>"
    >>> roi = f"<roi><imageZposition>-120.5</imageZposition><inclusion>TRUE</inclusion>{point}</roi>"
    >>> nodule = f"<unblindedReadNodule><noduleID>1</noduleID>{roi}</unblindedReadNodule>"
    >>> text = f"<LidcReadMessage><readingSession>{nodule}</readingSession></LidcReadMessage>"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "158.xml"
    ...     _ = file.write_text(text)
    ...     reading = read_lidc(file)
    >>> reading.marks[0].kind, reading.marks[0].contours[0].points.tolist()
    ('small', [[40, 51]])
    """
    path = Path(path)
    root = open_xml(path, _KIND)
    if name_of(root) != _ROOT:
        hint = "it belongs to a chest radiograph; leave it out" if name_of(root).startswith("Idri") else None
        raise ScanError("not a reading of a CT", file=path, expected=_ROOT, got=name_of(root), hint=hint)
    sessions = elements(root, "readingSession")
    if not sessions:
        raise ScanError("no reading session", file=path, expected="one for each radiologist")
    marks = [
        _mark(element, number, path)
        for number, session in enumerate(sessions, start=1)
        for element in session
        if name_of(element) in ("unblindedReadNodule", "nonNodule")
    ]
    uids = [e.text for e in root.iter() if name_of(e).lower() == "seriesinstanceuid" and e.text]
    return LidcReading(path, uids[0].strip() if uids else "", len(sessions), tuple(marks))


def _mark(element: ElementTree.Element, reader: int, path: Path) -> LidcMark:
    name = _text(element, "noduleID") or _text(element, "nonNoduleID") or "?"
    place = f"reader {reader}, mark {name}"
    if name_of(element) == "nonNodule":
        return LidcMark(reader, name, "other", (_contour(element, "locus", place, path),))
    rois = [child for child in element if name_of(child) == "roi"]
    if not rois:
        raise ScanError("a nodule without a contour", file=path, column=place, expected="a roi")
    contours = tuple(_contour(roi, "edgeMap", place, path) for roi in rois)
    outlined = any(len(contour.points) > 1 for contour in contours if contour.inside)
    ratings = {
        name_of(rating): int(rating.text)
        for block in element
        if name_of(block) == "characteristics"
        for rating in block
        if (rating.text or "").strip().isdecimal()
    }
    return LidcMark(reader, name, "nodule" if outlined else "small", contours, ratings)


def _contour(roi: ElementTree.Element, tag: str, place: str, path: Path) -> LidcContour:
    pixels = [[_text(point, axis) for axis in ("xCoord", "yCoord")] for point in roi if name_of(point) == tag]
    try:
        z = float(_text(roi, "imageZposition"))
        points = np.array(pixels, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        z, points = np.nan, np.empty((0, 2))
    whole = len(points) and np.array_equal(points, np.rint(points))
    if not (whole and np.isfinite(z) and points.min() >= 0 and points.max() < _MOST_PIXELS):
        raise ScanError(
            "a contour without a place",
            file=path,
            column=place,
            expected=f"imageZposition in mm, xCoord and yCoord from 0 to {_MOST_PIXELS - 1}",
            got=f"z {_text(roi, 'imageZposition')}, pixels {pixels[:3]}",
        )
    inclusion = (_text(roi, "inclusion") or "TRUE").upper()
    if inclusion not in ("TRUE", "FALSE"):
        raise ScanError("unknown inclusion", file=path, column=place, expected="TRUE or FALSE", got=inclusion)
    return LidcContour(points.astype(int), z, _text(roi, "imageSOP_UID") or "", inclusion == "TRUE")


def _text(element: ElementTree.Element, child: str) -> str | None:
    """Return the text of a child element without the blanks around it; None if it is absent or empty."""
    return next(((e.text or "").strip() or None for e in element if name_of(e) == child), None)
