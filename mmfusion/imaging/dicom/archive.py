"""The files of a folder or ZIP, read only when they are needed. A dangerous ZIP is not unpacked at all."""

from __future__ import annotations

import re
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mmfusion.errors import COPY_AGAIN, ScanError
from mmfusion.limits import VARIABLE, check_memory, memory_limit

try:
    from isal import isal_zlib as inflater  # twice as fast
except ImportError:  # there is no wheel for this machine
    inflater = zlib

MAX_MEMBERS = 50_000
SCANS_IN_A_ZIP = 8  # a ZIP may unpack to as many times the memory of one scan
MAX_RATIO, RATIO_COUNTS_FROM = 100, 16 * 2**20  # CT shrinks to a half or a quarter
_CHUNK = 2**14
# raised by a damaged ZIP, or by a compression that Python does not know or was built without
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    inflater.error,
    LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,  # UnicodeDecodeError among them
    OverflowError,
    struct.error,
)


@dataclass(frozen=True)
class Member:
    """One file of a folder or ZIP.

    Parameters
    ----------
    name : str
        Its path. For a file in a ZIP, `path of the ZIP:name in it`.
    size : int
        Bytes, unpacked.
    part : callable
        `part(start, size)` gives `size` bytes from `start` on, or all to the end if `size` is -1.
    file : Path
        The file itself, or the ZIP that holds it.
    packed : bool
        True if a part in its middle can only be read by reading all before it.

    Examples
    --------
    >>> data = b"DICOM"
    >>> part = lambda start, size: data[start : start + size]
    >>> Member("a.dcm", len(data), part, Path("a.dcm")).read(2, 3)
    b'COM'
    """

    name: str
    size: int
    part: Callable[[int, int], bytes]
    file: Path
    packed: bool = False

    def kept(self) -> Member:
        """Return the same file; it keeps all its bytes in memory once they are needed, if it is packed."""
        if not self.packed:
            return self
        whole: list[bytes] = []
        lock = threading.Lock()

        def part(start: int, size: int) -> bytes:
            with lock:
                if not whole:
                    whole.append(self.read())
            return whole[0][start:] if size < 0 else whole[0][start : start + size]

        return replace(self, part=part, packed=False)

    def read(self, start: int = 0, size: int = -1) -> bytes:
        """Return `size` bytes from `start` on, or all bytes to the end; fewer if the file ends earlier.

        In a ZIP, nothing after these bytes is unpacked. The checksum is compared when the last byte is read.

        Raises
        ------
        ScanError
            If the file cannot be read or unpacked, or is larger than the memory allows.
        """
        wanted = self.size - start if size < 0 else min(size, self.size - start)
        check_memory(wanted, "the file", file=self.name, error=ScanError)
        try:
            return self.part(start, size)
        except _BROKEN as error:
            raise _unreadable(self.name, error) from error


@contextmanager
def members(path: Path) -> Iterator[list[Member]]:
    """List every file of a folder, of the ZIPs in it, or of one ZIP; or the one file; in order of name.

    Files of the operating system (`.DS_Store`, `__MACOSX/`) are skipped. Nothing is unpacked to disk.

    Raises
    ------
    ScanError
        If a ZIP is damaged or encrypted; if a name in it is absolute or contains `..`; if a member is a link;
        if members overlap; or if the ZIP would unpack to more than `SCANS_IN_A_ZIP` times the memory limit,
        or to more than `MAX_RATIO` times its size (a ZIP bomb).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "slice.dcm").write_bytes(b"DICM")
    ...     with members(Path(folder)) as found:
    ...         print([member.size for member in found])
    [4]
    """
    with ExitStack() as stack:
        found = []
        for file in _files(path):
            if file.suffix.lower() == ".zip":
                found += _zip_members(file, stack)
            else:
                part = partial(_part, partial(file.open, "rb", buffering=0))
                found.append(Member(str(file), _size(file), part, file))
        yield found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path).as_posix()))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise _unreadable(str(file), error) from error


