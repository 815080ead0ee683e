"""Reading a ZIP that someone sent: nothing is unpacked to disk, and a hostile one is refused before it is read."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mmfusion.errors import ScanError

MAX_BYTES = 8 * 2**30  # unpacked; a thoracic CT is some 0.2 GiB
MAX_MEMBERS = 50_000
MAX_RATIO, RATIO_COUNTS_FROM = 100, 16 * 2**20  # CT shrinks to a half or a quarter
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def zip_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file in a ZIP, in order of name; folders and hidden files are passed over.

    Raises
    ------
    ScanError
        If it is no ZIP, damaged or encrypted; if a name is absolute or climbs out with `..`; if a member is a link;
        or if it would unpack to more than `MAX_BYTES`, or more than `MAX_RATIO` times its size (a ZIP bomb).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            for info in infos:
                _check_member(info, path)
            _check_size(infos, path)
            for info in sorted(infos, key=lambda info: info.filename):
                if not hidden(info.filename):
                    yield info.filename, archive.read(info)
    except _BROKEN as error:
        raise ScanError("the ZIP cannot be read", file=path, got=error, hint="copy or download it again") from error


def hidden(name: str) -> bool:
    """Whether a path is one that an operating system left behind (`.DS_Store`, `__MACOSX/`)."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _check_member(info: zipfile.ZipInfo, path: Path) -> None:
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise ScanError(
            "a name in the ZIP leads out of it", file=path, got=info.filename, hint="do not trust this file"
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ScanError("a member of the ZIP is a link", file=path, got=info.filename, hint="do not trust this file")
    if info.flag_bits & 1:
        raise ScanError("the ZIP is encrypted", file=path, hint="unpack it and give the folder")


def _check_size(infos: list[zipfile.ZipInfo], path: Path) -> None:
    unpacked = sum(info.file_size for info in infos)
    packed = max(sum(info.compress_size for info in infos), 1)
    if unpacked > MAX_BYTES or len(infos) > MAX_MEMBERS:
        got = f"{unpacked / 2**30:.1f} GiB in {len(infos)} files"
        raise ScanError("the ZIP is too large", file=path, expected=f"{MAX_BYTES / 2**30:.0f} GiB at most", got=got)
    if unpacked > RATIO_COUNTS_FROM and unpacked / packed > MAX_RATIO:
        got = f"{unpacked / packed:.0f} times, to {unpacked / 2**20:.0f} MiB"
        raise ScanError("the ZIP unpacks suspiciously far", file=path, expected=f"{MAX_RATIO} times at most", got=got)
