"""Blocks of code that change the state of the whole process, such as seeds and the filters of warnings.

One fitted model can serve many threads, but some state exists only once per process: the random generators of
numpy and torch, the filters of warnings, the settings of matplotlib. A block that changes such state runs
inside `exclusive`, so only one thread at a time is in such a block. pandas changes the filters of warnings
when it looks up a type by its name, so predictions read and transform tables inside it. Reading scans,
cropping them and running a network on the CPU change no such state and run in parallel.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()
_depth = threading.local()
_silent_lock = threading.Lock()
_silent: Counter[tuple] = Counter()


@contextmanager
def exclusive() -> Iterator[None]:
    """Run the block while no other thread of this process runs such a block; blocks may be nested.

    Do not start threads inside the block that enter such a block themselves, and do not wait inside it for
    another thread.

    Examples
    --------
    >>> with exclusive():
    ...     is_exclusive()
    True
    >>> is_exclusive()
    False
    """
    with _lock:
        _depth.value = getattr(_depth, "value", 0) + 1
        try:
            yield
        finally:
            _depth.value -= 1


def is_exclusive() -> bool:
    """Return True if this thread is inside a block of `exclusive`.

    Examples
    --------
    >>> is_exclusive()
    False
    """
    return getattr(_depth, "value", 0) > 0


@contextmanager
def own_filters(action: str, category: type[Warning] = Warning) -> Iterator[list[warnings.WarningMessage]]:
    """Run a block of `exclusive` with another filter of warnings; record the warnings, do not show them.

    Use it for the warnings of other packages. Those of this library are given and gathered without filters,
    see `mmfusion.errors.warn`.

    Parameters
    ----------
    action : str
        As in `warnings.simplefilter`: "always", "default", "ignore", "error".
    category : type
        Class of the warnings that the filter is for.

    Examples
    --------
    >>> with own_filters("always") as caught:
    ...     warnings.warn("by another package")
    >>> len(caught)
    1
    """
    with exclusive(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action, category)
        yield caught


@contextmanager
def silenced(*packages: str, category: type[Warning] = Warning) -> Iterator[None]:
    """Hide the warnings of other packages while at least one thread is inside such a block.

    Several threads can be inside at the same time. Only one filter is added to those of the process, and the
    same filter is removed at the end; nothing is saved and put back, so no thread undoes another's change.

    Parameters
    ----------
    *packages : str
        Names of packages, such as "pydicom". Their warnings about values that can be read anyway are hidden.
    category : type
        Class of the warnings to hide.

    Examples
    --------
    >>> before = list(warnings.filters)
    >>> with silenced("pydicom"):
    ...     len(warnings.filters) - len(before)
    1
    >>> warnings.filters == before
    True
    """
    module = re.compile(rf"({'|'.join(map(re.escape, packages))})(\.|$)")
    entry = ("ignore", None, category, module, 0)
    with _silent_lock:
        _silent[entry] += 1
        warnings.filterwarnings("ignore", category=category, module=module.pattern)
    try:
        yield
    finally:
        with _silent_lock:
            _silent[entry] -= 1
            if not _silent[entry]:
                del _silent[entry]
                _remove(entry)


def _remove(entry: tuple) -> None:
    """Remove a filter; if another block put old filters back meanwhile, it may be gone already."""
    if entry in warnings.filters:
        warnings.filters.remove(entry)
        warnings._filters_mutated()
