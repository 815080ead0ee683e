"""Streams: the inputs of a network, their shapes, and the patients who have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmfusion.errors import DataError, MMFusionError

ShapePattern = tuple[int | None, ...]  # of one patient's array; None stands for any size
GENES: ShapePattern = (None,)
TABLE: ShapePattern = (2, None)
CUBE: ShapePattern = (1, None, None, None)


@dataclass(frozen=True, eq=False)
class StreamSpec:
    """Description of a stream, from which its encoder is built.

    Parameters
    ----------
    name : str
        Name of the stream: a modality, or "<modality>_table" for the features of an imaging modality.
    modality : str
        Block of the cohort's frame that the stream reads.
    shape : tuple of int
        Shape of one patient's array: (G,) z-scores of genes; (2, d) values of a table and their observed
        mask; (1, S, S, S) a cube of a scan in [0, 1]; (S, 2, H, W) slices of PET and CT; (2, D, H, W) a pair
        of volumes.
    feature_names : tuple of str
        Names of the d columns or G genes; empty for a scan.
    edge_index : ndarray of int64, shape (2, E), optional
        Gene graph: row 0 source, row 1 destination.
    edge_weight : ndarray of float32, shape (E,), optional
        Its weights.

    Examples
    --------
    >>> StreamSpec("ct", "ct", (1, 32, 32, 32)).is_image, StreamSpec("ehr", "ehr", (2, 3)).is_image
    (True, False)
    """

    name: str
    modality: str
    shape: tuple[int, ...]
    feature_names: tuple[str, ...] = ()
    edge_index: np.ndarray | None = None
    edge_weight: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.shape)
        if not shape or any(int(n) != n or n < 0 for n in shape):
            raise MMFusionError(
                f"the stream {self.name!r} has no possible shape", expected="whole numbers", got=shape
            )
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))

    @property
    def is_image(self) -> bool:
        """True if the stream is read from scans: its shape has three axes or more."""
        return len(self.shape) >= 3

    def fits(self, pattern: ShapePattern) -> bool:
        """Return True if the shape matches `pattern`.

        Parameters
        ----------
        pattern : tuple of int or None
            One entry per axis; None fits any size.

        Examples
        --------
        >>> ct = StreamSpec("ct", "ct", (1, 32, 32, 32))
        >>> ct.fits(CUBE), ct.fits((2, None, None, None)), ct.fits(GENES)
        (True, False, False)
        """
        same_axes = len(pattern) == len(self.shape)
        return same_axes and all(p in (None, n) for p, n in zip(pattern, self.shape, strict=True))


@dataclass(frozen=True, eq=False)
class StreamInputs:
    """Inputs of a network for some patients: arrays, and the mask of the streams that they have.

    Parameters
    ----------
    arrays : dict of str to ndarray of float32
        Stream -> array of shape (n, *shape); zeros for patients without the stream.
    present : ndarray of bool, shape (n, n_streams)
        True if a patient (row) has a stream (column, in the order of `arrays`).
    index : sequence of str, length n
        Patient ids.

    Examples
    --------
    >>> rna, ehr = StreamSpec("rna", "rna", (100,)), StreamSpec("ehr", "ehr", (2, 3))
    >>> arrays = {"rna": np.zeros((2, 100)), "ehr": np.zeros((2, 2, 3))}
    >>> inputs = StreamInputs(arrays, np.array([[True, True], [False, True]]), ["P1", "P2"])
    >>> len(inputs.check([rna, ehr]))
    2
    >>> inputs.rows(slice(1, 2)).index.tolist()
    ['P2']
    """

    arrays: dict[str, np.ndarray]
    present: np.ndarray
    index: Sequence[object]

    def __len__(self) -> int:
        return len(self.present)

    def rows(self, which: np.ndarray | slice) -> StreamInputs:
        """Return the inputs of the patients at these positions."""
        arrays = {name: array[which] for name, array in self.arrays.items()}
        return StreamInputs(arrays, self.present[which], np.array(self.index, object)[which])

    def check(self, specs: Sequence[StreamSpec]) -> StreamInputs:
        """Check that a network of these streams can read the inputs; return them unchanged.

        Raises
        ------
        DataError
            If a stream is absent or has the wrong shape, the presence mask does not fit, or a patient has
            none of the streams.
        """
        names, n = [spec.name for spec in specs], len(self.present)
        if self.present.dtype != bool or self.present.shape != (n, len(specs)):
            expected = f"bool, (patients, {len(specs)}) for {', '.join(names)}"
            got = f"{self.present.dtype}, {self.present.shape}"
            raise DataError("the presence mask does not fit the model", expected=expected, got=got)
        for spec in specs:
            if spec.name not in self.arrays:
                raise DataError(f"the stream {spec.name!r} was not given", expected=", ".join(names))
            got, expected = self.arrays[spec.name].shape, (n, *spec.shape)
            if got != expected:
                problem = f"the stream {spec.name!r} has the wrong shape"
                raise DataError(problem, expected=expected, got=got)
        if (nobody := ~self.present.any(axis=1)).any():
            patient = ", ".join(str(p) for p, none in zip(self.index, nobody, strict=True) if none)
            raise DataError("has none of the streams", patient=patient, expected=", ".join(names))
        return self
