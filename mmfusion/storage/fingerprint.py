"""What tells a scan from every other: a hash of its bytes, remembered for as long as its files do not change."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from xxhash import xxh3_128

from mmfusion.errors import ScanError
from mmfusion.storage.atomic import atomic_file, cache_folder
from mmfusion.storage.hashing import checksum

_log = logging.getLogger(__name__)
_CHUNK, _HEAD = 1 << 20, 1 << 16
_TICK_NS, _SECOND_NS = 20_000_000, 1_000_000_000
_POINTER = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_File = tuple[str, str, os.stat_result]  # name within the folder, path, state


def fingerprint(path: str | Path) -> str:
    """Hash of what is in a file, or in a folder's files: the same wherever it lies and whenever it was written.

    For a folder, the names within it count too, for they decide what is read; hidden files do not. A header that
    points to its data (`.mhd`, `.nhdr`) is taken with them. The hash is kept in the cache beside the files'
    names, sizes and times of change, so that the next call costs a look at those.

    Returns
    -------
    str
        XXH3-128, 32 hexadecimal digits: it tells scans apart, but does not prove that nobody forged one.

    Raises
    ------
    ScanError
        If a file is not there, or may not be read.
    """
    path = Path(path).absolute()
    try:
        return _fingerprint(path)
    except OSError as error:
        raise ScanError("the scan cannot be read", file=path, got=error.strerror) from error


def _fingerprint(path: Path) -> str:
    files = list(_files(path))
    note = cache_folder() / "fingerprints" / f"{checksum(os.fsencode(path)).hex()}.json"
    states = [[name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for name, _, s in files]
    state = checksum(json.dumps(states).encode()).hex()
    known = _remembered(note, state)
    if known is None:
        now = time.time_ns()
        known = _hash(files)
        if all(settled(s, now) for _, _, s in files):
            _remember(note, {"path": str(path), "state": state, "content": known})
    return known


def settled(state: os.stat_result, now_ns: int) -> bool:
    """Whether a file that changes after `now_ns` is sure to show it.

    A file system's clock ticks every 10 ms at the slowest, an old or simple one's every second or two, which is seen by
    its whole seconds: a file that changes twice within a tick shows the same time.
    """
    changed = max(state.st_mtime_ns, state.st_ctime_ns)
    return now_ns - changed > (_TICK_NS if state.st_ctime_ns % _SECOND_NS else 2 * _SECOND_NS)


def _files(path: Path) -> Iterator[_File]:
    """Every file that counts, in order of its name within the folder."""
    if path.is_dir():
        yield from sorted(_walk(str(path), ""), key=lambda file: file[0])
    else:
        yield "", str(path), path.stat()
        for k, part in enumerate(_apart(path)):
            yield f"{k}", str(part), part.stat()


def _walk(folder: str, prefix: str) -> Iterator[_File]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.name.startswith((".", "__MACOSX")):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{name}/")
            elif entry.is_file():
                yield name, entry.path, entry.stat()


def _apart(path: Path) -> list[Path]:
    """The files that a header points to; where it stands alone and they cannot be told, all beside it."""
    suffix = path.suffix.lower()
    if suffix not in (".mhd", ".nhdr", ".mha", ".nrrd"):
        return []
    with path.open("rb") as stream:
        head = re.split(rb"\r?\n\r?\n", stream.read(_HEAD), maxsplit=1)[0]
    names = [name.decode(errors="replace") for name in _POINTER.findall(head)]
    if names == ["LOCAL"] or (not names and suffix in (".mha", ".nrrd")):
        return []
    files = [path.parent / name for name in names]
    if files and all(file.is_file() for file in files):
        return files
    return sorted(
        p for p in path.parent.iterdir() if p.is_file() and p != path and not p.name.startswith(".")
    )


def _hash(files: list[_File]) -> str:
    whole = xxh3_128()
    for name, path, _ in files:
        content = xxh3_128()
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - a Path for each slice takes longer
            while block := stream.read(_CHUNK):
                content.update(block)
        whole.update(f"{name}\0".encode(errors="surrogateescape") + content.digest())
    return whole.hexdigest()


def _remembered(note: Path, state: str) -> str | None:
    try:
        known = json.loads(note.read_bytes())
    except (OSError, ValueError):
        return None
    return known["content"] if isinstance(known, dict) and known.get("state") == state else None


def _remember(note: Path, facts: dict[str, str]) -> None:
    try:
        with atomic_file(note) as draft:
            draft.write_text(json.dumps(facts), encoding="utf-8")
    except OSError as error:
        _log.warning("cannot write the cache %s: %s", note.parent, error)
