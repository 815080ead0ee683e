"""A context in which fits do not probe their inputs for leaks, because that was done before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_PROBED: ContextVar[bool] = ContextVar("probed", default=False)


@contextmanager
def probed() -> Iterator[None]:
    """Tell the fits inside that their inputs have been probed for leaks.

    `nested_cv` probes a whole cohort once, and the fits of its folds need not do it again. The rule against
    forbidden columns still holds inside. The context counts for the current thread and process; a function that
    runs in a worker process opens it there.

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
    """Return whether the inputs of fits count as probed here: inside `probed()`."""
    return _PROBED.get()
