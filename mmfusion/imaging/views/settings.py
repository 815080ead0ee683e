"""Settings of matplotlib for the functions that draw; the settings belong to the whole process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from matplotlib import rc_context

from mmfusion.exclusive import exclusive


def drawn_with(settings: Mapping[str, object]) -> AbstractContextManager:
    """Return a decorator of functions that draw with these settings; one thread at a time draws.

    The settings are restored when the function returns.

    Parameters
    ----------
    settings : mapping
        Names and values, as in `matplotlib.rcParams`.

    Examples
    --------
    >>> import matplotlib
    >>> @drawn_with({"font.size": 5})
    ... def size():
    ...     return matplotlib.rcParams["font.size"]
    >>> size()
    5.0
    """

    @contextmanager
    def block() -> Iterator[None]:
        with exclusive(), rc_context(dict(settings)):
            yield

    return block()
