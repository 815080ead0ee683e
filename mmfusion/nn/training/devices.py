"""Devices of torch: check a device, and move a network to a device for predictions."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mmfusion.compute import one_thread
from mmfusion.errors import DataError
from mmfusion.exclusive import exclusive

_log = logging.getLogger(__name__)


def check_device(device: str) -> None:
    """Raise a `DataError` unless torch can use this device on this machine.

    Examples
    --------
    >>> check_device("cpu")
    """
    try:
        torch.empty(0, device=torch.device(device))
    except (RuntimeError, AssertionError, TypeError) as error:
        hint = 'use device="cpu", or install torch for this machine\'s GPU'
        raise DataError("this torch device cannot be used here", got=device, hint=hint) from error


@contextmanager
def on_device(module: nn.Module, device: str) -> Iterator[torch.device]:
    """Move a network to a device for predictions, in evaluation mode, without gradients, on one thread.

    If the machine does not have the device, the CPU is used and a warning is logged. A model that was trained
    on a GPU can therefore predict on other machines too. At the end the network is on the CPU in its previous
    mode. Several threads can predict with one network at the same time on the CPU.

    Yields
    ------
    torch.device
        Device of the network.

    Examples
    --------
    >>> net = nn.Dropout(0.5)
    >>> with on_device(net, "cpu") as device:
    ...     print(device, net.training)
    cpu False
    >>> net.training
    True
    """
    try:
        check_device(device)
    except DataError as error:
        _log.warning("%s; predicting on the CPU", error)
        device = "cpu"
    target = torch.device(device)
    with one_thread(), torch.inference_mode():
        if target.type == "cpu":
            with _evaluating(module):
                yield target
            return
        with exclusive(), _evaluating(module):  # the network moves, so one thread at a time uses it
            try:
                module.to(target)
                yield target
            finally:
                module.to("cpu")


_users: Counter[int] = Counter()  # number of threads that predict with a network now
_modes: dict[int, list[nn.Module]] = {}  # its parts that were in training mode
_lock = threading.Lock()


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Keep a network in evaluation mode as long as at least one thread is in such a block."""
    with _lock:
        if not _users[id(module)]:
            _modes[id(module)] = [part for part in module.modules() if part.training]
            module.eval()
        _users[id(module)] += 1
    try:
        yield
    finally:
        with _lock:
            _users[id(module)] -= 1
            if not _users[id(module)]:
                del _users[id(module)]
                for part in _modes.pop(id(module)):
                    part.training = True
