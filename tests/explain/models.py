"""Fitted models small enough to be known by heart: real networks, made-up streams."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from mmfusion.nn.net import FusionNet
from mmfusion.streams import StreamInputs, StreamSpec

CLASSES = np.array(["I", "II", "III"])
G, D, S = 12, 3, 16


def specs(*, scan=True):
    ring = np.arange(G)
    edges = np.stack([np.r_[ring, ring], np.r_[(ring + 1) % G, (ring - 1) % G]]).astype(np.int64)
    genes = StreamSpec(
        "rna", "rna", (G,), tuple(f"G{i}" for i in range(G)), edges, np.ones(2 * G, np.float32)
    )
    table = StreamSpec("ehr", "ehr", (2, D), ("age", "sex", "pack_years"))
    return ([StreamSpec("ct", "ct", (1, S, S, S))] if scan else []) + [genes, table]


def rows(n=8, seed=0, *, scan=True, missing=0.0):
    rng = np.random.default_rng(seed)
    arrays = {
        "rna": rng.normal(size=(n, G)).astype(np.float32),
        "ehr": np.stack([rng.normal(size=(n, D)), np.ones((n, D))], axis=1).astype(np.float32),
    }
    if scan:
        arrays = {"ct": rng.random((n, 1, S, S, S)).astype(np.float32), **arrays}
    present = rng.random((n, len(arrays))) >= missing
    present[:, -1] = True
    return StreamInputs(arrays, present, [f"P{i}" for i in range(n)])


def model_of(module, streams):
    """What the explanations need of a fitted estimator; its transformer passes inputs on."""
    scan = streams[0].is_image
    return SimpleNamespace(
        module_=module.eval(),
        transformer_=SimpleNamespace(specs_=streams, transform=lambda X: X),
        classes_=CLASSES,
        background_=rows(15, seed=99, scan=scan),
        prior_=np.array([0.5, 0.3, 0.2]),
    )


def fusion_model(fusion="crossmodal", members=1, *, scan=True, seed=0):
    """Untrained fusion networks, in an ensemble as the stage classifier keeps them."""
    streams = specs(scan=scan)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        nets = [FusionNet(streams, 3, fusion=fusion, d=16, hidden=16) for _ in range(members)]
        for net in nets:
            net.head.weight.data *= 5  # untrained networks hardly tell patients apart
    return model_of(Ensemble(nets), streams)


class Ensemble(nn.Module):
    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, present, **streams):
        return torch.stack([m(present, **streams).softmax(-1) for m in self.members]).mean(0).log()


class Linear(nn.Module):
    """Logits linear in genes and in the table's values; no `encode`, no `fuse`: called as a whole."""

    def __init__(self, genes, table):
        super().__init__()
        self.genes = nn.Parameter(torch.as_tensor(genes, dtype=torch.float32))
        self.table = nn.Parameter(torch.as_tensor(table, dtype=torch.float32))

    def forward(self, present, rna, ehr):
        parts = torch.stack([rna @ self.genes, ehr[:, 0] @ self.table], dim=1)
        return torch.where(present[:, :, None], parts, 0.0).sum(1)


def linear_model(scale=1.0):
    """Only genes G0 (for III) and G1 (against it) count, and age."""
    genes, table = np.zeros((G, 3)), np.zeros((D, 3))
    genes[0, 2], genes[1, 2], table[0, 1] = 2 * scale, -1 * scale, 1 * scale
    return model_of(Linear(genes, table), specs(scan=False))


class Look(nn.Module):
    """An encoder whose token is the mean of a layer: the crop itself, or every `stride`-th voxel of it."""

    n_tokens = 1

    def __init__(self, stride=None):
        super().__init__()
        self.gradcam_layer = nn.Identity() if stride is None else _around(stride)
        self.gradcam_stride = stride

    def forward(self, x):
        return self.gradcam_layer(x).mean(dim=(2, 3, 4))[:, :, None]


def _around(stride):
    """A convolution with a stride, padded by half its size as in a ResNet, whose weights are a pyramid."""
    conv = nn.Conv3d(1, 1, 2 * stride - 1, stride=stride, padding=stride - 1, bias=False)
    side = 1 - (torch.arange(2 * stride - 1) - stride + 1).abs() / stride
    conv.weight.data[0, 0] = side[:, None, None] * side[:, None] * side / stride**3
    return conv


class LookNet(nn.Module):
    """The logit of the last class is the token of the scan times a factor."""

    def __init__(self, factor, encoder):
        super().__init__()
        self.factor, self.encoders = factor, nn.ModuleDict({"ct": encoder})

    def encode(self, present, ct, **others):
        return {"ct": self.encoders["ct"](ct)}

    def fuse(self, tokens, present):
        return tokens["ct"][:, 0] * torch.tensor([0.0, 0.0, self.factor])


def looking(factor=5.0, encoder=None):
    """A model that reads the scan only, and how bright it is: brighter is more severe."""
    return model_of(LookNet(factor, Look() if encoder is None else encoder), specs())
