"""Streams: the inputs of a network, what each one is, and who has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class StreamSpec:
    """All that an encoder needs to know to be built.

    Parameters
    ----------
    name : str
        Stream: a modality's name, or "<modality>_table" for the features of an imaging modality.
    kind : {"volume", "table", "genes"}
        Shape of its input: (b, 1, S, S, S) in [0, 1]; (b, 2, d) values and observed mask; (b, G) z-scores.
    modality : str
        Block of the cohort's frame that it reads.
    n_features : int
        Side S of the cube, encoded columns d, or genes G.
    feature_names : tuple of str
        Names of the d columns or G genes; empty for a volume.
    edge_index : ndarray of int64, shape (2, E), optional
        Gene graph: row 0 source, row 1 destination.
    edge_weight : ndarray of float32, shape (E,), optional
        Its weights.
    """

    name: str
    kind: str
    modality: str
    n_features: int
    feature_names: tuple[str, ...] = ()
    edge_index: np.ndarray | None = None
    edge_weight: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class StreamInputs:
    """What a network reads of some patients.

    Parameters
    ----------
    arrays : dict of str to ndarray of float32
        By stream: volumes (n, 1, S, S, S), tables (n, 2, d), genes (n, G); zeros where absent.
    present : ndarray of bool, shape (n, n_streams)
        Who has what, in the order of `arrays`.
    index : sequence of str, length n
        Patient ids.
    """

    arrays: dict[str, np.ndarray]
    present: np.ndarray
    index: Sequence[object]

    def __len__(self) -> int:
        return len(self.present)

    def rows(self, which: np.ndarray | slice) -> StreamInputs:
        """Of these patients only, by position."""
        arrays = {name: array[which] for name, array in self.arrays.items()}
        return StreamInputs(arrays, self.present[which], np.array(self.index, object)[which])
