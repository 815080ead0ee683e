"""Context in which fits do not probe their inputs for leaks, because that was done before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_PROBED: ContextVar[bool] = ContextVar("probed", default=False)


@contextmanager
def probed() -> Iterator[None]:
    """Mark the inputs of the fits inside as probed for leaks.

    `nested_cv` probes the whole cohort once, so that the fits of the folds need not do it again. Forbidden
    columns are still refused inside. The context is valid in the current thread and process; a function that
    runs in a worker process has to open it there.

    Examples
    --------
    >>> with probed():
    ...     is_probed()
    True
    >>> is_probed()
    False
    """
    token = _PROBED.set(True)
    try:
        yield
    finally:
        _PROBED.reset(token)


def is_probed() -> bool:
    """Return True inside `probed()`, where the inputs of fits have been probed already.

    Examples
    --------
    >>> is_probed()
    False
    >>> with probed():
    ...     is_probed()
    True
    """
    return _PROBED.get()
