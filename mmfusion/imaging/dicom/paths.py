"""Tell whether a path may be a scan of DICOM."""

from __future__ import annotations

import zlib
from contextlib import suppress
from pathlib import Path

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.packed import GZIP, pieces
from mmfusion.imaging.dicom.recognise import HEAD, SUFFIXES, looks_like_dicom


def may_be_dicom(path: Path) -> bool:
    """Return True for a folder, a ZIP, or a file whose name or first bytes are those of DICOM.

    Examples
    --------
    >>> may_be_dicom(Path("slice.dcm")), may_be_dicom(Path("slice.dcm.gz"))
    (True, True)
    """
    name = path.name.lower()
    if path.is_dir() or name.endswith((".zip", *SUFFIXES, *(f"{suffix}.gz" for suffix in SUFFIXES))):
        return True
    head = first_bytes(path)
    if name.endswith(".gz"):
        with suppress(EOFError, zlib.error):
            head = next(pieces(head, GZIP), b"")
    return looks_like_dicom(head)


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, as many as `looks_like_dicom` needs.

    Raises
    ------
    ScanError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "slice.dcm"
    ...     _ = file.write_bytes(bytes(128) + b"DICM")
    ...     first_bytes(file)[128:]
    b'DICM'
    """
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise ScanError("cannot be read", file=path, got=error.strerror, hint="may you read it?") from error
