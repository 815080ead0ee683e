"""Small networks with a cue and with slabs, for tests."""

from typing import ClassVar

import torch
from torch import nn

from mmfusion.nn.segmenters import Segmenter, SegmenterPreset
from mmfusion.nn.training import TrainingPlan

_PLAN = TrainingPlan(lr=0.05, max_epochs=4, batch_size=16)


class Cued(Segmenter):
    """Two convolutions of the scan and the cue."""

    uses_cue = True
    presets: ClassVar = {"demo": SegmenterPreset(size=(16, 16, 16), spacing=(3.0, 3.0, 3.0), plan=_PLAN)}

    def __init__(self, *, in_channels=1, spatial_dims=3):
        super().__init__(in_channels=in_channels, spatial_dims=spatial_dims, divisor=2)
        self.net = nn.Sequential(
            nn.Conv3d(in_channels + 1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.Conv3d(8, 1, 1)
        )

    def run(self, x, cue=None):
        cue = torch.ones_like(x[:, :1]) if cue is None else cue
        return {"mask": self.net(torch.cat([x, cue], 1))}


class Slab(Segmenter):
    """One convolution over a slab of three slices, and one over the slice."""

    slab = 3
    around = 0.1
    presets: ClassVar = {"demo": SegmenterPreset(size=(16, 16), spacing=(3.0, 2.0, 2.0), plan=_PLAN)}

    def __init__(self, *, in_channels=1):
        super().__init__(in_channels=in_channels, spatial_dims=2, divisor=(1, 2, 2))
        self.over = nn.Conv3d(in_channels, 8, 3, padding=(0, 1, 1))
        self.net = nn.Sequential(nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))

    def run(self, x, cue=None):
        mask = self.net(self.over(x)[:, :, 0])
        return {"mask": mask, **({"around": mask.expand(-1, 2, -1, -1)} if self.training else {})}


class Both(Segmenter):
    """A mask from two convolutions, and expression from the mean of the scan inside that mask."""

    outputs: ClassVar = ("mask", "expression")
    presets: ClassVar = {"demo": SegmenterPreset(size=(12, 12, 12), spacing=(3.0, 3.0, 3.0), plan=_PLAN)}

    def __init__(self, *, in_channels=1, spatial_dims=3, tasks=("mask",), genes=1):
        super().__init__(in_channels=in_channels, spatial_dims=spatial_dims, divisor=2)
        self.tasks = tuple(tasks)
        self.trunk = nn.Sequential(nn.Conv3d(in_channels, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU())
        self.mask = nn.Conv3d(8, 1, 1)
        self.genes = nn.Linear(8 + in_channels, genes)

    def run(self, x, cue=None):
        maps = self.trunk(x)
        mask = self.mask(maps)
        weight = mask.detach().sigmoid() if "mask" in self.tasks else (x > 0.3).float()
        pooled = (torch.cat([maps, 10 * (x - 0.6)], 1) * weight).flatten(2).sum(2)
        out = {"mask": mask, "expression": self.genes(pooled / weight.flatten(2).sum(2).clamp_min(1e-3))}
        return {name: out[name] for name in self.tasks}
