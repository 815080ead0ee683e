"""The files of a folder or ZIP, each opened only when it is read; a hostile ZIP is refused before that."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mmfusion.errors import ScanError
from mmfusion.imaging.plausible import MAX_BYTES

try:
    from isal import isal_zlib as inflater  # twice as fast
except ImportError:  # no wheel for this machine
    inflater = zlib

MAX_MEMBERS = 50_000
MAX_RATIO, RATIO_COUNTS_FROM = 100, 16 * 2**20  # CT shrinks to a half or a quarter
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    inflater.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)


@dataclass(frozen=True)
class Member:
    """One file.

    Parameters
    ----------
    name : str
        Path; of a file in a ZIP, `path of the ZIP:name in it`.
    size : int
        Bytes (unpacked).
    open : callable
        Gives the file, to be read and closed.
    file : Path
        That it is, or the ZIP that it lies in.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]
    file: Path

    def read(self, start: int = 0, size: int = -1) -> bytes:
        """`size` bytes from `start` on, or to the end; fewer where the file ends. In a ZIP, no more is unpacked.

        Raises
        ------
        ScanError
            If it cannot be read or unpacked.
        """
        try:
            with self.open() as file:
                if start:
                    file.seek(start)
                return file.read(size)
        except _BROKEN as error:
            raise _unreadable(self.name, error) from error


@contextmanager
def members(path: Path) -> Iterator[list[Member]]:
    """Every file of a folder, of the ZIPs in it, or of a ZIP; or the one file; in order of name.

    What an operating system left behind (`.DS_Store`, `__MACOSX/`) is passed over. Nothing is unpacked to disk.

    Raises
    ------
    ScanError
        If a ZIP is damaged or encrypted; if a name in it is absolute or climbs out with `..`; if a member is a link;
        or if it would unpack to more than `MAX_BYTES`, or more than `MAX_RATIO` times its size (a ZIP bomb).
    """
    with ExitStack() as stack:
        found = []
        for file in _files(path):
            if file.suffix.lower() == ".zip":
                found += _zip_members(file, stack)
            else:
                found.append(Member(str(file), _size(file), partial(file.open, "rb", buffering=0), file))
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
        infos = [info for info in archive.infolist() if not info.is_dir()]
    except _BROKEN as error:
        hint = "copy or download it again"
        raise ScanError("the ZIP cannot be read", file=path, got=_said(error), hint=hint) from error
    for info in infos:
        _check_member(info, path)
    _check_size(infos, path)
    kept = sorted((info for info in infos if not _hidden(info.filename)), key=lambda info: info.filename)
    return [
        Member(f"{path}:{info.filename}", info.file_size, partial(_opened, archive, info), path)
        for info in kept
    ]


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    file = archive.open(info)
    if info.compress_type == zipfile.ZIP_DEFLATED:
        file._decompressor = inflater.decompressobj(-zlib.MAX_WBITS)
    return file


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name.replace("\\", "/")).parts)


def _unreadable(name: str, error: Exception) -> ScanError:
    return ScanError("cannot be read", file=name, got=_said(error), hint="copy or download it again")


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _check_member(info: zipfile.ZipInfo, path: Path) -> None:
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise ScanError(
            "a name in the ZIP leads out of it", file=path, got=info.filename, hint="do not trust this file"
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ScanError(
            "a member of the ZIP is a link", file=path, got=info.filename, hint="do not trust this file"
        )
    if info.flag_bits & 1:
        raise ScanError("the ZIP is encrypted", file=path, hint="unpack it and give the folder")


def _check_size(infos: list[zipfile.ZipInfo], path: Path) -> None:
    unpacked = sum(info.file_size for info in infos)
    packed = max(sum(info.compress_size for info in infos), 1)
    if unpacked > MAX_BYTES or len(infos) > MAX_MEMBERS:
        got = f"{unpacked / 2**30:.1f} GiB in {len(infos)} files"
        raise ScanError(
            "the ZIP is too large", file=path, expected=f"{MAX_BYTES / 2**30:.0f} GiB at most", got=got
        )
    if unpacked > RATIO_COUNTS_FROM and unpacked / packed > MAX_RATIO:
        got = f"{unpacked / packed:.0f} times, to {unpacked / 2**20:.0f} MiB"
        raise ScanError(
            "the ZIP unpacks suspiciously far", file=path, expected=f"{MAX_RATIO} times at most", got=got
        )
