"""Recording of what parts of a network return, such as the weights of its gates, for figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def recorded(network: nn.Module, kind: type[nn.Module]) -> Iterator[list[torch.Tensor]]:
    """Record the outputs of all parts of one class inside the block, in the order in which they run.

    Parameters
    ----------
    network : nn.Module
        Network; afterwards it is as before.
    kind : type
        Class of the parts, such as `SpatialGate`.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> with recorded(network, nn.Linear) as outputs:
    ...     _ = network(torch.zeros(5, 3))
    >>> [tuple(one.shape) for one in outputs]
    [(5, 2), (5, 1)]
    """
    outputs: list[torch.Tensor] = []

    def keep(part: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        outputs.append(output)

    hooks = [part.register_forward_hook(keep) for part in network.modules() if isinstance(part, kind)]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
