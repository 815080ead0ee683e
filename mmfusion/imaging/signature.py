"""Recognise the same scan in another file: resampled, cropped, moved, rescaled or under another id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from mmfusion.errors import ScanError
from mmfusion.imaging.sampling import filled_box
from mmfusion.imaging.volume import Volume
from mmfusion.modalities import BY_UNIT, MODALITIES

SAME = 0.9  # similarity of two copies of one scan; measured on real scans and phantoms, see `similarities`
_MM = 6.0  # step of the grid of a fingerprint
_DETAIL_MM = 12.0  # details finer than this are compared; the shape of the chest is not
_FAINT = 0.03  # share of the modality's window: fainter details count less, and below it there is no body
_LEAST_SHARE, _LEAST_ML = 0.5, 20.0  # least overlap: share of the smaller scan's body, and volume
_STEPS = 32.0  # quantisation of the details


@dataclass(frozen=True, eq=False)
class ScanFingerprint:
    """The fine details of a scan on a coarse grid; two copies of one scan have nearly the same ones.

    Parameters
    ----------
    modality : str
        "ct" or "pet".
    first : tuple of int
        Position (x, y, z) of the first voxel, in steps of 6 mm from the origin of the patient's coordinates.
    details : ndarray of int8, shape (z, y, x)
        Contrast to the surroundings, relative to the usual contrast there.
    inside : ndarray of bool, shape (z, y, x)
        Voxels in the body, and not at the edge of the field of view.

    Examples
    --------
    >>> flat = ScanFingerprint("ct", (0, 0, 0), np.zeros((4, 4, 4), np.int8), np.ones((4, 4, 4), bool))
    >>> ScanFingerprint.from_array(flat.to_array()).inside.all()
    np.True_
    """

    modality: str
    first: tuple[int, int, int]
    details: np.ndarray
    inside: np.ndarray

    def to_array(self) -> np.ndarray:
        """Return everything in one array of int16, as a cache stores it."""
        head = [list(MODALITIES).index(self.modality), *self.first, *self.details.shape]
        return np.concatenate([head, self.details.ravel(), self.inside.ravel()]).astype(np.int16)

    @classmethod
    def from_array(cls, array: np.ndarray) -> ScanFingerprint:
        """Return the fingerprint that `to_array` stored."""
        head, (details, inside) = array[:7].tolist(), np.split(np.asarray(array[7:]), 2)
        shape = tuple(head[4:])
        found = list(MODALITIES)[head[0]], tuple(head[1:4])
        return cls(*found, details.astype(np.int8).reshape(shape), inside.astype(bool).reshape(shape))


def scan_fingerprint(volume: Volume) -> ScanFingerprint:
    """Return the fingerprint of a scan.

    The scan is sampled every 6 mm. What remains after its smooth part (12 mm) is taken away is divided by the
    usual size of such details nearby, so that the edges of lungs and skin, which are alike in all patients,
    do not outweigh vessels, ribs and lesions.

    Parameters
    ----------
    volume : Volume
        CT in HU or PET in SUVbw, at least 60 mm in each direction.

    Returns
    -------
    ScanFingerprint

    Raises
    ------
    ScanError
        If it is a mask, or too small to be recognised.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 300, (40, 40, 40)).astype(np.float32)
    >>> scan = Volume(noise, np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> similarity(scan_fingerprint(scan), scan_fingerprint(scan.crop_box([slice(4, 40)] * 3))) > SAME
    True
    """
    if volume.unit not in BY_UNIT:
        raise ScanError("not a scan", expected=" or ".join(BY_UNIT), got=volume.unit)
    modality = BY_UNIT[volume.unit]
    low, high = modality.window
    edge = round(_DETAIL_MM / _MM)
    ends = volume.extent_mm
    first, last = np.ceil(ends[0] / _MM).astype(int), np.floor(ends[1] / _MM).astype(int)
    shape = (last - first + 1)[::-1]
    if shape.min() < 4 * edge + 1:
        got = " x ".join(f"{n:.0f}" for n in (ends[1] - ends[0])[::-1])
        raise ScanError("the scan is too small to be recognised", expected="60 mm or more", got=f"{got} mm")
    affine = np.diag([_MM, _MM, _MM, 1.0])
    affine[:3, 3] = first * _MM
    x = np.clip((volume.on_grid(affine, tuple(shape)).array - low) / (high - low), 0, 1)
    smooth = ndimage.gaussian_filter(x, edge, mode="nearest")
    details = x - smooth
    details /= np.sqrt(ndimage.gaussian_filter(details**2, edge, mode="nearest") + _FAINT**2)
    inside = np.zeros(x.shape, bool)
    inside[(slice(edge, -edge),) * 3] = True
    inside &= smooth > _FAINT
    box = filled_box(inside) or (slice(0, 1),) * 3
    start = tuple(int(f + s.start) for f, s in zip(first, box[::-1]))
    stored = np.clip(np.rint(details * _STEPS), -127, 127) * inside
    return ScanFingerprint(modality.name, start, stored[box].astype(np.int8), inside[box])


def similarity(a: ScanFingerprint, b: ScanFingerprint, *, moved: bool = True) -> float:
    """Return how alike two scans are; see `similarities`.

    Examples
    --------
    >>> empty = ScanFingerprint("ct", (0, 0, 0), np.zeros((4, 4, 4), np.int8), np.zeros((4, 4, 4), bool))
    >>> similarity(empty, empty)
    -1.0
    """
    return float(similarities([a], [b], moved=moved)[0, 0])


def similarities(
    first: Sequence[ScanFingerprint], second: Sequence[ScanFingerprint], *, moved: bool = True
) -> np.ndarray:
    """Return how alike the scans of two lists are: the correlation of their details where they overlap.

    On 13 real scans, copies that were cropped, moved, resampled, rescaled and made noisy at once reached 0.95
    and more, and two patients at most 0.75. `SAME` (0.9) lies between. The phantoms of this project are small
    and much alike: 1 of 780 pairs of different phantoms was above it (0.91), and 17 of 40 copies with all of
    these changes were below it (0.83 at least). A scan that was mirrored is not recognised.

    Parameters
    ----------
    first, second : sequence of ScanFingerprint, n and m scans
        Scans to compare.
    moved : bool
        Find the shift at which the scans agree best, because a conversion may have lost the position: about
        0.1 s for each pair. False compares at equal coordinates only, which takes about 1 ms.

    Returns
    -------
    ndarray, shape (n, m)
        From -1 to 1. It is -1 for scans of different modalities, and for those that overlap by less than half
        of the smaller one.
    """
    out = np.full((len(first), len(second)), -1.0)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            if a.modality == b.modality:
                out[i, j] = _in_place(a, b)
                if moved and out[i, j] < SAME:
                    out[i, j] = max(out[i, j], _moved(a, b))
    return out


def _in_place(a: ScanFingerprint, b: ScanFingerprint) -> float:
    low = np.maximum(a.first, b.first)
    high = np.minimum(*(np.add(s.first, s.details.shape[::-1]) for s in (a, b)))
    if (low >= high).any():
        return -1.0
    parts = []
    for scan in (a, b):
        box = tuple(slice(p - f, q - f) for p, q, f in zip(low, high, scan.first))[::-1]
        parts.append((scan.details[box].astype(np.float32), scan.inside[box]))
    (f, m), (g, n) = parts
    both = m & n
    if np.count_nonzero(both) < _least(a, b):
        return -1.0
    norm = np.sqrt(float((f[both] ** 2).sum()) * float((g[both] ** 2).sum()))
    return float((f * g).sum()) / norm if norm else -1.0


def _least(a: ScanFingerprint, b: ScanFingerprint) -> float:
    smaller = min(np.count_nonzero(a.inside), np.count_nonzero(b.inside))
    return max(_LEAST_SHARE * smaller, _LEAST_ML * 1000 / _MM**3)


def _moved(a: ScanFingerprint, b: ScanFingerprint) -> float:
    """Return the largest normalised correlation over all shifts with enough overlap."""
    sizes = np.sort([a.details.shape, b.details.shape], axis=0)
    # shifts that overlap by less than half of the smaller scan may wrap around, as they do not count
    canvas = tuple(fft.next_fast_len(int(n), real=True) for n in sizes[1] + sizes[0] // 2 + 1)
    (f, f2, m), (g, g2, n) = _spectra(a, canvas), map(np.conj, _spectra(b, canvas))
    overlap = fft.irfftn(m * n, canvas)
    allowed = overlap >= _least(a, b) - 0.5
    product, energy_a, energy_b = (fft.irfftn(x * y, canvas)[allowed] for x, y in ((f, g), (f2, n), (m, g2)))
    return float((product / np.sqrt(np.maximum(energy_a * energy_b, 1e-3))).max(initial=-1.0))


def _spectra(scan: ScanFingerprint, canvas: tuple[int, int, int]) -> list[np.ndarray]:
    details = scan.details.astype(np.float32) / _STEPS
    return [fft.rfftn(x, canvas) for x in (details, details**2, scan.inside.astype(np.float32))]
