"""Recognise DICOM by its first bytes, and files that are certainly no slice of a scan."""

from __future__ import annotations

import re
import string
from pathlib import PurePath

from pydicom.valuerep import VR

SUFFIXES = (".dcm", ".ima", ".dicom")
HEAD = 1024  # bytes that `looks_like_dicom` needs at most
_VRS = frozenset(vr.value.encode() for vr in VR if len(vr.value) == 2)
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_GROUP_OF_PIXELS = 0x7FE0
_ARCHIVES = (
    ".tar",
    ".tgz",
    ".tbz2",
    ".txz",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".7z",
    ".rar",
    ".zip",
    ".iso",
    ".lha",
)
_OTHERS = (
    "txt xml csv tsv json jsonl yaml yml md rst html htm css js pdf doc docx xls xlsx xlsm ppt pptx odt "
    "ods rtf jpg jpeg png gif bmp tif tiff svg webp ico mp4 avi mov mpg wmv wav mp3 nii nrrd nhdr seg mha "
    "mhd zraw mat npy npz h5 hdf5 pt pth pkl safetensors parquet feather db sqlite ini inf cfg conf toml "
    "log exe dll so bat cmd sh py ipynb r m c cpp h jar class sum md5 sha1 sha256 lock tcia url lnk stl "
    "obj vtk vtp ply xsl xsd dtd sql bib tex eps ps rb pl "
)  # of files that are no slices
_ENDINGS = frozenset(_OTHERS.split())
_NAMES = frozenset(
    ("thumbs", "desktop", "autorun", "readme", "license", "licence", "version", "index", "dicomdir")
)
_TEXT = frozenset(string.printable.encode()) | frozenset(range(128, 256))


def looks_like_dicom(head: bytes) -> bool:
    r"""Return whether the first bytes of a file are those of DICOM.

    A file begins with a preamble of 128 bytes and the prefix "DICM". Some exports leave both out. The file
    then begins with its first element, of group 0002 or 0008, and the first elements are checked.

    Parameters
    ----------
    head : bytes
        The first `HEAD` bytes of the file, or more; fewer only if the file is shorter.

    Examples
    --------
    >>> looks_like_dicom(bytes(128) + b"DICM")
    True
    >>> looks_like_dicom(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100\x08\x00\x16\x00UI\x02\x001.")
    True
    >>> looks_like_dicom(b"Notes about the scan: DICM")
    False
    """
    return head[128:132] == b"DICM" or is_bare(head)


def is_bare(head: bytes) -> bool:
    r"""Return whether a file begins with a DICOM element, without the preamble and the prefix "DICM".

    Examples
    --------
    >>> is_bare(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100\x08\x00\x16\x00UI\x02\x001.")
    True
    """
    return any(
        _elements(head, order, explicit=e)
        for order, e in (("little", True), ("little", False), ("big", True))
    )


def _elements(head: bytes, order: str, *, explicit: bool) -> bool:
    """Return whether two elements follow each other in the order of their tags."""
    at, last = 0, (0, -1)
    for number in range(3):
        if len(head) < at + 8:
            return number == 2 and len(head) >= at  # a very short file
        tag = tuple(int.from_bytes(head[at + k : at + k + 2], order) for k in (0, 2))
        if not last < tag or tag[0] not in ((2, 8) if number == 0 else range(2, 0x0021)):
            return False
        vr = head[at + 4 : at + 6]
        explicit_here = explicit or tag[0] == 2  # the meta header is explicit always
        if explicit_here and vr not in _VRS:
            return False
        begin, size = (8, 2) if explicit_here and vr not in _LONG else (12, 4) if explicit_here else (8, 4)
        length = int.from_bytes(head[at + begin - size : at + begin], order)
        if number and at + begin + length > len(head):
            return True  # two elements begin as they should
        at, last = at + begin + length, tag
    return True


def is_late_element(head: bytes, size: int, *, explicit: bool, little: bool = True) -> bool:
    r"""Return whether bytes that follow the pixels are an element of DICOM.

    Parameters
    ----------
    head : bytes
        The first bytes behind the pixels.
    size : int
        Number of bytes to the end of the file.
    explicit, little : bool
        Encoding of the file.

    Examples
    --------
    >>> is_late_element(b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0", 14, explicit=True)
    True
    """
    order = "little" if little else "big"
    vr = head[4:6]
    begin, width = (8, 4) if not explicit else (12, 4) if vr in _LONG else (8, 2)
    length = int.from_bytes(head[begin - width : begin], order)
    group = int.from_bytes(head[:2], order)
    return group >= _GROUP_OF_PIXELS and (not explicit or vr in _VRS) and begin + length <= size


def is_archive(name: str, head: bytes = b"") -> bool:
    """Return whether a file is an archive or packed file, by its name or its first bytes.

    Examples
    --------
    >>> is_archive("scan.tar.gz"), is_archive("IM0001")
    (True, False)
    """
    marks = (b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"BZh9")
    lower = name.lower()
    image = lower.endswith((".nii.gz", ".docx", ".xlsx", ".npz", ".jar"))
    return not image and (lower.endswith(_ARCHIVES) or head.startswith(marks) or head[257:262] == b"ustar")


def is_no_slice(name: str, head: bytes) -> bool:
    r"""Return whether a file is certainly no slice: by its name, or because it is text.

    An empty file without a known suffix may be a slice that was not copied.

    Examples
    --------
    >>> is_no_slice("thumbs.db", b"\0\1"), is_no_slice("IM0001", b"\0\1"), is_no_slice("README", b"Read me")
    (True, False, True)
    """
    path = PurePath(name.replace("\\", "/").rpartition("/")[2])
    suffixes = [suffix[1:].lower() for suffix in path.suffixes]
    last = suffixes[-1] if suffixes else ""
    packed = last == "gz" and len(suffixes) > 1 and suffixes[-2] in _ENDINGS
    known = last in _ENDINGS or packed or path.stem.lower() in _NAMES or re.fullmatch(r"z\d\d", last)
    return bool(known or (head.strip() and _TEXT.issuperset(head)))
