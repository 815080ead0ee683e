"""A folder of arrays named by the hash of what they were made from, safe for several processes at once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from mmfusion.atomic import atomic_file

_log = logging.getLogger(__name__)
_DIGEST = 32  # bytes of SHA-256 that follow the array in its file; numpy's reader does not look that far


def cache_folder() -> Path:
    """Where the library keeps what it can make again: $MMFUSION_CACHE, or ~/.cache/mmfusion."""
    return Path(os.environ.get("MMFUSION_CACHE") or Path.home() / ".cache" / "mmfusion")


def fingerprint(path: str | Path) -> list[list[object]]:
    """What tells a file, or a folder's files, from a changed one: path, size, time of change (ns)."""
    path = Path(path).absolute()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    stats = [(p, p.stat()) for p in files]
    return [[str(p), s.st_size, s.st_mtime_ns] for p, s in stats]


def cached(kind: str, key: Mapping[str, object], make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array that `make` gives, from the cache if it is there.

    Entries are written to a temporary file and moved into place; a damaged one is made again. Where the folder
    cannot be written, the array is made each time, and a warning logged.

    Parameters
    ----------
    kind : str
        Subfolder.
    key : mapping
        All that the array depends on (JSON-able): the file's fingerprint, parameters, version of the code.
    make : callable
        Makes it.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = cache_folder() / kind / digest[:2] / f"{digest}.npy"
    array = _load(path)
    if array is None:
        array = make()
        _store(path, array)
    return array


def _load(path: Path) -> np.ndarray | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        _log.warning("damaged cache entry %s: made again", path)
        return None
    return np.load(BytesIO(body), allow_pickle=False)


def _store(path: Path, array: np.ndarray) -> None:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    body = buffer.getvalue()
    try:
        with atomic_file(path) as draft:
            draft.write_bytes(body + hashlib.sha256(body).digest())
    except OSError as error:
        _log.warning("cannot write the cache %s: %s", path.parent, error)
