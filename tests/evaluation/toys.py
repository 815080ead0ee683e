"""Cohorts with vectors and masks to predict, and fast estimators for them without randomness or networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin

from mmfusion.data.cohort import Cohort
from mmfusion.data.targets.base import Target
from mmfusion.imaging import Volume, read, read_mask, write_nifti
from tests.cohorts import tiny_cohort

# a short cross-validation
QUIET = {"outer": 3, "inner": 2, "where": "serial", "progress": False}
GENES = ("EGFR", "MET", "ROS1")


@dataclass(frozen=True, kw_only=True)
class GivenTarget(Target):
    """A target whose labels stand in the cohort."""

    def labels(self, cohort: Cohort) -> object:
        return cohort.labels

    def lacks(self, cohort: Cohort) -> str:
        return ""


@dataclass(frozen=True, repr=False)
class ToyCohort(Cohort):
    """A cohort whose labels are given, of any kind."""

    labels: object = None
    kind: str = "vector"

    @property
    def target_spec(self) -> GivenTarget:
        probe = {"vector": "correlation", "mask": "none"}.get(self.kind, "lookup")
        return GivenTarget(name="toy", kind=self.kind, description="Labels that are given.", probe=probe)

    @property
    def X(self) -> pd.DataFrame:
        return self.table.loc[self.labels.index]

    @property
    def y(self) -> pd.Series | pd.DataFrame:
        return self.labels


def vector_cohort(n: int = 60, seed: int = 0, unknown: float = 0.1, signal: float = 1.0) -> ToyCohort:
    """Two of three genes follow from age and sphericity; some values are unknown."""
    base = tiny_cohort(n, seed, missing=0.0).select(modalities=["ct", "ehr"])
    rng = np.random.default_rng(seed + 100)
    causes = np.column_stack(
        [base.table["ehr", "age"] / 8, base.table["ct", "sphericity"] / 0.1, np.zeros(n)]
    )
    y = pd.DataFrame(signal * causes.astype(float) + rng.normal(size=(n, 3)), base.table.index, list(GENES))
    y = y.mask(rng.random(y.shape) < unknown)
    return _toy(base, y.dropna(how="all"), "vector")


def mask_cohort(folder: Path, n: int = 12, seed: int = 0, spacing: float = 2.0) -> ToyCohort:
    """Bright balls in noise, of which the masks are files; one patient's is at the edge of the scan."""
    rng = np.random.default_rng(seed)
    base = tiny_cohort(n, seed, missing=0.0).select(modalities=["ct"])
    table = base.table.drop(columns="ct", level=0)
    affine = np.diag([spacing, spacing, 2 * spacing, 1.0])
    for i, patient in enumerate(table.index):
        center = np.array([0, 8, 8]) if i == 0 else rng.integers(5, 11, 3)
        grid = np.stack(np.meshgrid(*map(np.arange, (12, 16, 16)), indexing="ij"), axis=-1)
        ball = (((grid - center) * [2, 1, 1]) ** 2).sum(axis=-1) <= rng.integers(9, 20)
        values = np.where(ball, 60, -700) + rng.normal(0, 150, ball.shape)
        for name, array, unit in (
            ("volume", values.astype(np.int16), "HU"),
            ("mask", ball.astype(np.uint8), "mask"),
        ):
            file = write_nifti(Volume(array, affine, unit=unit), folder / f"{patient}-{name}.nii.gz")
            table.loc[patient, ("ct", name)] = str(file)
    masks = table["ct", "mask"].rename("lesion").astype(object)
    return _toy(replace(base, table=table), masks, "mask")


def _toy(base: Cohort, labels: object, kind: str) -> ToyCohort:
    return ToyCohort(**{f.name: getattr(base, f.name) for f in fields(base)}, labels=labels, kind=kind)


class ToyRegressor(RegressorMixin, BaseEstimator):
    """Least squares on two columns, each target on the rows where it is known."""

    def __init__(self, shrink: float = 1.0, random_state: int = 0) -> None:
        self.shrink = shrink
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: pd.DataFrame) -> ToyRegressor:
        inputs, values = self._inputs(X), y.to_numpy(dtype=float)
        known = [np.isfinite(column) for column in values.T]
        self.weights_ = np.column_stack(
            [np.linalg.lstsq(inputs[k], column[k])[0] for k, column in zip(known, values.T, strict=True)]
        )
        self.patients_ = []
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.shrink * self._inputs(X) @ self.weights_

    def variants(self, modalities: list[str], *, alone: bool = False) -> dict:
        return {"no shrinking": ({"shrink": 1.0}, tuple(modalities))} if alone else {}

    def _inputs(self, X: pd.DataFrame) -> np.ndarray:
        columns = [X["ehr", "age"] / 8, X["ct", "sphericity"] / 0.1]
        return np.column_stack([np.ones(len(X)), *(pd.to_numeric(c).fillna(c.mean()) for c in columns)])


class ToySegmenter(BaseEstimator):
    """A threshold half way between the lesions and the rest of the training scans, in HU."""

    def __init__(self, shift: float = 0.0, random_state: int = 0) -> None:
        self.shift = shift
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: pd.Series) -> ToySegmenter:
        means = []
        for patient in X.index:
            scan = read(X.loc[patient, ("ct", "volume")]).array
            inside = read_mask(y.loc[patient]).array > 0
            means.append((scan[inside].mean(), scan[~inside].mean()))
        self.threshold_ = float(np.mean(means)) + self.shift
        self.patients_ = []
        return self

    def predict(self, X: pd.DataFrame) -> Iterator[Volume]:
        assert X["ct"]["mask"].isna().all()  # what is judged is not shown
        for patient in X.index:
            scan = read(X.loc[patient, ("ct", "volume")])
            yield replace(scan, array=(scan.array > self.threshold_).astype(np.uint8), unit="mask")
