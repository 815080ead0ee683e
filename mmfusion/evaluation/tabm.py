"""TabM, a network for tables, as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.nn.training import TrainingPlan, fit_network, predict_in_batches, reproducible
from mmfusion.nn.training.datasets import StreamDataset


class TabMClassifier(ClassifierMixin, BaseEstimator):
    """TabM: 32 perceptrons that share most of their weights, on a table of numbers.

    Each perceptron is trained on its own cross-entropy. The prediction is the mean of their probabilities.
    The package tabm provides the network (extra `benchmark`).

    Parameters
    ----------
    width, blocks : int
        Width and number of hidden layers.
    lr, weight_decay : float
        Settings of AdamW.
    max_epochs : int
        Passes through the training rows, in batches of 32.
    random_state : int
        Seed of the weights, the batches and the dropout.

    Raises
    ------
    MMFusionError
        In `fit`, if tabm is not installed.

    References
    ----------
    Gorishniy et al. 2025, ICLR (arXiv 2410.24210).
    """

    def __init__(
        self,
        *,
        width: int = 128,
        blocks: int = 2,
        lr: float = 2e-3,
        weight_decay: float = 1e-2,
        max_epochs: int = 20,
        random_state: int = 0,
    ) -> None:
        self.width = width
        self.blocks = blocks
        self.lr = lr
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Sequence[object]) -> TabMClassifier:
        """Train on a table (n, p) of numbers without missing cells."""
        try:
            from tabm import TabM
        except ImportError as error:
            raise MMFusionError("tabm is not installed", hint="pip install 'mmfusion[benchmark]'") from error
        self.classes_, codes = np.unique(np.asarray(y).astype(str), return_inverse=True)
        rows = StreamDataset({"table": _table(X)}, np.ones((len(X), 1), dtype=bool), codes)
        plan = TrainingPlan(
            lr=self.lr, weight_decay=self.weight_decay, max_epochs=self.max_epochs, batch_size=32
        )
        with reproducible(self.random_state):
            net = TabM.make(
                n_num_features=X.shape[1], d_out=len(self.classes_), d_block=self.width, n_blocks=self.blocks
            )
            self.net_, _ = fit_network(_Members(net), _MeanLoss(), rows, None, plan)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the mean probabilities of the perceptrons, shape (n, K)."""
        check_is_fitted(self, "net_")
        logits = predict_in_batches(self.net_, {"table": _table(X)})
        return logits.double().softmax(dim=2).mean(dim=1).numpy()

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class _Members(nn.Module):
    """Give the table to a network of the package tabm; returns logits, shape (b, members, K)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, table: torch.Tensor, present: torch.Tensor | None = None) -> torch.Tensor:
        return self.net(table)


class _MeanLoss(nn.Module):
    """Mean cross-entropy of the perceptrons."""

    def forward(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits.flatten(0, 1), truth.repeat_interleave(logits.shape[1]))


def _table(X: pd.DataFrame) -> np.ndarray:
    return np.asarray(X, dtype=np.float32)
