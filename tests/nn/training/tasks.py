"""A small network with two heads, and rows of which some lack the labels of a task."""

import numpy as np
from torch import nn

from mmfusion.nn.training import StreamDataset

NAN = float("nan")


class TwoHeads(nn.Module):
    """A trunk that both tasks share, and a head for each."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(4, 3)
        self.heads = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(3, 2)})

    def forward(self, present, table):
        trunk = self.trunk(table).tanh()
        return {name: head(trunk) for name, head in self.heads.items()}


def two_tasks(n=24, *, unknown=()):
    """Rows with the labels of both tasks; those of the tasks in `unknown` are missing."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(n, 4)).astype(np.float32)
    y = {"a": table[:, :1] * 2, "b": np.stack([-table[:, 0], table[:, 1]], 1)}
    y = {name: np.full_like(one, NAN) if name in unknown else one for name, one in y.items()}
    return StreamDataset({"table": table}, np.ones((n, 1), bool), y)


def losses():
    return {"a": nn.MSELoss(), "b": nn.MSELoss()}
