"""Arrays kept on disk under the hash of what they were made from: memory-mapped, checked, shared by processes.

An entry is a file of its own, `<kind>/<2 digits>/<hash>.npy` below `cache_folder`, that numpy can read too. It is
written beside its place and moved there whole, so that no interrupt leaves half of one; behind the array stands a hash
of the file, so that a damaged one is found, and made again.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import time
import weakref
from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmfusion.storage.atomic import atomic_file, cache_folder
from mmfusion.storage.fingerprint import fingerprint, settled
from mmfusion.storage.hashing import CHECKSUM_SIZE, checksum, hash_json
from mmfusion.storage.locks import locked

__all__ = ["cache_folder", "cached", "fingerprint", "lookup", "prune"]

_log = logging.getLogger(__name__)
_HEADER = 4096  # bytes before the array, which then begins on a page of memory
_MAX_MAPS = 256  # each holds a file open, of which a process may have some 1000
_PATIENCE_S = 3600  # for another process that makes the same entry; then it is made twice
_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_seen: dict[
    str, tuple[int, int, int]
] = {}  # entries whose hash was checked by this process, and their state then


def cached(kind: str, key: Mapping[str, object], make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array that `make` gives, from the cache if it is there.

    Of several processes that need an entry, one makes it while the others wait. A damaged entry is made again. Where
    the folder cannot be written, the array is made each time, and a warning logged.

    Parameters
    ----------
    kind : str
        Subfolder.
    key : mapping
        All that the array depends on (JSON-able): the scan's `fingerprint`, parameters, version of the code.
    make : callable
        Makes it.

    Returns
    -------
    ndarray
        Read-only; a memory map, unless the process holds many of them.
    """
    path = _path(kind, key)
    array = _load(path)
    if array is not None:
        return array
    with locked(f"{path}.lock", wait_s=_PATIENCE_S):
        array = _load(path)
        if array is None:
            array = np.asarray(make(), order="C").view()
            array.flags.writeable = False
            _store(Path(path), array)
    return array


def lookup(kind: str, key: Mapping[str, object]) -> np.ndarray | None:
    """The array that is in the cache under this key, as `cached` would give it; None if none is."""
    return _load(_path(kind, key))


def prune(max_bytes: int) -> int:
    """Delete the entries used longest ago until the rest take up `max_bytes` at most; gives the bytes freed.

    When an entry was used is what its file's time of access says, which most file systems note once a day. Entries
    that another process has mapped stay readable there. Abandoned drafts older than a day go too.
    """
    entries, freed = [], 0
    for path in cache_folder().glob("*/[0-9a-f][0-9a-f]/*"):
        with contextlib.suppress(OSError):  # another process may be pruning
            state = path.stat()
            used = max(state.st_atime, state.st_mtime)
            if path.suffix == ".npy" and not path.name.startswith("."):
                entries.append((used, state.st_size, path))
            elif path.name.startswith(".") and time.time() - used > 86400:
                path.unlink()
    excess = sum(size for _, size, _ in entries) - max_bytes
    for _, size, path in sorted(entries):
        if freed >= excess:
            break
        path.unlink(missing_ok=True)
        freed += size
    return freed


def _path(kind: str, key: Mapping[str, object]) -> str:
    digest = hash_json(key)
    return f"{cache_folder()}/{kind}/{digest[:2]}/{digest}.npy"


def _load(path: str) -> np.ndarray | None:
    """The entry, mapped; None if there is none, or it is damaged."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        state = os.fstat(file)
        if state.st_size < _HEADER + CHECKSUM_SIZE:
            return _damaged(path)
        memory = mmap.mmap(file, state.st_size, access=mmap.ACCESS_READ)
    finally:
        os.close(file)
    if not _whole(path, memory, state):
        return _damaged(path)
    dtype, shape = _described(memory[:_HEADER])
    array = np.frombuffer(memory, dtype, int(np.prod(shape)), _HEADER).reshape(shape)
    if len(_maps) < _MAX_MAPS:
        _maps.add(memory)
    else:
        array = array.copy()
        array.flags.writeable = False
    return array


def _whole(path: str, memory: mmap.mmap, state: os.stat_result) -> bool:
    """Whether the file's hash is right; checked once by each process, and again if the file changes."""
    mark = (state.st_ino, state.st_size, state.st_ctime_ns)
    if _seen.get(path) == mark:
        return True
    view = memoryview(memory)
    if checksum(view[:-CHECKSUM_SIZE]) != view[-CHECKSUM_SIZE:]:
        return False
    if settled(state, time.time_ns()):
        _seen[path] = mark
    return True


def _damaged(path: str) -> None:
    _log.warning("damaged cache entry %s: made again", path)


@lru_cache(maxsize=256)
def _described(header: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    stream = BytesIO(header)
    np.lib.format.read_magic(stream)
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return dtype, shape


def _store(path: Path, array: np.ndarray) -> None:
    if array.dtype.hasobject or array.dtype.names:
        raise TypeError(f"only plain arrays are cached, not {array.dtype}")
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    text = header.getvalue()[10:].rstrip(b"\n")
    head = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + text.ljust(_HEADER - 11) + b"\n"
    body = array.reshape(-1).view(np.uint8).data
    try:
        with atomic_file(path) as draft, draft.open("wb") as file:
            _write(file, head, body, checksum(head, body))
    except OSError as error:
        _log.warning("cannot write the cache %s: %s", path.parent, error)


def _write(file: BinaryIO, *parts: bytes | memoryview) -> None:
    """All parts at one go, where the system can: it then keeps the file in large pages, which are mapped faster."""
    done = os.writev(file.fileno(), parts) if hasattr(os, "writev") else 0
    for part in parts:  # what is left of them: a call writes some 2 GB at most
        skipped = min(done, len(part))
        done -= skipped
        file.write(part[skipped:])
