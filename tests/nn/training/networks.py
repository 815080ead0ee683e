"""Small networks and data for tests of training."""

import numpy as np
import torch
from torch import nn

from mmfusion.nn.training import StreamDataset, TrainingPlan, fit_network, reproducible


class Small(nn.Module):
    """An encoder with batch normalisation and dropout, and a head."""

    def __init__(self, outputs=1, *, dropout=0.2):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(8, outputs)

    def forward(self, present, table):
        return self.head(self.encoder(table)).squeeze(-1)


class Line(nn.Module):
    """A linear model: the mean gradient of a batch is the mean of its rows' gradients."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(4, 3)
        self.head = nn.Linear(3, 1)

    def forward(self, present, table):
        return self.head(self.backbone(table)).squeeze(-1)


def rows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(n, 4)).astype(np.float32)
    y = (table @ [1.0, -2.0, 0.5, 0.0] + 0.1 * rng.normal(size=n)).astype(np.float32)
    return StreamDataset({"table": table}, np.ones((n, 1), bool), y)


def fit(plan=None, *, network=Small, seed=0, data=None, valid=None, criterion=None, **options):
    """A network trained from this seed, its weights before, and the history."""
    with reproducible(seed):
        module = network()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        plan = plan or TrainingPlan(max_epochs=3)
        module, history = fit_network(
            module, criterion or nn.MSELoss(), data or rows(), valid, plan, **options
        )
    return module, before, history


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)
