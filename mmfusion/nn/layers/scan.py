"""Selective scan: the recurrence of a state space model whose coefficients depend on the input."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import torch
from einops import rearrange
from torch.autograd.function import once_differentiable

from mmfusion.errors import MMFusionError

_CHUNK = 16  # steps whose states are in memory at the same time; larger chunks leave the cache of the CPU


def selective_scan(
    u: torch.Tensor,
    dt: torch.Tensor,
    A: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    D: torch.Tensor,
    backend: str = "auto",
) -> torch.Tensor:
    """Scan sequences: h_t = exp(dt_t A) h_{t-1} + dt_t B_t u_t and y_t = C_t h_t + D u_t.

    The state h has N numbers for each channel, and starts at 0. Groups are independent scans, such as the
    four directions in which an image is read.

    Parameters
    ----------
    u : Tensor, shape (b, L, g, d)
        Input: patients, steps, groups, channels.
    dt : Tensor, shape (b, L, g, d)
        Step sizes, 0 or more. With 0 the state does not change.
    A : Tensor, shape (g, d, N)
        Rates of decay, below 0.
    B, C : Tensor, shape (b, L, g, N)
        Weights with which the input enters the state, and with which the state is read.
    D : Tensor, shape (g, d)
        Weight of the input in the output.
    backend : {"auto", "ref", "chunked", "mamba_ssm"}
        "ref": one step after the other, differentiated by autograd; it keeps the states of all steps.
        "chunked": it keeps the state after every 16th step, and the backward pass computes the other states
        again. It needs memory for L d N / 16 numbers, and is faster on the CPU.
        "mamba_ssm": kernel of the package mamba-ssm, for CUDA.
        "auto": "mamba_ssm" where it can be used, else "chunked"; "ref" while a network is exported.

    Returns
    -------
    Tensor, shape (b, L, g, d)
        Output, in the number format of `u`. Inside, numbers have 32 bits, or 64 if `u` has 64.

    Raises
    ------
    MMFusionError
        If there is no such backend, if it cannot be used here, or if the shapes do not fit each other.

    References
    ----------
    Gu & Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces", algorithm 2.

    Examples
    --------
    >>> u, weight = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    >>> A = torch.full((1, 1, 1), -0.6931472)  # log(1/2)
    >>> selective_scan(u, weight, A, weight, weight, torch.zeros(1, 1)).flatten().tolist()
    [1.0, 0.5, 0.25]
    """
    _check(u, dt, A, B, C, D)
    scan = _BACKENDS[_choose(backend, u)]
    wide = torch.float64 if u.dtype == torch.float64 else torch.float32
    with torch.autocast(u.device.type if u.device.type != "meta" else "cpu", enabled=False):
        x, dt, A, B, C, D = (one.to(wide) for one in (u, dt, A, B, C, D))
        return (scan(x, dt, A, B, C) + D * x).to(u.dtype)


def _reference(
    u: torch.Tensor, dt: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor
) -> torch.Tensor:
    """Scan step by step, with `unbind`: indexing a[:, t] makes the backward pass 300 times slower."""
    u, dt, A, B, C = _time_first(u, dt, A, B, C)
    decay = (dt[..., None, :] * A).exp()
    drive = (dt * u)[..., None, :] * B[..., None]
    state, states = torch.zeros_like(drive[0]), []
    for a, x in zip(decay.unbind(0), drive.unbind(0), strict=True):
        state = a * state + x
        states.append(state)
    return rearrange((torch.stack(states) * C[..., None]).sum(-2), "l b g d -> b l g d")


def _chunked(
    u: torch.Tensor, dt: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor
) -> torch.Tensor:
    return rearrange(_ChunkedScan.apply(*_time_first(u, dt, A, B, C)), "l b g d -> b l g d")


def _mamba_ssm(
    u: torch.Tensor, dt: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor
) -> torch.Tensor:
    kernel = import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
    groups = u.shape[2]
    u, dt = (rearrange(one, "b l g d -> b (g d) l").contiguous() for one in (u, dt))
    B, C = (rearrange(one, "b l g n -> b g n l").contiguous() for one in (B, C))
    y = kernel(u, dt, rearrange(A, "g d n -> (g d) n").contiguous(), B, C)
    return rearrange(y, "b (g d) l -> b l g d", g=groups)


def _shape_only(
    u: torch.Tensor, dt: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor
) -> torch.Tensor:
    """Return a tensor of the right shape on the meta device, where there are no numbers."""
    return torch.empty_like(u)


_BACKENDS = {"ref": _reference, "chunked": _chunked, "mamba_ssm": _mamba_ssm, "meta": _shape_only}


def _time_first(
    u: torch.Tensor, dt: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Put the steps on the first axis, and N before d, so that each step is one contiguous block."""
    first = (rearrange(one, "b l g d -> l b g d").contiguous() for one in (u, dt, B, C))
    u, dt, B, C = first
    return u, dt, rearrange(A, "g d n -> g n d").contiguous(), B, C


