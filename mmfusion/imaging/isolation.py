"""Protection of the process against packages that change warnings, environment or random state on import."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mmfusion.compute import one_thread


@contextmanager
def undisturbed(*loggers: str) -> Iterator[None]:
    """Restore warning filters, environment, and torch's threads and random state at the end of the block.

    Within the block, warnings are ignored and the loggers named in `loggers` report errors only.

    Examples
    --------
    >>> with undisturbed("noisy.package"):
    ...     os.environ["SET_BY_PACKAGE"] = "1"
    >>> "SET_BY_PACKAGE" in os.environ
    False
    """
    environment = dict(os.environ)
    logs = [logging.getLogger(name) for name in loggers]
    for log in logs:
        log.addFilter(_errors_only)
    try:
        with warnings.catch_warnings(), one_thread(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")  # mostly deprecations in the package
            yield
    finally:
        for log in logs:
            log.removeFilter(_errors_only)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


def _errors_only(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
