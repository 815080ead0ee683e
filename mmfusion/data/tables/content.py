"""Text of a table's file: unpacked within the memory limit, and decoded."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from pathlib import Path

from mmfusion.data.tables.notes import TableNotes, note
from mmfusion.errors import DataError
from mmfusion.limits import memory_limit, read_at_most

COPIES = 6  # bytes, text, lines and the columns made of them are in memory together
_CSV = "save it as CSV (UTF-8), or as .xlsx"
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    NotImplementedError,  # a method of compression that zipfile does not know
    RuntimeError,  # a password
)
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
# letters and signs that tables in western languages hold; other bytes are a sign of another encoding
_WESTERN = re.compile(
    "[\x20-\x7e\t\r\n\xa0°±²³µ·¹ºª¼½¾§©®×«»¿¡¢£¤¥¦¬¯´¶¸ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûü€…‘’“”–—™•]*"
)
_RUN = re.compile("[^\x00-\x7f]{3,}")


def text_of(path: Path, notes: TableNotes | None = None) -> str:
    """Return the text of a CSV or TSV file, plain, gzipped, or as the only file in a ZIP.

    The text may be UTF-8, UTF-16, or Windows-1252, which is noted.

    Parameters
    ----------
    path : path
        The file.
    notes : TableNotes, optional
        Account of the table.

    Raises
    ------
    DataError
        If there is no such file, it unpacks to more than the memory limit, or it is not text.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "t.csv"
    ...     _ = file.write_bytes("id,Größe".encode("utf-16"))
    ...     text_of(file)
    'id,Größe'
    """
    if not path.is_file():
        raise DataError("no such file", file=path)
    try:
        raw = _bytes_of(path)
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise DataError(f"cannot be unpacked ({error})", file=path, hint="copy the file again") from error
        raise DataError(f"cannot be read ({error.strerror or error})", file=path) from error
    except _ZIP_ERRORS as error:
        raise DataError(
            f"cannot be unpacked ({error or type(error).__name__})",
            file=path,
            hint="unpack it with another program, or copy the file again",
        ) from error
    _refuse_other_kinds(raw, path)
    text = _decode(raw, path, notes).rstrip("\x1a")  # DOS programs end a text with Ctrl-Z
    if text.lstrip()[:1] in ("<", "{"):
        got = "an HTML or XML page" if text.lstrip()[0] == "<" else "JSON"
        raise DataError("not a text table", file=path, expected="CSV or TSV", got=got, hint=_CSV)
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        got = f"the character {found[0]!r} in line {line}"
        raise DataError("not a text table", file=path, expected="CSV or TSV", got=got, hint=_CSV)
    return text


def _bytes_of(path: Path) -> bytes:
    limit = memory_limit() // COPIES
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")]
            if len(members) != 1:
                raise DataError(
                    "a zipped table holds one file", file=path, expected="1 file", got=f"{len(members)} files"
                )
            with archive.open(members[0]) as stream:
                return read_at_most(stream, limit, "the table", file=path)
    with path.open("rb") as stream:
        raw = read_at_most(stream, limit, "the table", file=path)
    if raw.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as unpacked:
            return read_at_most(unpacked, limit, "the table", file=path)
    return raw


def _refuse_other_kinds(raw: bytes, path: Path) -> None:
    """Raise an error that names the kind of a file which is no text."""
    kinds = {
        b"PK\x03\x04": "a ZIP archive or an Excel workbook",
        b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls), or one with a password",
        b"%PDF": "a PDF",
        b"\x1f\x8b": "a file that is gzipped twice",
        b"PAR1": "a Parquet file",
        b"\x89HDF": "an HDF5 file",
    }
    for start, kind in kinds.items():
        if raw.startswith(start):
            hint = "name a workbook .xlsx, and an archive .zip" if start == b"PK\x03\x04" else _CSV
            raise DataError("not a text table", file=path, expected="CSV or TSV", got=kind, hint=hint)


def _decode(raw: bytes, path: Path, notes: TableNotes | None) -> str:
    try:
        return raw.decode(_encoding(raw))
    except UnicodeDecodeError as error:
        if error.encoding != "utf-8":
            raise DataError(f"not a text table in {error.encoding} ({error.reason})", file=path) from error
        line, byte = raw.count(b"\n", 0, error.start) + 1, raw[error.start]
    text = raw.decode("cp1252", errors="replace")
    if not _WESTERN.fullmatch(text) or _RUN.search(text):
        raise DataError(
            "not a text table in UTF-8",
            file=path,
            expected="CSV or TSV in UTF-8, UTF-16 or Windows-1252",
            got=f"the byte 0x{byte:02x} in line {line}",
            hint="save it as CSV UTF-8",
        )
    note(notes, f"read as Windows-1252, as it is not UTF-8 (line {line}): check letters with accents", path)
    return text


def _encoding(raw: bytes) -> str:
    for mark, name in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if raw.startswith(mark):
            return name
    start = raw[:4096]
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):  # in western text each second byte is 0
        if (
            len(start) > 3
            and start[offset::2].count(0) > 0.8 * (len(start) // 2)
            and start.count(0) < len(start) * 0.6
        ):
            return name
    return "utf-8"
