"""The foundation network equals fmcib's to the bit, and loads only files with all of its weights."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from mmfusion.errors import WeightsUnavailable
from mmfusion.nn import foundation
from mmfusion.nn.foundation import N_FEATURES, SIDE, foundation_trunk, pretrained_trunk, random_trunk
from tests.features.fmcib import fmcib_module


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Small(nn.Module):
    """Small network with the properties that matter for loading: names, a batch norm, a separate head."""

    def __init__(self, *, heads: bool = False):
        super().__init__()
        self.conv1 = nn.Conv3d(1, 2, 3)
        self.bn1 = nn.BatchNorm3d(2)
        if heads:
            self.heads = nn.Linear(2, 3)

    def forward(self, x):
        return self.bn1(self.conv1(x)).mean((2, 3, 4))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(foundation, "foundation_trunk", lambda _widen_factor: Small())
    torch.manual_seed(1)
    net = Small().eval()
    nn.init.uniform_(net.bn1.running_mean)
    return net


def test_size_of_the_published_network():
    with torch.device("meta"):
        trunk = foundation_trunk()
        assert trunk(torch.empty(2, 1, SIDE, SIDE, SIDE)).shape == (2, N_FEATURES)
    assert sum(p.numel() for p in trunk.parameters()) == 184_477_824


def test_random_weights_come_from_the_seed_alone(small):
    before = torch.get_rng_state()
    one, two = random_trunk(3), random_trunk(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert not one.training
    assert all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    )
    other = random_trunk(4)
    assert not torch.equal(one.conv1.weight, other.conv1.weight)


def without_counts(state):
    return {k: v for k, v in state.items() if "num_batches" not in k}


FORMS = {
    "trunk_state_dict": lambda s: {"trunk_state_dict": s, "head_state_dict": {}},
    "without counts": lambda s: {"trunk_state_dict": without_counts(s)},
    "fine-tuned": lambda s: {
        "state_dict": {
            **{f"model.trunk.{k}": v for k, v in s.items()},
            "model.heads.0.0.weight": torch.ones(1),
        }
    },
    "parallel": lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}},
    "bare": lambda s: s,
    "half": lambda s: {
        "trunk_state_dict": {k: v.half() if v.is_floating_point() else v for k, v in s.items()}
    },
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("form", FORMS)
def test_reads_every_form_of_the_checkpoint(small, tmp_path, form, legacy):
    path = tmp_path / "model_weights.torch"
    torch.save(FORMS[form](small.state_dict()), path, _use_new_zipfile_serialization=not legacy)
    net = pretrained_trunk(path)
    x = torch.randn(2, 1, 5, 5, 5)
    tolerance = 1e-2 if form == "half" else 0
    torch.testing.assert_close(net(x), small(x), rtol=tolerance, atol=tolerance)
    assert not net.training
    assert net.conv1.weight.dtype == torch.float32


class Malicious:
    def __reduce__(self):
        return (print, ("run",))


def without(state, name):
    return {k: v for k, v in state.items() if k != name}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda s, p: torch.save(without(s, "conv1.weight"), p), r"weights are missing.*conv1\.weight"),
        (lambda s, p: torch.save({**s, "conv2.weight": torch.ones(1)}, p), r"another network.*conv2\.weight"),
        (lambda s, p: torch.save({**s, "conv1.bias": torch.ones(9)}, p), r"another shape.*conv1\.bias"),
        (lambda s, p: torch.save({**s, "conv1.bias": "text"}, p), r"another shape.*conv1\.bias"),
        (lambda s, p: torch.save([1, 2], p), "not a state dict"),
        (lambda s, p: torch.save({"trunk_state_dict": s, "x": Malicious()}, p), "cannot be read"),
        (lambda s, p: p.write_bytes(pickle.dumps(Malicious(), protocol=2)), "cannot be read"),
        (lambda s, p: p.write_bytes(b""), "cannot be read"),
        (lambda s, p: (torch.save(s, p), p.write_bytes(p.read_bytes()[:500])), "cannot be read"),
    ],
    ids=["missing", "strange", "shape", "no tensor", "list", "malicious", "pickle", "empty", "truncated"],
)
def test_any_other_file_is_refused(small, tmp_path, spoil, problem, capsys):
    path = tmp_path / "model_weights.torch"
    spoil(small.state_dict(), path)
    with pytest.raises(WeightsUnavailable, match=problem) as caught:
        pretrained_trunk(path)
    assert str(path) in str(caught.value)
    assert capsys.readouterr().out == ""  # nothing in the file was run


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_equal_to_fmcib(tmp_path, monkeypatch):
    """fmcib's own loader gives the same features from the same file, to the bit (46 M weights)."""
    loader = fmcib_module("models/load_model.py", monkeypatch).LoadModel
    path = tmp_path / "model_weights.torch"
    torch.save({"trunk_state_dict": random_trunk(0, widen_factor=1).state_dict()}, path)
    theirs = loader(trunk=foundation_trunk(1), weights_path=path, heads=[]).eval()
    ours = pretrained_trunk(path, widen_factor=1)
    x = torch.rand(1, 1, SIDE, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, got = theirs(x.to(theirs.device)).cpu(), ours(x)
    assert got.shape == (1, 2048)
    assert torch.equal(got, expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_equal_to_fmcib_at_full_width(tmp_path, monkeypatch):
    loader = fmcib_module("models/load_model.py", monkeypatch).LoadModel
    path = tmp_path / "model_weights.torch"
    torch.save({"trunk_state_dict": random_trunk(0).state_dict()}, path)
    x = torch.rand(1, 1, SIDE, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = loader(trunk=foundation_trunk(), weights_path=path, heads=[]).eval()
        assert torch.equal(pretrained_trunk(path)(x), theirs(x.to(theirs.device)).cpu())


def test_random_weights_do_not_seed_a_gpu(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    before = torch.get_rng_state()
    random_trunk(0, widen_factor=1)
    assert not seeded and torch.equal(before, torch.get_rng_state())
