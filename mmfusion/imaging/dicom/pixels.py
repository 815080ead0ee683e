"""The pixels of a series as an array that decodes only the part that is indexed."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass

import numpy as np
from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian

from mmfusion.errors import ScanError
from mmfusion.exclusive import silenced
from mmfusion.imaging.dicom.decoding import decoded
from mmfusion.imaging.dicom.header import Header, unreadable
from mmfusion.imaging.dicom.recognise import is_late_element
from mmfusion.limits import check_memory

_BYTES_AT_WORK = 16  # of a pixel while its slice is decoded: as stored, and with more bits
_THREADS = min(4, os.cpu_count() or 1)  # unpacking and decoding release the interpreter lock


@dataclass(frozen=True)
class Scaling:
    """Map from stored values to HU or SUV: `stored * slope + intercept`.

    Parameters
    ----------
    slopes, intercepts : sequence of float
        One per slice.
    lowest : float
        Lower values are set to this one.
    padding : float
        Value of padded pixels (PixelPaddingValue).
    dtype : dtype
        int16 if every slope and intercept is a whole number, else float32.

    Examples
    --------
    >>> ct = Scaling(slopes=[1], intercepts=[-1024], lowest=-1024, padding=-1024, dtype=np.dtype("int16"))
    >>> 1064 * ct.slopes[0] + ct.intercepts[0]  # HU of a stored value
    40
    """

    slopes: Sequence[float]
    intercepts: Sequence[float]
    lowest: float
    padding: float
    dtype: np.dtype


class SlicedArray:
    """An array (z, y, x) in LPS orientation whose slices stay in their files until they are indexed.

    Parameters
    ----------
    slices : sequence of Header
        In the order of their positions.
    scaling : Scaling
        How stored values become HU or SUV.
    order, flip : sequence
        How the stored axes are turned; see `mmfusion.imaging.affine.lps_axes`.
    """

    ndim = 3

    def __init__(
        self, slices: Sequence[Header], scaling: Scaling, order: Sequence[int], flip: Sequence[bool]
    ) -> None:
        self._slices, self._scaling, self._order, self._flip = slices, scaling, tuple(order), tuple(flip)
        stored = stored_shape(slices)
        self.shape = tuple(stored[k] for k in order)
        self.size, self.dtype = int(np.prod(self.shape)), scaling.dtype

    def __getitem__(self, box: tuple[slice, slice, slice]) -> np.ndarray:
        """Return the values in a box, given as three slices of step 1.

        Raises
        ------
        ScanError
            If pixels are damaged, no decoder for their compression is installed, or the box is too large for
            the memory.
        """
        ranges = [s.indices(n)[:2] for s, n in zip(box, self.shape, strict=True)]
        out = self._empty([max(stop - start, 0) for start, stop in ranges])
        turned = out[tuple(slice(None, None, -1 if f else 1) for f in self._flip)].transpose(
            np.argsort(self._order)
        )
        stored = [
            (n - stop, n - start) if f else (start, stop)
            for (start, stop), n, f in zip(ranges, self.shape, self._flip)
        ]
        z, y, x = (slice(*stored[k]) for k in np.argsort(self._order))
        if out.size:
            self._decode(turned, range(z.start, z.stop), y, x)
        return out

    def planes(self, numbers: Sequence[int]) -> np.ndarray:
        """Return some slices in their stored orientation, shape (n, rows, columns)."""
        out = self._empty((len(numbers), *stored_shape(self._slices)[1:]))
        self._decode(out, numbers, slice(0, out.shape[1]), slice(0, out.shape[2]))
        return out

    def _empty(self, shape: Sequence[int]) -> np.ndarray:
        """Return a new array, if there is memory for it and for the slices that are decoded at one time."""
        rows, columns = stored_shape(self._slices)[1:]
        needed = math.prod(shape) * self.dtype.itemsize + _THREADS * rows * columns * _BYTES_AT_WORK
        check_memory(needed, "the scan", file=self._slices[0].member.file, error=ScanError)
        return np.empty(shape, self.dtype)

    def _decode(self, out: np.ndarray, numbers: Sequence[int], y: slice, x: slice) -> None:
        def one(k: int) -> None:
            with np.errstate(all="ignore"):  # values are clipped
                out[k] = self._values(numbers[k], y, x)

        with silenced("pydicom"), ThreadPoolExecutor(_THREADS) as pool:
            try:
                contexts = [copy_context() for _ in numbers]  # so that warnings go where this thread's go
                list(pool.map(lambda context, k: context.run(one, k), contexts, range(len(numbers))))
            except BaseException:  # the other slices need not be read any more
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _values(self, k: int, y: slice, x: slice) -> np.ndarray:
        header, scaling = self._slices[k], self._scaling
        stored = stored_values(header, y, x)
        padded = _padding(header, stored)
        if scaling.dtype == np.int16:
            values = stored.astype(np.int32 if stored.dtype.itemsize < 4 else np.int64)
            values *= int(scaling.slopes[k])
            values += int(scaling.intercepts[k])
        else:
            values = stored.astype(np.float32)
            values *= np.float32(scaling.slopes[k])
            values += np.float32(scaling.intercepts[k])
        if padded is not None:
            values[padded] = scaling.padding
        highest = np.iinfo(np.int16).max if scaling.dtype == np.int16 else None
        return np.clip(values, scaling.lowest, highest, out=values)


def stored_shape(slices: Sequence[Header]) -> tuple[int, int, int]:
    """Return the stored shape of slices, (z, y, x).

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> slices = [SimpleNamespace(number={"Rows": 512, "Columns": 256}.get)] * 3
    >>> stored_shape(slices)
    (3, 512, 256)
    """
    return (len(slices), int(slices[0].number("Rows")), int(slices[0].number("Columns")))


def check_pixels(header: Header) -> None:
    """Raise a ScanError unless the header describes one grey image and the file is long enough to hold it."""
    header.expect(("Rows", "Columns", "BitsAllocated", "PixelRepresentation"))
    frames, samples = header.number("NumberOfFrames") or 1, header.number("SamplesPerPixel") or 1
    if (frames, samples) != (1, 1):
        got = f"{frames:g} frames, {samples:g} values per pixel"
        raise ScanError("not a grey single-frame slice", file=header.name, got=got)
    for tag, allowed in {"BitsAllocated": (8, 16, 32), "PixelRepresentation": (0, 1)}.items():
        if header.number(tag) not in allowed:
            expected = " or ".join(map(str, allowed))
            raise header.error("a damaged header", tag, expected=expected, got=header.value(tag))
    for tag in ("Rows", "Columns"):
        if not 1 <= header.number(tag) <= 2**14:
            raise header.error("a damaged header", tag, expected=f"1 to {2**14}", got=header.value(tag))
    if header.begin is not None and header.encoded is None:
        there = min(header.length, header.member.size - header.begin)
        expected = max(stored_bytes(header), header.length)
        if there < expected:
            raise unreadable(header.name, f"{max(there, 0)} of {expected} bytes of pixels")


def stored_bytes(header: Header) -> int:
    """Return the number of bytes that the pixels of a slice take when they are not compressed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mmfusion.imaging.dicom.archive import Member
    >>> member = Member("slice.dcm", 0, lambda start, size: b"", Path("slice.dcm"))
    >>> stored_bytes(Header(member, {"Rows": "512", "Columns": "512", "BitsAllocated": "16"}, "", None, None))
    524288
    """
    return int(header.number("Rows") * header.number("Columns")) * _dtype(header).itemsize


def surplus_pixels(slices: Sequence[Header]) -> list[str]:
    """Return a sentence if files have more bytes of pixels than their images need; one pad byte is usual.

    The number of rows or columns may then be wrong. Bytes after the pixels that are no element of DICOM mean
    that something was added, or lies at the wrong place.
    """
    plain = [header for header in slices if header.begin is not None and header.encoded is None]
    found = [
        (h, f"{h.length} bytes of pixels, the image needs {stored_bytes(h)}")
        for h in plain
        if h.length > stored_bytes(h) + 1
    ]
    found += [(h, f"{n} bytes after the pixels that are no element") for h in plain if (n := _behind(h))]
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [f"{header.name}{others}: {text}" for header, text in found[:1]]


def _behind(header: Header) -> int:
    """Return the number of bytes after the pixels if they are neither elements nor zeros."""
    end = header.begin + header.length
    left = header.member.size - end
    if left <= 0 or header.values.get("FramesFollow"):
        return 0
    begin = header.member.read(end, 64)
    explicit, little = header.syntax != ImplicitVRLittleEndian, header.syntax != ExplicitVRBigEndian
    padded = left % 2 == 0 and not any(begin)  # files of DICOM have an even length
    return 0 if padded or is_late_element(begin, left, explicit=explicit, little=little) else left


def _dtype(header: Header) -> np.dtype:
    kind = "i" if header.number("PixelRepresentation") else "u"
    return np.dtype(f"<{kind}{int(header.number('BitsAllocated')) // 8}")


def stored_values(header: Header, y: slice = slice(None), x: slice = slice(None)) -> np.ndarray:
    """Return values as they stand in the file. Of uncompressed pixels, only the wanted rows are read."""
    if header.offset is None:
        return _used_bits(header, _unpacked(header)[y, x])
    y = slice(*y.indices(int(header.number("Rows")))[:2])
    dtype, columns = _dtype(header), int(header.number("Columns"))
    row = columns * dtype.itemsize
    data = header.member.read(header.offset + y.start * row, (y.stop - y.start) * row)
    if len(data) < (y.stop - y.start) * row:
        raise unreadable(header.name, "fewer pixels than the file's size promised")
    return _used_bits(header, np.frombuffer(data, dtype).reshape(-1, columns)[:, x])


def _used_bits(header: Header, stored: np.ndarray) -> np.ndarray:
    """Return the values of the used bits, with sign. Old scanners stored overlays in unused bits."""
    allocated, used = 8 * stored.dtype.itemsize, int(header.number("BitsStored") or 0)
    if not 0 < used < allocated or header.number("HighBit") not in (None, used - 1):
        return stored
    kept = np.left_shift(stored, allocated - used, dtype=stored.dtype)
    kept >>= allocated - used
    return kept


def _unpacked(header: Header) -> np.ndarray:
    """Return the values of pixels that are compressed, or stored with the high byte first."""
    if header.encoded is not None:
        return decoded(header)
    rows, columns = int(header.number("Rows")), int(header.number("Columns"))
    dtype = _dtype(header).newbyteorder(">")
    data = header.member.read(header.begin, rows * columns * dtype.itemsize) if header.begin else b""
    if header.syntax != ExplicitVRBigEndian or len(data) < rows * columns * dtype.itemsize:
        raise unreadable(header.name, f"{len(data)} bytes of pixels in {UID(header.syntax).name}")
    stored = np.frombuffer(data, dtype).reshape(rows, columns)
    if dtype.itemsize == 1:  # words of two pixels, the second first
        stored = np.frombuffer(
            np.frombuffer(data[: rows * columns // 2 * 2], "<u2").byteswap().tobytes(), dtype
        )
        stored = stored.reshape(rows, columns)
    return stored.astype(dtype.newbyteorder("="))


def _padding(header: Header, stored: np.ndarray) -> np.ndarray | None:
    """Return where pixels are padding; None if nowhere. Some PixelPaddingValues have the wrong sign."""
    value = header.number("PixelPaddingValue")
    if value is None:
        return None
    limit = header.number("PixelPaddingRangeLimit")
    bits = 8 * stored.dtype.itemsize
    ends = [
        np.array(int(v) % 2**bits, f"u{bits // 8}").astype(stored.dtype)
        for v in (value, limit)
        if v is not None
    ]
    ends = [_used_bits(header, end) for end in ends]
    padded = (stored >= min(ends)) & (stored <= max(ends)) if len(ends) > 1 else stored == ends[0]
    return padded if padded.any() else None