def _zip_members(path: Path, stack: ExitStack) -> list[Member]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
        infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
    except _BROKEN as error:
        raise ScanError("the ZIP cannot be read", file=path, got=_said(error), hint=COPY_AGAIN) from error
    for info in infos:
        _check_member(info, path)
    _check_size(infos, path)
    kept = sorted((info for info in infos if not _hidden(info.filename)), key=lambda info: info.filename)
    return [Member(f"{path}:{i.filename}", i.file_size, _reader(archive, i), path, packed=True) for i in kept]


def _reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[int, int], bytes]:
    if info.compress_type == zipfile.ZIP_DEFLATED:
        return partial(_inflated, archive, info)
    return partial(_part, partial(archive.open, info))


def _part(opened: Callable[[], BinaryIO], start: int, size: int) -> bytes:
    with opened() as file:
        if start:
            file.seek(start)
        return file.read(size)


def _inflated(archive: zipfile.ZipFile, info: zipfile.ZipInfo, start: int, size: int) -> bytes:
    """Unpack a member as far as needed, faster than `zipfile` does: in large pieces, with isal."""
    packed = copy(info)  # zipfile then checks the member's own header and gives its bytes as they are stored
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, info.compress_size
    del packed.CRC  # belongs to the unpacked bytes
    end = info.file_size if size < 0 else min(start + size, info.file_size)
    unpacker, data = inflater.decompressobj(-zlib.MAX_WBITS), bytearray()
    with archive.open(packed) as file:
        while len(data) < end and (piece := file.read(max(end - len(data), _CHUNK))):
            data += unpacker.decompress(piece, end - len(data))
    if len(data) < end:
        raise EOFError(f"{len(data)} of {info.file_size} bytes")
    if end == info.file_size and inflater.crc32(data) != info.CRC:
        raise zipfile.BadZipFile("Bad CRC-32")
    return bytes(memoryview(data)[start:])


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name.replace("\\", "/")).parts)


def _unreadable(name: str, error: Exception) -> ScanError:
    stored = (
        isinstance(error, OSError) and error.errno is not None
    )  # an error of the disk, not of the content
    hint = "is it still there, and may you read it?" if stored else COPY_AGAIN
    return ScanError("cannot be read", file=name, got=_said(error), hint=hint)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _check_member(info: zipfile.ZipInfo, path: Path) -> None:
    name, hint = info.filename.replace("\\", "/"), "do not trust this file"
    if not name:
        raise ScanError("a member of the ZIP has no name", file=path, hint=hint)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise ScanError("a name in the ZIP leads out of it", file=path, got=info.filename, hint=hint)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ScanError("a member of the ZIP is a link", file=path, got=info.filename, hint=hint)
    if info.flag_bits & 1:
        raise ScanError("the ZIP is encrypted", file=path, hint="unpack it and give the folder")


def _check_size(infos: list[zipfile.ZipInfo], path: Path) -> None:
    unpacked, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if unpacked > (most := SCANS_IN_A_ZIP * memory_limit()) or len(infos) > MAX_MEMBERS:
        got = f"{unpacked / 2**30:.1f} GiB in {len(infos)} files"
        expected = f"{most / 2**30:.0f} GiB in {MAX_MEMBERS} files at most"
        hint = f"unpack it and give the folder of one scan, or raise {VARIABLE}"
        raise ScanError("the ZIP is too large", file=path, expected=expected, got=got, hint=hint)
    if packed > (size := _size(path)):
        got, expected = f"{packed} bytes of members", f"{size} bytes at most"
        raise ScanError("the members of the ZIP overlap", file=path, expected=expected, got=got)
    check_unpacked(unpacked, packed, path)


def check_unpacked(unpacked: int, packed: int, file: object) -> None:
    """Raise a ScanError if data unpack to more than `MAX_RATIO` times their size, as in a ZIP bomb.

    Examples
    --------
    >>> check_unpacked(500_000, 200_000, "scan.zip")
    """
    if unpacked > RATIO_COUNTS_FROM and unpacked / max(packed, 1) > MAX_RATIO:
        got = f"{unpacked / max(packed, 1):.0f} times, to {unpacked / 2**20:.0f} MiB"
        expected = f"{MAX_RATIO} times at most"
        raise ScanError("the data unpack to far more than their size", file=file, expected=expected, got=got)
