"""Segmenters without training, which every report about masks compares a network with: thresholds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.base import BaseEstimator

from mmfusion.data.scans import scan_of
from mmfusion.errors import DataError
from mmfusion.imaging import Volume, lung_mask, read
from mmfusion.modalities import IMAGING, scan_modality

_TOUCHING = np.ones((3, 3, 3))  # voxels that share a face, an edge or a corner are connected


class ScanRule(BaseEstimator, ABC):
    """Base class of segmenters that apply a fixed rule to one scan of a patient.

    `fit` learns nothing. A patient without the scan gets an empty mask on the grid of another scan.

    Parameters
    ----------
    near_mm : float
        If a patient has a seed, only components that come within this distance of it are kept, mm.
    """

    modality: ClassVar[str]

    def __init__(self, near_mm: float = 20.0) -> None:
        self.near_mm = near_mm

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modality that the rule reads."""
        return (self.modality,)

    def fit(self, X: pd.DataFrame, y: pd.Series | None = None) -> ScanRule:
        """Return the segmenter itself; nothing is learned."""
        self.patients_ = []
        return self

    def predict(self, X: pd.DataFrame) -> Iterator[Volume]:
        """Yield a mask per patient, in the order of X; unit "mask".

        Raises
        ------
        DataError
            If a patient has no scan at all.
        """
        for patient in X.index:
            yield self._mask(X.loc[patient], str(patient))

    @abstractmethod
    def inside(self, volume: Volume, near: np.ndarray | None) -> np.ndarray:
        """Return the voxels that the rule marks.

        Parameters
        ----------
        volume : Volume
            The scan.
        near : ndarray of bool, shape of the scan, or None
            True within `near_mm` of the seed. None if there is no seed.
        """

    def _mask(self, row: pd.Series, patient: str) -> Volume:
        blocks = [row[m].rename(patient) for m in IMAGING if m in row.index.unique(0)]
        scans = [block for block in blocks if not pd.isna(block.get("volume"))]
        if not scans:
            raise DataError("no scan", patient=patient, column=f"{self.modality} volume")
        own = row[self.modality].rename(patient) if self.modality in row.index.unique(0) else pd.Series()
        if pd.isna(own.get("volume")):
            path, series, _ = scan_of(scans[0])
            other = path if isinstance(path, Volume) else read(path, series)
            return replace(other, array=np.zeros(other.shape, np.uint8), unit="mask")
        path, series, seed = scan_of(own)
        unit = scan_modality(self.modality).unit
        volume = path if isinstance(path, Volume) else read(path, series, unit=unit)
        volume.expect(unit, f"{self.modality} volume", patient=patient)
        near = None if seed is None else _ball(volume, seed, self.near_mm)
        marked = self.inside(volume, near)
        if near is not None:
            labels, _ = ndimage.label(marked, structure=_TOUCHING)
            marked = np.isin(labels, np.setdiff1d(labels[near], [0]))
        return replace(volume, array=marked.astype(np.uint8), unit="mask")


class FixedUptake(ScanRule):
    """Mark the voxels of a PET with at least a given uptake, SUV 2.5 by default.

    Parameters
    ----------
    suv : float
        Threshold, SUVbw.
    near_mm : float
        As for `ScanRule`. Without a seed, the heart, the brain and the bladder are marked too.

    References
    ----------
    Paulino and Johnstone 2004, Int J Radiation Oncology Biology Physics 58(3) (SUV 2.5).

    Examples
    --------
    >>> pet = Volume(np.array([[[0.5, 2.5, 6.0]]], np.float32), np.eye(4), "PT", "SUVbw")
    >>> X = pd.DataFrame([[pet]], columns=pd.MultiIndex.from_tuples([("pet", "volume")]))
    >>> next(FixedUptake().fit(X).predict(X)).array.tolist()
    [[[0, 1, 1]]]
    """

    modality = "pet"

    def __init__(self, suv: float = 2.5, near_mm: float = 20.0) -> None:
        super().__init__(near_mm)
        self.suv = suv

    def inside(self, volume: Volume, near: np.ndarray | None) -> np.ndarray:
        """Return the voxels with at least the uptake `suv`."""
        return volume.array >= self.suv


