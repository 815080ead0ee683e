"""Check a compressed frame before a decoder sees it: its size, its markers, and that it is whole.

The decoders trust the frame; a changed size or a missing end makes some of them crash, hang or return pixels
that are not in the file. JPEG (ISO 10918-1), JPEG-LS (ISO 14495-1) and JPEG 2000 (ISO 15444-1) are chains of
markers with lengths, which are followed here. RLE is defined in DICOM PS3.5, annex G.
"""

from __future__ import annotations

import re

from pydicom.uid import RLELossless

from mmfusion.imaging.dicom.header import Header, unreadable

_END = b"\xff\xd9"
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # SOFn of JPEG, SOF55 of JPEG-LS
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_IN_JPEG = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)  # within the data, these are not markers
_IN_JPEG_LS = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]", re.DOTALL)


def check_codestream(frame: bytes, header: Header, shape: tuple[int, int], bits: int) -> None:
    """Raise a ScanError unless a compressed frame is whole and holds one grey image of this shape.

    Parameters
    ----------
    frame : bytes
        The compressed frame.
    header : Header
        Header of the slice; it names the compression.
    shape : (rows, columns)
        Shape that the header states.
    bits : int
        BitsAllocated.
    """
    got = _problem(frame, header.syntax, shape, bits)
    if got:
        raise unreadable(header.name, got)


def _problem(frame: bytes, syntax: str, shape: tuple[int, int], bits: int) -> str:
    """Return what is wrong with a frame; "" if nothing is."""
    if syntax == RLELossless:
        return _rle(frame, bits)
    if frame.startswith(b"\xff\xd8"):
        return _jpeg(frame, shape, bits)
    if (start := frame.find(b"\xff\x4f\xff\x51", 0, 4096)) >= 0:  # also within the boxes of a JP2 file
        return _jpeg2000(frame[start:], shape, bits)
    return "compressed pixels without a beginning"


def _rle(frame: bytes, bits: int) -> str:
    count = int.from_bytes(frame[:4], "little")
    if count != bits // 8:
        return f"{count} segments of RLE for {bits} bits"
    offsets = [int.from_bytes(frame[4 * k + 4 : 4 * k + 8], "little") for k in range(15)]
    used = [*offsets[:count], len(frame)]
    if offsets[0] != 64 or used != sorted(set(used)) or any(offsets[count:]):
        return "segments of RLE that do not follow each other"
    return ""


def _jpeg(frame: bytes, shape: tuple[int, int], bits: int) -> str:
    """Follow the markers of JPEG or JPEG-LS to the end marker."""
    at, inside = 2, None
    while at + 1 < len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xD9:
            left = len(frame[at + 2 :].rstrip(b"\0"))
            return "compressed pixels without a size" if inside is None else _ending(left)
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        size = int.from_bytes(frame[at + 2 : at + 4], "big")
        body = frame[at + 4 : at + 2 + size]
        if size < 2 or len(body) != size - 2:
            return f"{len(body)} of {size - 2} bytes at a marker of the compressed pixels"
        if marker in _FRAME_MARKERS:
            if sized := _unlike(body, shape, bits):
                return sized
            inside = _IN_JPEG_LS if marker == 0xF7 else _IN_JPEG
        at += 2 + size
        if marker == 0xDA and inside is not None:  # the pixels follow
            found = inside.search(frame, at)
            at = found.end() - 2 if found else len(frame)
    return (
        f"no marker at byte {at} of the compressed pixels"
        if at < len(frame)
        else "compressed pixels without an end"
    )


def _ending(left: int) -> str:
    return f"{left} bytes after the end of the compressed pixels" if left else ""


def _unlike(body: bytes, shape: tuple[int, int], bits: int) -> str:
    if len(body) < 6:
        return "a size of the compressed pixels that is too short"
    depth, *size = body[0], int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    return _differs(tuple(size), body[5], depth, shape, bits)


def _differs(size: tuple[int, int], components: int, depth: int, shape: tuple[int, int], bits: int) -> str:
    if size != shape:
        return f"compressed pixels of {size[0]} x {size[1]} where the header says {shape[0]} x {shape[1]}"
    if components != 1 or not 2 <= depth <= bits:
        return f"compressed pixels with {components} values of {depth} bits where the header says 1 of {bits}"
    return ""


def _jpeg2000(frame: bytes, shape: tuple[int, int], bits: int) -> str:
    size = int.from_bytes(frame[4:6], "big")
    body = frame[4 : 4 + size]
    if size < 41 or len(body) != size:
        return "compressed pixels that end in their header"
    x1, y1, x0, y0, *tile = (int.from_bytes(body[k : k + 4], "big") for k in range(4, 36, 4))
    components = int.from_bytes(body[36:38], "big")
    if sized := _differs((y1 - y0, x1 - x0), components, (body[38] & 0x7F) + 1, shape, bits):
        return sized
    if not all(tile[:2]) or (shape[0] // tile[1] + 2) * (shape[1] // tile[0] + 2) > 2**16 - 1:
        return "tiles that the compressed pixels cannot have"
    at = 4 + size
    while frame[at : at + 2] not in (b"\xff\x90", b""):  # the rest of the main header
        size = int.from_bytes(frame[at + 2 : at + 4], "big")
        if frame[at : at + 1] != b"\xff" or size < 2:
            return f"no marker at byte {at} of the compressed pixels"
        at += 2 + size
    return _tiles(frame, at)


def _tiles(frame: bytes, at: int) -> str:
    """Follow the tile parts to the end marker."""
    while frame[at : at + 2] == b"\xff\x90":
        size = int.from_bytes(frame[at + 6 : at + 10], "big")
        if size == 0:  # to the end
            return "" if frame.rstrip(b"\0").endswith(_END) else "compressed pixels without an end"
        if size < 14 or at + size > len(frame):
            return f"{len(frame) - at} of {size} bytes of a tile of the compressed pixels"
        at += size
    left = len(frame[at + 2 :].rstrip(b"\0"))
    return _ending(left) if frame[at : at + 2] == _END else "compressed pixels without an end"
