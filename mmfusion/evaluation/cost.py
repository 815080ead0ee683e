"""Time and memory that a fit takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

_EVERY_S = 0.05
_MIB = 2**20


@dataclass
class Cost:
    """Cost of a block of code.

    Parameters
    ----------
    seconds : float
        Wall-clock time, s.
    cpu_seconds : float
        Time of the processor in this process, all threads, s.
    peak_mib : float
        Largest resident memory of this process during the block, MiB; data and libraries that were loaded
        before the block count too.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block; the values are there when it ends.

    Memory is sampled 20 times a second, so that a shorter peak can be missed.

    Examples
    --------
    >>> with measured() as cost:
    ...     table = [0] * 1000
    >>> cost.peak_mib > 1
    True
    """
    cost, done = Cost(), threading.Event()
    sampler = threading.Thread(target=_sample, args=(cost, done), daemon=True)
    start, cpu = time.perf_counter(), time.process_time()
    sampler.start()
    try:
        yield cost
    finally:
        done.set()
        sampler.join()
        cost.seconds, cost.cpu_seconds = time.perf_counter() - start, time.process_time() - cpu


def _sample(cost: Cost, done: threading.Event) -> None:
    process = psutil.Process()
    while True:
        cost.peak_mib = max(cost.peak_mib, process.memory_info().rss / _MIB)
        if done.wait(_EVERY_S):
            return
