import random

import numpy as np
import pytest
import torch

from mmfusion.nn.training import reproducible
from mmfusion.nn.training.random import random_states, set_random_states
from tests.nn.training.networks import fit


def states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


def draw():
    return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_the_callers_random_states_are_untouched(ends):
    before, threads = states(), torch.get_num_threads()
    try:
        with reproducible(3):
            one = draw()
            assert torch.get_num_threads() == 1
            if ends == "badly":
                raise RuntimeError
    except RuntimeError:
        pass
    assert states() == before and torch.get_num_threads() == threads
    with reproducible(3):
        assert draw() == one
    with reproducible(4):
        assert draw() != one


def test_a_fit_touches_no_random_state():
    before = states()
    fit()
    assert states() == before


def test_saved_states_are_put_back():
    with reproducible(0):
        saved = random_states("cpu")
        one = draw()
        set_random_states(saved, "cpu")
        assert draw() == one


class FakeCuda:
    """torch.cuda's generators of two GPUs."""

    def __init__(self, monkeypatch, *, started):
        self.state = {0: torch.tensor([7], dtype=torch.uint8), 1: torch.tensor([8], dtype=torch.uint8)}
        self.seeded = []
        parts = {
            "is_available": lambda: True,
            "is_initialized": lambda: started,
            "device_count": lambda: 2,
            "get_rng_state": lambda device=0: self.state[self.index(device)].clone(),
            "set_rng_state": lambda state, device=0: self.state.update({self.index(device): state}),
            "manual_seed_all": self.seed,
            "_is_in_bad_fork": lambda: False,
        }
        for name, part in parts.items():
            monkeypatch.setattr(torch.cuda, name, part)

    @staticmethod
    def index(device):
        return torch.device(device).index or 0 if isinstance(device, str) else int(device)

    def seed(self, seed):
        self.seeded.append(seed)
        self.state = {k: torch.tensor([seed % 256], dtype=torch.uint8) for k in self.state}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("started", [True, False])
def test_the_random_states_of_gpus_are_put_back(monkeypatch, device, started):
    cuda = FakeCuda(monkeypatch, started=started)
    with reproducible(3, device):
        seeded = cuda.seeded.copy()
    assert [state.item() for state in cuda.state.values()] == [7, 8]
    # a GPU that has not started stays so for work on the CPU
    assert seeded == ([3] if started or device == "cuda" else [])


def test_a_gpus_state_is_in_a_checkpoint(monkeypatch):
    cuda = FakeCuda(monkeypatch, started=True)
    saved = random_states("cuda:1")
    cuda.seed(5)
    set_random_states(saved, "cuda:1")
    assert cuda.state[1].item() == 8 and cuda.state[0].item() == 5
