"""Locks between processes: one of them at a time runs a block of code."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_log = logging.getLogger(__name__)


@contextmanager
def locked(file: str | Path, *, wait_s: float, busy: Exception | None = None) -> Iterator[None]:
    """Run the block while no other process runs a block with the same lock file.

    The lock file is removed at the end. If a process dies, the system releases its lock. On a file system
    without locks, or in a folder that cannot be written, the block runs without a lock.

    Parameters
    ----------
    file : path
        The lock file. Its folder is made if it is absent.
    wait_s : float
        Time to wait for another process, in seconds.
    busy : Exception, optional
        Error to raise if another process still holds the lock after `wait_s`. If None, the block then runs
        without the lock.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, locked(f"{folder}/entry.lock", wait_s=1):
    ...     print("only one process at a time")
    only one process at a time
    """
    lock = FileLock(file)
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()  # FileLock waits for ever in folders such as /proc
        lock.acquire(timeout=wait_s)
    except Timeout as error:
        if busy is not None:
            raise busy from error
        _log.info("not locked, %s is still held after %g s", file, wait_s)
    except (OSError, NotImplementedError) as error:
        _log.info("not locked: %s: %s", file, error)
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # Windows does not remove an open file
                Path(lock.lock_file).unlink()  # a process that waits for it sees that it is gone
            lock.release()


def unlock(file: str | Path) -> None:
    """Remove a lock file if no process holds it; a process that was killed leaves its lock file behind.

    Examples
    --------
    >>> unlock("a lock that does not exist")
    """
    if Path(file).is_file():
        with suppress(TimeoutError), locked(file, wait_s=0, busy=TimeoutError()):
            pass
