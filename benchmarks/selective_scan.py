"""Time and memory of the selective scan on the CPU: the chunked scan compared with the reference.

    python benchmarks/selective_scan.py [lengths, default 256 1024 4096 16384]

One row, one group, 96 channels, 16 states, one thread. Times are seconds of the processor, the best of three.
Memory is the largest resident memory during forward and backward pass, above that before them (Linux).
With the package mambapy, its parallel scan stands beside them.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import ctypes
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch

from mmfusion.nn.layers.scan import selective_scan

CHANNELS, STATES = 96, 16
Scan = Callable[..., torch.Tensor]


def arrays(length: int) -> list[torch.Tensor]:
    made = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=made)

    u, dt = draw(1, length, 1, CHANNELS), draw(1, length, 1, CHANNELS).exp() * 0.01
    A = -torch.arange(1.0, STATES + 1).repeat(1, CHANNELS, 1)
    B, C, D = draw(1, length, 1, STATES), draw(1, length, 1, STATES), torch.ones(1, CHANNELS)
    return [one.requires_grad_() for one in (u, dt, A, B, C, D)]


def parallel(u, dt, A, B, C, D) -> torch.Tensor:
    """The scan of mambapy, which is for one group."""
    decay = (dt[:, :, 0, :, None] * A[0]).exp()
    drive = (dt * u)[:, :, 0, :, None] * B[:, :, 0, None, :]
    states = import_module("mambapy.pscan").pscan(decay, drive)
    return ((states * C[:, :, 0, None, :]).sum(-1) + D[0] * u[:, :, 0])[:, :, None]


def mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measure(scan: Scan, inputs: list[torch.Tensor]) -> tuple[float, float, float]:
    """Return the seconds of the forward and the backward pass, and the memory in MiB."""
    forward, backward, memory = [], [], []
    for _ in range(3):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # give freed memory back, so that it does not hide new memory
        before = mib("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        start = time.process_time()
        y = scan(*inputs).sum()
        middle = time.process_time()
        torch.autograd.grad(y, inputs)
        backward.append(time.process_time() - middle)
        forward.append(middle - start)
        memory.append(mib("VmHWM") - before)
    return min(forward), min(backward), max(memory)


def main(lengths: list[int]) -> None:
    torch.set_num_threads(1)
    scans: dict[str, Scan] = {name: partial(selective_scan, backend=name) for name in ("ref", "chunked")}
    if find_spec("mambapy"):
        scans["mambapy"] = parallel
    print(
        f"{'L':>6}  {'scan':8} {'forward, s':>11} {'backward, s':>12} {'memory, MiB':>12} {'times ref':>19}"
    )
    for length in lengths:
        inputs = arrays(length)
        wanted = scans["ref"](*inputs).detach()
        seconds = None
        for name, scan in scans.items():
            torch.testing.assert_close(scan(*inputs), wanted, rtol=1e-3, atol=1e-3)
            forward, backward, memory = measure(scan, inputs)
            seconds = seconds or (forward + backward, memory)
            ratio = f"{(forward + backward) / seconds[0]:.2f} time, {memory / max(seconds[1], 1):.2f} mem"
            print(f"{length:>6}  {name:8} {forward:>11.3f} {backward:>12.3f} {memory:>12.0f} {ratio:>19}")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [256, 1024, 4096, 16384])
