"""Masks of LIDC-IDRI nodules: fill the outlines, match the readers' marks, and find the consensus."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.imaging.structures.contours import coverage
from mmfusion.imaging.structures.lidc import LidcContour, LidcMark, LidcReading, read_lidc
from mmfusion.imaging.structures.rois import Roi, choose_rois
from mmfusion.imaging.volume import Volume

READERS, SHARE = 2, 0.5  # the consensus that `read_mask` uses
_ON_SLICE = 0.25  # slices; a contour that is farther from every slice was drawn on another scan


@dataclass(frozen=True, eq=False)
class LidcNodule:
    """A nodule, with the marks of all readers who drew it.

    Parameters
    ----------
    number : int
        1 is the nodule with the largest consensus.
    marks : tuple of LidcMark
        The readers' marks.
    voxels : ndarray of int, shape (n,)
        Voxels that any reader counted in, as positions in the flattened array of the CT.
    votes : ndarray of int, shape (n,)
        Number of readers who counted each of these voxels in.
    reference : Volume
        The CT.

    Examples
    --------
    >>> ct = Volume(np.zeros((1, 1, 4), np.int16), np.eye(4))
    >>> marks = tuple(LidcMark(reader, "1", "nodule", ()) for reader in (1, 2, 3))
    >>> nodule = LidcNodule(1, marks, np.array([1, 2, 3]), np.array([1, 2, 3]), ct)
    >>> nodule.readers, nodule.consensus().array.tolist()
    (3, [[[0, 0, 1, 1]]])
    """

    number: int
    marks: tuple[LidcMark, ...]
    voxels: np.ndarray
    votes: np.ndarray
    reference: Volume

    @property
    def readers(self) -> int:
        """Number of readers who drew the nodule."""
        return len({mark.reader for mark in self.marks})

    def consensus(self, share: float = SHARE) -> Volume:
        """Return the mask of the voxels that at least this share of these readers counted in."""
        return _mask(self._agreed(share), self.reference)

    def of_reader(self, reader: int) -> Volume:
        """Return the mask of one reader; it is empty if the reader did not draw the nodule."""
        own = [_voxels(mark, self.reference) for mark in self.marks if mark.reader == reader]
        return _mask(np.concatenate([np.empty(0, np.int64), *own]), self.reference)

    def _agreed(self, share: float) -> np.ndarray:
        return self.voxels[self.votes >= share * self.readers]


def lidc_nodules(
    reading: LidcReading, reference: Volume, *, readers: int = READERS, share: float = SHARE
) -> list[LidcNodule]:
    """Match the marks of the readers by overlap, and return the nodules that enough of them drew.

    A contour of LIDC-IDRI runs on the first pixels outside the nodule, so that these pixels do not count.
    Counted in, the volume of a small nodule is about a quarter too large. An excluded region is the inside of
    its contour too. Two marks are one nodule if they share a voxel; marks of one reader are joined.

    Parameters
    ----------
    reading : LidcReading
        The marks.
    reference : Volume
        The CT that was read, with its own slices and pixels. It must not be resampled or cropped in a slice,
        because the contours are pixels.
    readers : int
        Least number of readers who drew a nodule.
    share : float
        Share of these readers who must count a voxel in, above 0 to 1. It decides the order of the nodules.

    Returns
    -------
    list of LidcNodule
        The one with the largest consensus first; a nodule without a voxel in the consensus is left out.

    Raises
    ------
    ScanError
        If the marks were drawn on another scan: the series differs, or a contour lies between the slices or
        outside the pixels.

    Warns
    -----
    ScanWarning
        If nodules are left out, because fewer readers drew them, or their outlines enclose no voxel.
    """
    if not (readers >= 1 and 0 < share <= 1):
        expected, got = "readers of 1 or more, a share above 0 to 1", f"readers {readers}, share {share}"
        raise ScanError("no such consensus", expected=expected, got=got)
    if reading.series_uid and reference.series_uid and reading.series_uid != reference.series_uid:
        raise ScanError(
            "drawn on another series than the scan's",
            file=reading.path,
            column="SeriesInstanceUid",
            expected=reference.series_uid,
            got=reading.series_uid,
        )
    drawn = [mark for mark in reading.marks if mark.kind == "nodule"]
    voxels = _placed_voxels(drawn, reference, reading)
    found, left_out = [], Counter()
    for group in _matched(voxels):
        own = _by_reader([(drawn[k].reader, voxels[k]) for k in group])
        nodule = LidcNodule(0, tuple(drawn[k] for k in group), *own, reference)
        if nodule.readers < readers:
            left_out[f"drawn by fewer than {readers} readers"] += 1
        elif not nodule._agreed(share).size:
            left_out["without a voxel in the consensus"] += 1
        else:
            found.append(nodule)
    if left_out:
        texts = ", ".join(f"{n} {why}" for why, n in left_out.items())
        warn(f"{reading.path}: nodules are left out: {texts}", ScanWarning, stacklevel=2)
    found.sort(key=lambda nodule: -nodule._agreed(share).size)
    return [replace(nodule, number=k) for k, nodule in enumerate(found, start=1)]


def read_lidc_mask(path: object, reference: Volume, roi: Roi = None) -> Volume:
    """Return the consensus of one or several nodules of a file as a mask; see `lidc_nodules`.

    A voxel counts if at least half of the readers who drew its nodule count it in, and a nodule if at least
    two readers drew it. If there is none, the mask is empty, because radiologists looked at the whole scan.

    Parameters
    ----------
    path : path
        LIDC-IDRI file.
    reference : Volume
        The CT.
    roi : int, str, sequence of these, or None
        The nodule's number, or ``"*"`` for all; None if there is only one.
    """
    nodules = {nodule.number: nodule for nodule in lidc_nodules(read_lidc(path), reference)}
    chosen = choose_rois({k: f"nodule {k}" for k in nodules}, roi, path) if nodules else []
    voxels = [nodules[number]._agreed(SHARE) for number in chosen]
    return _mask(np.concatenate([np.empty(0, np.int64), *voxels]), reference)


def enclosed(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a mask of the pixels that a contour encloses, without the pixels that it runs on.

    Parameters
    ----------
    points : ndarray of int, shape (n, 2)
        Pixels (x, y) of the contour, in order. Pixels between two points count as part of it.
    shape : (rows, columns)
        Shape of the slice.

    Returns
    -------
    ndarray of bool, shape `shape`

    Examples
    --------
    >>> enclosed(np.array([[0, 1], [1, 0], [2, 1], [1, 2]]), (3, 3)).astype(int)
    array([[0, 0, 0],
           [0, 1, 0],
           [0, 0, 0]])
    """
    chain = _chain(points)
    low, high = chain.min(axis=0), chain.max(axis=0) + 1
    block = coverage([(chain - low).astype(float)], tuple(high[::-1] - low[::-1])) > 0.5
    block[tuple((chain - low).T[::-1])] = False
    inside = np.zeros(shape, bool)
    inside[low[1] : high[1], low[0] : high[0]] = block
    return inside


