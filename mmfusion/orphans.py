"""End a worker process when the process that started it has ended."""

from __future__ import annotations

import os
import threading
import time

_EVERY_S = 0.5


def end_with(parent: int) -> None:
    """End this process soon after its parent process has ended, also if the parent was killed.

    A thread looks for the parent twice a second. Without it, a worker would first complete its task, which
    can take minutes. This module imports little, so that a worker calls it before it imports anything large.

    Parameters
    ----------
    parent : int
        Number of the parent process.

    Examples
    --------
    >>> end_with(os.getppid())
    """
    threading.Thread(target=_watch, args=(parent,), name="mmfusion-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_S)
    os._exit(1)
