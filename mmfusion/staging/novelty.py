"""Warnings for a scan, a profile or a record that is unlike those of the training patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.covariance import LedoitWolf

from mmfusion.errors import DataError
from mmfusion.preprocessing.cohort import CLIP
from mmfusion.streams import GENES, TABLE, StreamInputs, StreamSpec

_QUANTILES, _STEPS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98), (0.5, 0.75, 0.95)
_LEAST = 20  # training patients with a stream; with fewer, nobody can be said to be unusual
_SLACK = 1.5  # a distance is unusual from this multiple of the largest one in training
_FLOOR = 1e-3  # least standard deviation of a summary: a constant one may vary a little


@dataclass(frozen=True, eq=False)
class Usual:
    """Mean and spread of the summaries of the training patients, for one stream.

    Parameters
    ----------
    mean : ndarray, shape (q,)
        Mean of the summaries.
    precision : ndarray, shape (q, q)
        Inverse of their covariance, shrunk as Ledoit and Wolf 2004 (J Multivariate Analysis 88, 365-411).
    largest : float
        Largest Mahalanobis distance of a training patient.

    Examples
    --------
    >>> usual = Usual(np.zeros(2), np.eye(2), largest=3.0)
    >>> usual.distance(np.array([3.0, 4.0])), usual.limit
    (5.0, 4.5)
    """

    mean: np.ndarray
    precision: np.ndarray
    largest: float

    def __post_init__(self) -> None:
        mean, precision = np.asarray(self.mean, float), np.asarray(self.precision, float)
        good = mean.ndim == 1 and precision.shape == (len(mean),) * 2 and 0 <= float(self.largest) < np.inf
        if not (good and np.isfinite(mean).all() and np.isfinite(precision).all()):
            raise DataError("not a description of usual patients", got=f"{mean.shape}, {precision.shape}")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "precision", precision)
        object.__setattr__(self, "largest", float(self.largest))

    @property
    def limit(self) -> float:
        """Distance from which a patient is unusual."""
        return _SLACK * self.largest

    def distance(self, summary: np.ndarray) -> float:
        """Return the Mahalanobis distance of a summary."""
        gap = summary - self.mean
        return float(np.sqrt(max(gap @ self.precision @ gap, 0.0)))


@dataclass(frozen=True, eq=False)
class Bounds:
    """Largest absolute value of each column of a table among the training patients.

    Parameters
    ----------
    most : ndarray, shape (d,)
        Values are z-scores, or 0 and 1 for categories.
    cut : float or None
        Size at which the preprocessing cuts z-scores off; None if it does not.

    Examples
    --------
    >>> Bounds(np.array([2.0, 1.0])).beyond(np.array([6.0, -1.0])).tolist()
    [True, False]
    """

    most: np.ndarray
    cut: float | None = CLIP

    def __post_init__(self) -> None:
        most = np.asarray(self.most, float)
        if most.ndim != 1 or not (np.isfinite(most) & (most >= 0)).all():
            raise DataError("not bounds of a table", expected="numbers of 0 or above", got=most.tolist())
        object.__setattr__(self, "most", most)

    def beyond(self, values: np.ndarray) -> np.ndarray:
        """Return which columns of one patient are far outside of what was seen, shape (d,).

        Values that were cut off by the preprocessing are, unless those of training patients were cut off too.
        """
        size, limit = np.abs(values), _SLACK * self.most + 0.5
        if self.cut is None:
            return size > limit
        least = self.cut - 1e-4  # float32
        return (size > limit) | ((size >= least) & (self.most < least))


def summaries(array: np.ndarray) -> np.ndarray:
    """Return a few numbers that describe each patient's scan or profile, float64, shape (n, q).

    They are quantiles of the values and, for scans, of the differences between neighbouring voxels along each
    axis: their size depends on the noise, the kernel and the thickness of the slices.

    Examples
    --------
    >>> summaries(np.zeros((3, 1, 8, 8, 8))).shape, summaries(np.zeros((3, 500))).shape
    ((3, 16), (3, 7))
    """
    array = np.asarray(array, dtype=np.float64)
    flat = array.reshape(len(array), -1)
    parts = [np.quantile(flat, _QUANTILES, axis=1).T]
    for axis in range(-3, 0) if array.ndim > 3 else ():
        steps = np.abs(np.diff(array, axis=axis)).reshape(len(array), -1)
        parts.append(np.quantile(steps, _STEPS, axis=1).T)
    return np.concatenate(parts, axis=1)


def learn_usual(
    inputs: StreamInputs, specs: Sequence[StreamSpec], cut: float | None = CLIP
) -> dict[str, Usual | Bounds]:
    """Return what is usual of each stream that enough training patients have.

    Parameters
    ----------
    inputs : StreamInputs
        Streams of the training patients.
    specs : sequence of StreamSpec
        Their descriptions.
    cut : float or None
        Size at which the preprocessing cuts z-scores off.
    """
    found: dict[str, Usual | Bounds] = {}
    for place, spec in enumerate(specs):
        array = inputs.arrays[spec.name][inputs.present[:, place]]
        if len(array) < _LEAST:
            continue
        if spec.fits(TABLE):
            found[spec.name] = Bounds(np.abs(array[:, 0] * array[:, 1]).max(axis=0), cut)
            continue
        rows = summaries(array)
        scale = np.maximum(rows.std(axis=0), _FLOOR)
        precision = LedoitWolf().fit(rows / scale).precision_ / np.outer(scale, scale)
        one = Usual(rows.mean(axis=0), precision, 0.0)
        found[spec.name] = Usual(one.mean, precision, max(one.distance(row) for row in rows))
    return found


def unusual(
    usual: Mapping[str, Usual | Bounds], inputs: StreamInputs, specs: Sequence[StreamSpec]
) -> Iterator[str]:
    """Yield a sentence for each stream of one patient that is unlike those of the training patients.

    Parameters
    ----------
    usual : mapping
        As `learn_usual` returns it.
    inputs : StreamInputs
        Streams of one patient.
    specs : sequence of StreamSpec
        Their descriptions.
    """
    for place, spec in enumerate(specs):
        one = usual.get(spec.name)
        if one is None or not inputs.present[0, place]:
            continue
        array = inputs.arrays[spec.name][:1]
        if isinstance(one, Bounds):
            far = one.beyond(array[0, 0] * array[0, 1])
            # a category that was not seen in training has a warning of its own
            names = [n for n, is_far in zip(spec.feature_names, far, strict=True) if is_far and "=" not in n]
            if names:
                yield f"{spec.name}: far outside the values that the model was fitted on: {', '.join(names)}"
        elif (distance := one.distance(summaries(array)[0])) > one.limit:
            kind = "profiles" if spec.fits(GENES) else "scans"
            yield (
                f"{spec.name}: unlike the {kind} that the model was fitted on (distance {distance:.1f}, "
                f"there at most {one.largest:.1f}), so that the prediction may mean nothing"
            )


def to_state(usual: Mapping[str, Usual | Bounds]) -> dict[str, dict[str, object]]:
    """Return the numbers for a bundle; `from_state` reads them."""
    return {name: dict(vars(one)) for name, one in usual.items()}


def from_state(state: Mapping[str, Mapping[str, object]]) -> dict[str, Usual | Bounds]:
    """Return what `to_state` described.

    Examples
    --------
    >>> from_state(to_state({"ehr": Bounds(np.ones(2))}))["ehr"].most.tolist()
    [1.0, 1.0]
    """
    return {name: Bounds(**one) if "most" in one else Usual(**one) for name, one in state.items()}
