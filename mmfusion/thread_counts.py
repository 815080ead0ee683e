"""Limit the numerical libraries of a process to one thread while several threads of the program compute."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TORCH = "torch"  # its own number of threads; every other key is the path of a loaded library
_lock = threading.Lock()
_before: dict[str, int] = {}  # numbers of threads before the first block that runs now
_blocks = 0  # threads of the program that are inside a block now
_mine = threading.local()  # depth of the blocks of this thread, and the numbers before the outermost


@contextmanager
def limited() -> Iterator[None]:
    """Run a block on one thread per library; put the numbers back when they are no longer needed.

    The number of threads of OpenMP and torch belongs to each thread of the program, that of OpenBLAS to the
    process. So each thread puts its own numbers back, and the last thread those of the process.

    Examples
    --------
    >>> import torch
    >>> before = torch.get_num_threads()
    >>> with limited():
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    global _blocks
    with _lock:
        if not _depth():
            _mine.depth, _mine.before, _mine.libraries = 0, {}, {}
            _blocks += 1
        _mine.depth += 1
        _limit()
    try:
        yield
    finally:
        with _lock:
            _mine.depth -= 1
            if not _mine.depth:
                _blocks -= 1
                _put_back(last=not _blocks)


def _depth() -> int:
    return getattr(_mine, "depth", 0)


def _limit() -> None:
    """Note the numbers of libraries that are not noted yet, and set all to 1."""
    from threadpoolctl import ThreadpoolController

    if torch := sys.modules.get(_TORCH):  # first, as it shares its number with a library
        _note(_TORCH, torch.get_num_threads())
        torch.set_num_threads(1)
    for library in ThreadpoolController().lib_controllers:
        _note(library.filepath, library.get_num_threads())
        _mine.libraries.setdefault(library.filepath, library)
        library.set_num_threads(1)


def _note(key: str, number: int) -> None:
    _mine.before.setdefault(key, number)
    _before[key] = max(_before.get(key, number), number)  # a thread may have inherited a 1


def _put_back(*, last: bool) -> None:
    for path, library in _mine.libraries.items():
        if library.user_api == "openmp" or last:
            library.set_num_threads(_number(path))
    if _TORCH in _mine.before:
        sys.modules[_TORCH].set_num_threads(_number(_TORCH))
    if last:
        _before.clear()


def _number(key: str) -> int:
    """Return the number to put back: a thread that started inside another's block has inherited a 1."""
    own = _mine.before[key]
    return own if own > 1 else _before[key]
