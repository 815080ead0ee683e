"""A cache of arrays on disk, found by the hash of their inputs, memory-mapped and shared by processes.

An entry is one file, `<kind>/<2 digits>/<hash>.npy` in `cache_folder`, which numpy can read too. It is
written atomically, so an interrupt does not leave an incomplete entry. A checksum follows the array, so a
damaged entry is found and made again. The warnings that were given while the array was made are in the entry
too, and each reading gives them again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmfusion.errors import Given, ScanWarning, TableWarning, gathered, warn
from mmfusion.exclusive import is_exclusive
from mmfusion.storage.atomic import atomic_file, cache_folder, without_cache
from mmfusion.storage.drafts import sweep
from mmfusion.storage.fingerprint import fingerprint, settled
from mmfusion.storage.hashing import CHECKSUM_SIZE, checksum, hash_json
from mmfusion.storage.locks import locked, unlock

__all__ = ["cache_folder", "cached", "fingerprint", "lookup", "prune"]

_log = logging.getLogger(__name__)
_HEADER = 4096  # bytes before the array, so that the array begins on a page of memory
_MAX_MAPS = 256  # each keeps a file open; a process may have about 1000 open files
_PATIENCE_S = 3600  # time to wait for another process that makes the same entry; then it is made twice
_STEP_S = 0.1
_making: Counter[str] = Counter()  # entries that threads of this process make now, and their number
_making_lock = threading.Lock()
_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_State = tuple[int, int, int]  # inode number, size, time of the last change
_seen: dict[
    str, _State
] = {}  # entries whose checksum this process has compared, and their state at that time


def cached(kind: str, key: Mapping[str, object], make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return an array from the cache, or make and store it.

    If several processes need the same entry, one makes it and the others wait. A damaged entry is made again.
    If the folder cannot be written, the array is made each time and a warning is logged.

    Parameters
    ----------
    kind : str
        Subfolder of the cache.
    key : mapping
        Everything that the array depends on, as JSON values: the scan's `fingerprint`, the parameters, the
        version of the code.
    make : callable
        Makes the array. It takes no arguments.

    Returns
    -------
    ndarray
        Read-only. It is a memory map, or a copy if the process already holds many maps.

    Raises
    ------
    TypeError
        If the array holds objects or has named fields, or the key has no JSON form.
    """
    path = _path(kind, key)
    entry = _load(path)
    if entry is None:
        with _one_maker(path):
            entry = _load(path)
            if entry is None:
                with gathered() as given:
                    array = np.asarray(make(), order="C").view()
                array.flags.writeable = False
                _store(Path(path), array, given)
                entry = array, given
    return _announced(entry)


def _announced(entry: tuple[np.ndarray, Sequence[Given]]) -> np.ndarray:
    """Give the warnings of an entry again, and return its array."""
    array, given = entry
    for warning in given:
        warn(warning.text, warning.category, stacklevel=3)
    return array


@contextmanager
def _one_maker(path: str) -> Iterator[None]:
    """Wait until no other thread or process makes this entry.

    A thread inside `exclusive` does not wait for another thread of this process, because that thread may need
    such a block to make the entry. The entry is then made twice.
    """
    with _making_lock:
        _making[path] += 1
    try:
        with contextlib.ExitStack() as stack:
            if is_exclusive():
                _wait_in_steps(path, stack)
            else:
                stack.enter_context(locked(f"{path}.lock", wait_s=_PATIENCE_S))
            yield
    finally:
        with _making_lock:
            _making[path] -= 1
            if not _making[path]:
                del _making[path]


def _wait_in_steps(path: str, stack: contextlib.ExitStack) -> None:
    """Lock an entry unless another thread of this process makes it."""
    for _ in range(round(_PATIENCE_S / _STEP_S)):
        if _making[path] > 1:
            return
        with contextlib.suppress(TimeoutError):
            stack.enter_context(locked(f"{path}.lock", wait_s=_STEP_S, busy=TimeoutError()))
            return


