"""Devices of torch: check a device, and move a network to a device for predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        hint = 'use device="cpu", or install torch for this machine\'s GPU'
        raise DataError("this torch device cannot be used here", got=device, hint=hint) from error


@contextmanager
def on_device(module: nn.Module, device: str) -> Iterator[torch.device]:
    """Move a network to a device for predictions, in evaluation mode, without gradients, on one thread.

    If the machine does not have the device, the CPU is used and a warning is logged. A model that was trained
    on a GPU can therefore predict on other machines too. At the end the network is on the CPU in its previous
    mode. Several threads can predict with one network at the same time if it is in evaluation mode and the
    device is the CPU; otherwise the network changes, and one thread at a time uses it.

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
    with ExitStack() as stack:
        stack.enter_context(one_thread())
        stack.enter_context(torch.inference_mode())
        if target.type != "cpu" or any(part.training for part in module.modules()):
            stack.enter_context(exclusive())
        modes = {part: part.training for part in module.modules() if part.training}
        try:
            if modes:
                module.eval()
            if target.type != "cpu":
                module.to(target)
            yield target
        finally:
            if target.type != "cpu":
                module.to("cpu")
            for part, mode in modes.items():
                part.training = mode