class ShareOfMaximum(ScanRule):
    """Mark the voxels of a PET with at least a given share of the highest uptake, 41 % by default.

    The highest uptake is the one within `near_mm` of the seed, or that of the whole scan if there is no seed.
    Without a seed the mask is poor if another organ takes up more than the tumour.

    Parameters
    ----------
    share : float
        Share of the highest uptake, above 0 to 1.
    near_mm : float
        As for `ScanRule`.

    References
    ----------
    Boellaard et al. 2015, European Journal of Nuclear Medicine and Molecular Imaging 42 (41 %).

    Examples
    --------
    >>> pet = Volume(np.array([[[1.0, 4.0, 8.0]]], np.float32), np.eye(4), "PT", "SUVbw")
    >>> X = pd.DataFrame([[pet]], columns=pd.MultiIndex.from_tuples([("pet", "volume")]))
    >>> next(ShareOfMaximum().fit(X).predict(X)).array.tolist()
    [[[0, 1, 1]]]
    """

    modality = "pet"

    def __init__(self, share: float = 0.41, near_mm: float = 20.0) -> None:
        super().__init__(near_mm)
        self.share = share

    def inside(self, volume: Volume, near: np.ndarray | None) -> np.ndarray:
        """Return the voxels with at least `share` of the maximum; none if there is no uptake."""
        highest = float(volume.array.max() if near is None else volume.array[near].max())
        return (volume.array >= self.share * highest) & (volume.array > 0)


class DenseInLungs(ScanRule):
    """Mark dense regions inside the lungs of a CT that are thicker than vessels.

    The voxels of at least `hu` in the lungs (`mmfusion.imaging.lung_mask`, "classical") are opened with a
    ball, which removes thin vessels. Components that remain are marked. A tumour that touches the chest wall
    or the mediastinum is mostly outside this lung mask and is missed. If no lung is found, as in a small
    crop, the mask is empty.

    Parameters
    ----------
    hu : float
        Threshold, HU. The default separates solid tissue from aerated lung.
    opening_mm : float
        Radius of the ball, mm.
    least_mm3 : float
        Smaller components are left out, mm3.
    near_mm : float
        As for `ScanRule`.

    Examples
    --------
    >>> tissue = Volume(np.full((8, 8, 8), 40, np.int16), np.diag([5.0, 5, 5, 1]))
    >>> X = pd.DataFrame([[tissue]], columns=pd.MultiIndex.from_tuples([("ct", "volume")]))
    >>> next(DenseInLungs().fit(X).predict(X)).volume_ml()
    0.0
    """

    modality = "ct"

    def __init__(
        self, hu: float = -300.0, opening_mm: float = 3.0, least_mm3: float = 100.0, near_mm: float = 20.0
    ) -> None:
        super().__init__(near_mm)
        self.hu = hu
        self.opening_mm = opening_mm
        self.least_mm3 = least_mm3

    def inside(self, volume: Volume, near: np.ndarray | None) -> np.ndarray:
        """Return the dense regions in the lungs."""
        lungs = lung_mask(volume, required=False)
        marked = np.zeros(volume.shape, dtype=bool)
        if not lungs.array.any():
            return marked
        box, mm = lungs.bounding_box(), volume.spacing
        dense = (lungs.array[box] > 0) & (volume.array[box] >= self.hu)
        core = ndimage.distance_transform_edt(dense, sampling=mm) > self.opening_mm
        if not core.any():
            return marked
        labels, n = ndimage.label(
            dense & (ndimage.distance_transform_edt(~core, sampling=mm) <= self.opening_mm), _TOUCHING
        )
        sizes = np.bincount(labels.ravel(), minlength=n + 1) * np.prod(mm)
        sizes[0] = 0
        marked[box] = (sizes >= self.least_mm3)[labels]
        return marked


_RULES = {
    "SUV >= 2.5": FixedUptake(),
    "41 % of SUVmax": ShareOfMaximum(),
    "dense in the lungs": DenseInLungs(),
}


def mask_baselines(modalities: Sequence[str]) -> dict[str, BaseEstimator]:
    """Return the segmenters without training that read one of these modalities, by name.

    Parameters
    ----------
    modalities : sequence of str
        Modalities of the cohort.

    Examples
    --------
    >>> list(mask_baselines(["pet"]))
    ['SUV >= 2.5', '41 % of SUVmax']
    """
    return {name: rule for name, rule in _RULES.items() if rule.modality in modalities}


def _ball(volume: Volume, seed: Sequence[float], radius_mm: float) -> np.ndarray:
    """Return the voxels within a distance of a point, at least the voxel of the point."""
    near = np.zeros(volume.shape, dtype=bool)
    center = np.array(volume.mm_to_voxel(volume.expect_inside(seed)))[::-1]
    nearest = np.clip(np.round(center), 0, np.array(volume.shape) - 1).astype(int)
    low = np.maximum(nearest - np.ceil(radius_mm / np.array(volume.spacing)).astype(int), 0)
    high = np.minimum(nearest + np.ceil(radius_mm / np.array(volume.spacing)).astype(int) + 1, volume.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    offsets = [(np.arange(s.start, s.stop) - c) * mm for s, c, mm in zip(box, center, volume.spacing)]
    z, y, x = np.meshgrid(*offsets, indexing="ij", sparse=True)
    near[box] = z**2 + y**2 + x**2 <= radius_mm**2
    near[tuple(nearest)] = True
    return near
