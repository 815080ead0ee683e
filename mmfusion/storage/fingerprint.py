"""Fingerprints of scans: a fast hash of their content, remembered until their files change."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from xxhash import xxh3_128

from mmfusion.errors import ScanError
from mmfusion.storage.atomic import atomic_file, cache_folder, without_cache
from mmfusion.storage.detached import linked_files
from mmfusion.storage.hashing import checksum

_CHUNK = 1 << 20
_TICK_NS, _SECOND_NS = 20_000_000, 1_000_000_000
_File = tuple[str, str, os.stat_result]  # name within the folder, path, state


def fingerprint(path: str | Path) -> str:
    """Return a hash of the content of a scan, a file or a folder. Its location and its dates do not matter.

    In a folder, the names of files count too, because they decide what is read; hidden files do not count.
    The data files of a header (`.mhd`, `.nhdr`) in its folder are included. The cache keeps the hash together
    with the names, sizes and times of change of the files, so that the next call only compares these.

    Returns
    -------
    str
        XXH3-128, 32 hexadecimal digits. It distinguishes scans, but it does not protect against forgery.

    Raises
    ------
    ScanError
        If a file is absent or cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "scan.nii")
    ...     _ = file.write_bytes(b"abc")
    ...     before = fingerprint(file)
    ...     print(len(before), fingerprint(file.rename(file.with_name("moved.nii"))) == before)
    32 True
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
    """Return True if a change of the file after `now_ns` would certainly change its recorded time.

    The clock of a file system advances in steps: of at most 10 ms, or of one or two seconds on old or simple
    file systems that record whole seconds. A file that changes twice within one step shows the same time.

    Parameters
    ----------
    state : os.stat_result
        The file's state.
    now_ns : int
        The current time, in nanoseconds since 1970.
    """
    changed = max(state.st_mtime_ns, state.st_ctime_ns)
    return now_ns - changed > (_TICK_NS if state.st_ctime_ns % _SECOND_NS else 2 * _SECOND_NS)


def _files(path: Path) -> Iterator[_File]:
    """Yield every file that counts, in order of its name within the folder."""
    if path.is_dir():
        yield from sorted(_walk(str(path), ""), key=lambda file: file[0])
    else:
        yield "", str(path), path.stat()
        for k, part in enumerate(filter(None, linked_files(path).values())):
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


def _hash(files: list[_File]) -> str:
    whole = xxh3_128()
    for name, path, _ in files:
        content = xxh3_128()
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - faster than a Path per slice
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
        without_cache(error)