def lookup(kind: str, key: Mapping[str, object]) -> np.ndarray | None:
    """Return the array that the cache holds for this key; None if there is none. See `cached`."""
    entry = _load(_path(kind, key))
    return None if entry is None else _announced(entry)


def prune(max_bytes: int) -> int:
    """Delete the entries that were used longest ago until the rest take at most `max_bytes`.

    The access time of a file shows when its entry was used. Most file systems update it once a day. An entry
    that another process has mapped stays readable for that process. What killed processes left behind is
    deleted too.

    Parameters
    ----------
    max_bytes : int
        Size of the cache afterwards, in bytes, 0 or more.

    Returns
    -------
    int
        Bytes freed.
    """
    entries, freed = [], 0
    for folder in cache_folder().glob("*/[0-9a-f][0-9a-f]"):
        sweep(folder)
    for path in cache_folder().glob("*/[0-9a-f][0-9a-f]/*"):
        with contextlib.suppress(OSError):  # another process may prune at the same time
            state = path.stat()
            used = max(state.st_atime, state.st_mtime)
            if path.suffix == ".npy" and not path.name.startswith("."):
                entries.append((used, state.st_size, path))
            elif path.name.startswith(".") and time.time() - used > 86400:  # of a release before this one
                path.unlink()
            elif path.suffix == ".lock":
                unlock(path)
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


def _load(path: str) -> tuple[np.ndarray, list[Given]] | None:
    """Return the entry as a memory map, and its warnings; None if it is absent or damaged."""
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
    given = _read_warnings(memory[_HEADER + array.nbytes : -CHECKSUM_SIZE])
    if len(_maps) < _MAX_MAPS:
        _maps.add(memory)
    else:
        array = array.copy()
        array.flags.writeable = False
    return array, given


def _whole(path: str, memory: mmap.mmap, state: os.stat_result) -> bool:
    """Return True if the checksum is right; it is compared once per process and state of the file."""
    mark = (state.st_ino, state.st_size, state.st_ctime_ns)
    if _seen.get(path) == mark:
        return True
    view = memoryview(memory)
    if checksum(view[:-CHECKSUM_SIZE]) != view[-CHECKSUM_SIZE:]:
        return False
    if settled(state, time.time_ns()):
        _seen[path] = mark
        unlock(f"{path}.lock")  # of a process that was killed just after it had made the entry
    return True


def _damaged(path: str) -> None:
    _log.warning("damaged cache entry %s: it is made again", path)


@lru_cache(maxsize=256)
def _described(header: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    stream = BytesIO(header)
    np.lib.format.read_magic(stream)
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return dtype, shape


def _read_warnings(text: bytes) -> list[Given]:
    kinds = {kind.__name__: kind for kind in (ScanWarning, TableWarning)}
    return [Given(kinds.get(kind, UserWarning), message) for kind, message in json.loads(text or "[]")]


def _store(path: Path, array: np.ndarray, given: Sequence[Given]) -> None:
    if array.dtype.hasobject or array.dtype.names:
        raise TypeError(f"only plain arrays are cached, not {array.dtype}")
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    text = header.getvalue()[10:].rstrip(b"\n")
    head = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + text.ljust(_HEADER - 11) + b"\n"
    body = array.reshape(-1).view(np.uint8).data
    notes = json.dumps([[g.category.__name__, g.text] for g in given]).encode() if given else b""
    try:
        with atomic_file(path) as draft, draft.open("wb") as file:
            _write(file, head, body, notes, checksum(head, body, notes))
    except OSError as error:
        without_cache(error)


def _write(file: BinaryIO, *parts: bytes | memoryview) -> None:
    """Write all parts in one call if the system can: it then uses large pages, which map faster."""
    done = os.writev(file.fileno(), parts) if hasattr(os, "writev") else 0
    for part in parts:  # the rest: one call writes about 2 GB at most
        skipped = min(done, len(part))
        done -= skipped
        file.write(part[skipped:])