def _chain(points: np.ndarray) -> np.ndarray:
    """Return the closed contour with all pixels between its points, so that neighbours touch."""
    steps = np.roll(points, -1, axis=0) - points
    counts = np.maximum(np.abs(steps).max(axis=1), 1)
    edge = np.repeat(np.arange(len(points)), counts)
    part = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.rint(points[edge] + steps[edge] * (part / counts[edge])[:, None]).astype(int)


def _placed_voxels(marks: list[LidcMark], reference: Volume, reading: LidcReading) -> list[np.ndarray]:
    try:
        return [_voxels(mark, reference) for mark in marks]
    except ScanError as error:
        error.file = reading.path
        raise


def _voxels(mark: LidcMark, reference: Volume) -> np.ndarray:
    """Return the flat indices, sorted, of the voxels that a mark counts in."""
    slices: dict[int, list[LidcContour]] = defaultdict(list)
    for contour in mark.contours:
        slices[_slice_of(contour, mark, reference)].append(contour)
    found = [np.empty(0, np.int64)]
    rows, columns = reference.shape[1:]
    for k, contours in slices.items():
        inside = _joined((c for c in contours if c.inside), (rows, columns))
        inside &= ~_joined((c for c in contours if not c.inside), (rows, columns))
        found.append(np.flatnonzero(inside) + k * rows * columns)
    return np.sort(np.concatenate(found))


def _joined(contours: Iterable[LidcContour], shape: tuple[int, int]) -> np.ndarray:
    joined = np.zeros(shape, bool)
    for contour in contours:
        joined |= enclosed(contour.points, shape)
    return joined


def _slice_of(contour: LidcContour, mark: LidcMark, reference: Volume) -> int:
    place = f"reader {mark.reader}, mark {mark.name}"
    x, y = contour.points.max(axis=0)
    slices, rows, columns = reference.shape
    if x >= columns or y >= rows:
        expected, got = f"pixels below {columns} and {rows}", f"pixel ({x}, {y})"
        raise ScanError("drawn on a larger scan", column=place, expected=expected, got=got)
    origin, step = reference.affine[2, 3], reference.affine[2, 2]
    depth = (contour.z - origin) / step if step else np.nan
    k = round(depth) if np.isfinite(depth) else -1
    if not (0 <= k < slices and abs(depth - k) <= _ON_SLICE):
        raise ScanError(
            "drawn on a slice that is not there",
            column=place,
            expected=f"{slices} slices from z {origin:.5g} mm, {step:.4g} mm apart",
            got=f"z {contour.z:.6g} mm",
            hint="give the CT itself, neither resampled nor cropped",
        )
    return k


def _matched(voxels: list[np.ndarray]) -> list[list[int]]:
    """Return the marks of each nodule: those that share a voxel with each other, directly or in a chain."""
    if not voxels:
        return []
    pairs = [
        (a, b)
        for a in range(len(voxels))
        for b in range(a)
        if np.intersect1d(voxels[a], voxels[b], assume_unique=True).size
    ]
    a, b = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (a, b)), shape=(len(voxels),) * 2)
    n, label = connected_components(graph, directed=False)
    return [np.flatnonzero(label == k).tolist() for k in range(n)]


def _by_reader(drawn: list[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels that any reader counted in, and the number of readers who did."""
    own = [
        np.unique(np.concatenate([voxels for r, voxels in drawn if r == reader]))
        for reader in {reader for reader, _ in drawn}
    ]
    return np.unique(np.concatenate(own), return_counts=True)


def _mask(voxels: np.ndarray, reference: Volume) -> Volume:
    array = np.zeros(reference.shape, np.uint8)
    array.flat[voxels] = 1
    return Volume(
        array,
        reference.affine,
        unit="mask",
        frame_of_reference=reference.frame_of_reference,
        series_uid=reference.series_uid,
    )
