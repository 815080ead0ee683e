"""Extractors for tests: they write down what they are given, without a network."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

LOG: list[tuple[str, object]] = []  # ("fit", patients) and ("transform", (patients fitted on, patients))


class Recorder(TransformerMixin, BaseEstimator):
    """Mean and spread of the numbers of a row; it knows which patients it was fitted on."""

    def __init__(self, read: str = "ct", spoil: str = "") -> None:
        self.read = read
        self.spoil = spoil

    def fit(self, X: pd.DataFrame, y: object = None) -> Recorder:
        assert y is None  # an extractor never learns the genotype
        self.seen_, self.masks_ = set(X.index), masks(X)
        LOG.append(("fit", frozenset(self.seen_)))
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        assert not masks(X)  # nor the masks of the patients whose features it makes
        LOG.append(("transform", (frozenset(self.seen_), frozenset(X.index))))
        numbers = X[self.read].drop(columns="mask", errors="ignore").to_numpy(dtype=float)
        found = np.column_stack([numbers[:, 0], numbers[:, 1], numbers.mean(axis=1)])
        spoiled = {
            "nan": np.where(np.arange(len(found))[:, None] == 1, np.nan, found),
            "short": found[:-1],
            "flat": np.ones_like(found),
            "text": found.astype(str) + "a",
        }
        return spoiled.get(self.spoil, found)


class OfPersons(Recorder):
    """A `Recorder` whose `fit` takes the persons."""

    def fit(self, X: pd.DataFrame, y: object = None, groups: object = None) -> OfPersons:
        LOG.append(("persons", tuple(groups)))
        return super().fit(X, y)


def masks(X: pd.DataFrame) -> int:
    """Number of masks in a table."""
    return int(X["ct", "mask"].notna().sum()) if ("ct", "mask") in X else 0
