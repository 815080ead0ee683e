"""Prediction in batches of rows, on any torch device."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.training.devices import on_device


def predict_in_batches(
    module: nn.Module, inputs: Mapping[str, np.ndarray], *, batch_size: int = 64, device: str = "cpu"
) -> torch.Tensor:
    """Return the output of a network for each row, on the CPU, shape (n, ...).

    Parameters
    ----------
    module : nn.Module
        Network; the inputs of a batch are passed by name. It is on the CPU afterwards.
    inputs : mapping of str to ndarray
        Name -> array; the first axis is n rows.
    batch_size : int
        Number of rows per batch.
    device : str
        torch device. The CPU is used if the machine does not have it.

    Raises
    ------
    DataError
        If there are no rows.

    Examples
    --------
    >>> predict_in_batches(nn.Identity(), {"input": np.zeros((5, 2))}, batch_size=2).shape
    torch.Size([5, 2])
    """
    n_rows = len(next(iter(inputs.values())))
    if not n_rows:
        raise DataError("nothing to predict", expected="at least one row", got=0)
    out = []
    with on_device(module, device) as target:
        for start in range(0, n_rows, batch_size):
            rows = slice(start, start + batch_size)
            batch = {name: torch.as_tensor(array[rows]).to(target) for name, array in inputs.items()}
            out.append(module(**batch).cpu())
        return torch.cat(out)
