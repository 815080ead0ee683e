import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers import scan
from mmfusion.nn.layers.scan import selective_scan


def arrays(b=2, length=70, g=2, d=3, n=4, dtype=torch.float64):
    made = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=made, dtype=dtype)

    u, dt, A = draw(b, length, g, d), draw(b, length, g, d).exp() * 0.3, -draw(g, d, n).exp()
    return [
        one.requires_grad_() for one in (u, dt, A, draw(b, length, g, n), draw(b, length, g, n), draw(g, d))
    ]


def by_definition(u, dt, A, B, C, D):
    """The two equations, written down for one number after the other."""
    y = torch.zeros_like(u)
    b, length, g, d = u.shape
    for i in range(b):
        for j in range(g):
            for k in range(d):
                h = torch.zeros(A.shape[2], dtype=u.dtype)
                for t in range(length):
                    h = (dt[i, t, j, k] * A[j, k]).exp() * h + dt[i, t, j, k] * B[i, t, j] * u[i, t, j, k]
                    y[i, t, j, k] = C[i, t, j] @ h + D[j, k] * u[i, t, j, k]
    return y


@pytest.mark.parametrize("backend", ["ref", "chunked"])
def test_it_is_the_recurrence(backend):
    inputs = [one.detach() for one in arrays(length=9)]
    torch.testing.assert_close(selective_scan(*inputs, backend), by_definition(*inputs))


# lengths below, at, above and far from the multiples of a chunk
@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 64, 97])
@pytest.mark.parametrize("b", [1, 3])
def test_the_backends_agree(length, b):
    inputs = arrays(b, length)
    ys = [selective_scan(*inputs, backend) for backend in ("ref", "chunked")]
    torch.testing.assert_close(*ys, rtol=1e-12, atol=1e-12)
    weight = torch.randn(ys[0].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad((y * weight).sum(), inputs) for y in ys), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["ref", "chunked"])
def test_gradients_by_differences(backend, monkeypatch):
    monkeypatch.setattr(scan, "_CHUNK", 2)
    inputs = arrays(b=2, length=5, g=2, d=2, n=2)
    assert torch.autograd.gradcheck(lambda *each: selective_scan(*each, backend), inputs)


@pytest.mark.parametrize("backend", ["ref", "chunked"])
def test_without_steps_the_input_passes(backend):
    u, dt, A, B, C, D = arrays()
    assert torch.equal(selective_scan(u, 0 * dt, A, B, C, D, backend), D * u)


def test_a_long_sequence_stays_finite_and_forgets():
    u, dt, A, B, C, D = (one.detach() for one in arrays(1, 20_000, 1, 2, 2, dtype=torch.float32))
    y = selective_scan(u, dt, A, B, C, D)
    assert torch.isfinite(y).all()
    tail = [one[:, -2_000:] for one in (u, dt)] + [A] + [one[:, -2_000:] for one in (B, C)] + [D]
    torch.testing.assert_close(y[:, -500:], selective_scan(*tail)[:, -500:], rtol=1e-4, atol=1e-4)


def test_what_is_later_or_in_another_row_or_group_has_no_effect():
    inputs = [one.detach() for one in arrays()]
    y = selective_scan(*inputs)
    changed = inputs[0].clone()
    changed[0, 40:, 0] += 1
    other = selective_scan(changed, *inputs[1:])
    assert torch.equal(other[0, :40], y[0, :40]) and torch.equal(other[1], y[1])
    assert torch.equal(other[:, :, 1], y[:, :, 1]) and not torch.equal(other[0, 40:, 0], y[0, 40:, 0])


def test_few_states_are_kept():
    kept = []

    def pack(one):
        kept.append(one)
        return one

    inputs = arrays(1, 320, 1, 8, 16)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        selective_scan(*inputs, "chunked")
    states = sum(one.numel() for one in kept if one.shape[-2:] == (16, 8) and one.ndim == 4)
    assert states == 320 * 8 * 16 / 16


def test_32_bits_inside():
    inputs = [one.detach().float() for one in arrays()]
    half = [one.to(torch.bfloat16) for one in inputs]
    y = selective_scan(*half)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, selective_scan(*(one.float() for one in half)).to(torch.bfloat16))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(selective_scan(*inputs), selective_scan(*inputs, "chunked"))
        mixed = selective_scan(*inputs)
    assert torch.equal(mixed, selective_scan(*inputs))


def test_the_layout_of_mamba_ssm(monkeypatch):
    """A kernel with the documented layout of `selective_scan_fn` gives the same numbers."""

    def kernel(u, delta, A, B, C):  # (b, D, l), (b, D, l), (D, n), (b, g, n, l), (b, g, n, l)
        B, C = (one.repeat_interleave(u.shape[1] // one.shape[1], 1) for one in (B, C))
        h, out = torch.zeros(*u.shape[:2], A.shape[1], dtype=u.dtype), []
        for t in range(u.shape[2]):
            h = (delta[..., t, None] * A).exp() * h + (delta * u)[..., t, None] * B[..., t]
            out.append((h * C[..., t]).sum(-1))
        return torch.stack(out, -1)

    name = "mamba_ssm.ops.selective_scan_interface"
    for part in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(selective_scan_fn=kernel))
    inputs = [one.detach() for one in arrays(length=9)]
    torch.testing.assert_close(scan._mamba_ssm(*inputs[:5]), scan._reference(*inputs[:5]))


def test_what_cannot_be_scanned():
    u, dt, A, B, C, D = arrays()
    with pytest.raises(MMFusionError, match="no such backend"):
        selective_scan(u, dt, A, B, C, D, "fast")
    with pytest.raises(MMFusionError, match="mamba_ssm cannot be used here"):
        selective_scan(u, dt, A, B, C, D, "mamba_ssm")
    with pytest.raises(MMFusionError, match=r"B does not fit .*expected \(2, 70, 2, 4\)"):
        selective_scan(u, dt, A, B[:, :5], C, D)
    with pytest.raises(MMFusionError, match="cannot read these arrays"):
        selective_scan(u[:, :0], dt[:, :0], A, B[:, :0], C[:, :0], D)