class _ChunkedScan(torch.autograd.Function):
    """Scan by chunks of steps, with its derivative. All arrays have the steps first (see `_time_first`)."""

    @staticmethod
    def forward(ctx, u, dt, A, B, C):
        work, starts, y = _workspace(u, A, 2), [], torch.empty_like(u)
        state = u.new_zeros(work[0].shape[1:])
        for low in range(0, len(u), _CHUNK):
            at = slice(low, low + _CHUNK)
            starts.append(state)
            _, states = _states(u[at], dt[at], A, B[at], state, work)
            state = states[-1].clone()
            torch.sum(states.mul_(C[at][..., None]), -2, out=y[at])
        ctx.save_for_backward(u, dt, A, B, C, *starts)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        u, dt, A, B, C, *starts = ctx.saved_tensors
        du, ddt, dB, dC = (torch.empty_like(one) for one in (u, dt, B, C))
        dA, later = torch.zeros_like(A), torch.zeros_like(starts[0])
        *work, grads, spare = _workspace(u, A, 4)
        for k, start in reversed(list(enumerate(starts))):
            at = slice(k * _CHUNK, (k + 1) * _CHUNK)
            decay, states = _states(u[at], dt[at], A, B[at], start, work)
            grad, product = grads[: len(states)], spare[: len(states)]
            down = dy[at][..., None, :]
            torch.sum(torch.mul(states, down, out=product), -1, out=dC[at])
            torch.mul(down, C[at][..., None], out=grad)  # derivative of the loss by each state ...
            grad[-1] += later
            steps, factors = grad.unbind(0), decay.unbind(0)
            for t in range(len(steps) - 1, 0, -1):  # ... which also acts on the next state
                steps[t - 1].addcmul_(factors[t], steps[t])
            drive = dt[at] * u[at]
            torch.sum(torch.mul(grad, drive[..., None, :], out=product), -1, out=dB[at])
            ddrive = torch.mul(grad, B[at][..., None], out=product).sum(-2)
            grad.mul_(decay)
            later = grad[0].clone()
            grad[1:] *= states[:-1]
            grad[0] *= start  # now `grad` is the derivative by dt_t A
            torch.mul(ddrive, dt[at], out=du[at])
            torch.mul(ddrive, u[at], out=ddt[at])
            ddt[at] += torch.mul(grad, A, out=product).sum(-2)
            dA += grad.mul_(dt[at][..., None, :]).sum((0, 1))
        return du, ddt, dA, dB, dC


def _workspace(u: torch.Tensor, A: torch.Tensor, n: int) -> list[torch.Tensor]:
    """Return n arrays for the states of one chunk; all chunks use the same memory."""
    steps, b, g, d = min(len(u), _CHUNK), *u.shape[1:]
    return [u.new_empty(steps, b, g, A.shape[1], d) for _ in range(n)]


def _states(
    u: torch.Tensor,
    dt: torch.Tensor,
    A: torch.Tensor,
    B: torch.Tensor,
    state: torch.Tensor,
    work: list[torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factors of decay and the states of some steps, each of shape (l, b, g, N, d), in `work`."""
    decay, states = (one[: len(u)] for one in work)
    torch.mul(dt[..., None, :], A, out=decay).exp_()
    torch.mul((dt * u)[..., None, :], B[..., None], out=states)
    for factor, new in zip(decay.unbind(0), states.unbind(0), strict=True):
        state = new.addcmul_(factor, state)
    return decay, states


def _choose(backend: str, u: torch.Tensor) -> str:
    """Return the name of the backend for this input."""
    fast = u.is_cuda and find_spec("mamba_ssm") is not None and u.dtype != torch.float64
    if u.is_meta:
        return "meta"
    if backend == "auto":
        if torch.compiler.is_exporting():
            return "ref"
        return "mamba_ssm" if fast else "chunked"
    if backend not in ("ref", "chunked", "mamba_ssm"):
        raise MMFusionError(
            "no such backend of the scan", expected="auto, ref, chunked or mamba_ssm", got=backend
        )
    if backend == "mamba_ssm" and not fast:
        raise MMFusionError(
            "the backend mamba_ssm cannot be used here",
            expected="the package mamba-ssm, and 32-bit tensors on CUDA",
            got=f"{u.dtype} on {u.device}",
            hint="use backend='auto'",
        )
    return backend


def _check(
    u: torch.Tensor, dt: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor, D: torch.Tensor
) -> None:
    if u.ndim != 4 or A.ndim != 3 or 0 in u.shape:
        raise MMFusionError(
            "the scan cannot read these arrays",
            expected="u of shape (b, L, g, d) that is not empty, A of shape (g, d, N)",
            got=f"{tuple(u.shape)}, {tuple(A.shape)}",
        )
    b, length, g, d = u.shape
    narrow = (b, length, g, A.shape[2])
    expected = {"dt": u.shape, "A": (g, d, A.shape[2]), "B": narrow, "C": narrow, "D": (g, d)}
    for (name, shape), one in zip(expected.items(), (dt, A, B, C, D), strict=True):
        if one.shape != shape:
            raise MMFusionError(
                f"{name} does not fit the input of the scan", expected=tuple(shape), got=tuple(one.shape)
            )
