"""Calling packages that change the process they are imported into: it is as it was afterwards."""

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
    """Warning filters, environment, torch's threads and random state are put back; `loggers` say errors only."""
    environment = dict(os.environ)
    logs = [logging.getLogger(name) for name in loggers]
    for log in logs:
        log.addFilter(_errors_only)
    try:
        with warnings.catch_warnings(), one_thread(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")  # theirs: deprecations, mostly
            yield
    finally:
        for log in logs:
            log.removeFilter(_errors_only)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


def _errors_only(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
