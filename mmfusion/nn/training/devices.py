"""Devices of torch: whether one can be used here, and a network put on one for a while."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mmfusion.compute import one_thread
from mmfusion.errors import DataError

_log = logging.getLogger(__name__)


def check_device(device: str) -> None:
    """Raise a DataError unless torch can use this device here."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        hint = 'use device="cpu", or install torch for this machine\'s GPU'
        raise DataError("this torch device cannot be used here", got=device, hint=hint) from error


@contextmanager
def on_device(module: nn.Module, device: str) -> Iterator[torch.device]:
    """Put a network on a device for prediction: evaluation mode, no gradients, one thread. Undo all that at the end.

    Where this machine lacks the device, the CPU is used and a warning logged: a model trained on a GPU predicts
    elsewhere too. At the end the network is on the CPU.

    Yields
    ------
    torch.device
        Where the network is.
    """
    try:
        check_device(device)
    except DataError as error:
        _log.warning("%s; predicting on the CPU", error)
        device = "cpu"
    modes = {part: part.training for part in module.modules()}
    target = torch.device(device)
    with one_thread(), torch.inference_mode():
        try:
            module.eval()
            if target.type != "cpu":
                module.to(target)
            yield target
        finally:
            if target.type != "cpu":
                module.to("cpu")
            for part, mode in modes.items():
                part.training = mode
