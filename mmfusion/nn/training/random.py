"""Random numbers: seeded blocks of code, and random states that can be saved."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from mmfusion.compute import one_thread
from mmfusion.exclusive import exclusive


@contextmanager
def reproducible(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch, numpy and Python inside the block, on one thread; restore their random states at the end.

    The random states belong to the whole process, so one thread at a time is in such a block.

    Parameters
    ----------
    seed : int
        Seed, 0 or above.
    device : str
        torch device that the block uses. Its random state is seeded and restored too. CUDA is not started for
        a block on the CPU; if it runs already, the states of all GPUs are restored.

    Examples
    --------
    >>> with reproducible(0):
    ...     one = torch.rand(1)
    >>> with reproducible(0):
    ...     two = torch.rand(1)
    >>> torch.equal(one, two)
    True
    """
    kind = torch.device(device).type
    gpus = list(range(torch.cuda.device_count())) if kind == "cuda" or torch.cuda.is_initialized() else []
    with exclusive(), one_thread(), torch.random.fork_rng(devices=gpus), _restored():
        if gpus or kind != "cpu":
            torch.manual_seed(int(seed))
        else:  # torch.manual_seed would seed a GPU that starts later
            torch.default_generator.manual_seed(int(seed))
        np.random.seed(int(seed) % 2**32)  # noqa: NPY002
        random.seed(int(seed))
        yield


@contextmanager
def _restored() -> Iterator[None]:
    """Restore the random states of numpy and Python at the end of the block."""
    legacy, python = np.random.get_state(), random.getstate()  # noqa: NPY002 - to restore them
    try:
        yield
    finally:
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(python)


def random_states(device: str) -> dict[str, object]:
    """Return the states of all random generators that a fit on `device` uses, as tensors and plain values.

    Examples
    --------
    >>> states = random_states("cpu")
    >>> first = torch.rand(1)
    >>> set_random_states(states, "cpu")
    >>> torch.equal(first, torch.rand(1))
    True
    """
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    version, words, gauss = random.getstate()
    states: dict[str, object] = {
        "torch": torch.get_rng_state(),
        "numpy": [name, torch.as_tensor(keys.astype(np.int64)), position, has_gauss, cached],
        "python": [version, list(words), gauss],
    }
    if torch.device(device).type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(states: dict[str, object], device: str) -> None:
    """Restore the states that `random_states` returned.

    Examples
    --------
    >>> states = random_states("cpu")
    >>> first = np.random.normal()
    >>> set_random_states(states, "cpu")
    >>> first == np.random.normal()
    True
    """
    torch.set_rng_state(states["torch"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    if torch.device(device).type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
