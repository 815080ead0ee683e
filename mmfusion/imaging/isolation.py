"""Protection of the process against packages that change warnings, environment or random state on import."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from mmfusion.compute import one_thread
from mmfusion.exclusive import own_filters


@contextmanager
def undisturbed(*loggers: str) -> Iterator[None]:
    """Restore warning filters, environment, and torch's threads and random state at the end of the block.

    Within the block, warnings are ignored and the loggers named in `loggers` report errors only. One thread
    at a time is in such a block.

    Examples
    --------
    >>> with undisturbed("noisy.package"):
    ...     os.environ["SET_BY_PACKAGE"] = "1"
    >>> "SET_BY_PACKAGE" in os.environ
    False
    """
    with (
        own_filters("ignore"),  # mostly deprecations in the package
        one_thread(),
        torch.random.fork_rng(devices=[]),
        _same_environment(),
        ExitStack() as logs,
    ):
        for name in loggers:
            log = logging.getLogger(name)
            log.addFilter(_errors_only)
            logs.callback(log.removeFilter, _errors_only)
        yield


@contextmanager
def _same_environment() -> Iterator[None]:
    environment = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


def _errors_only(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
