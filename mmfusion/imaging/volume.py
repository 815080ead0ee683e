"""The volume: an array that knows where it lies in the patient, and what its numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from mmfusion.errors import ScanError
from mmfusion.imaging.sampling import filled_box, sample, sample_mask

UNITS = {"HU": -1000.0, "SUVbw": 0.0, "mask": 0.0}  # unit -> value outside the field of view
_FLOOR = {"HU": -1024}  # unit -> what anything lower counts as: padding (-3024 and the like) is air, and must not bleed
_DTYPES = (np.float32, np.int16, np.uint8)


@dataclass(frozen=True, eq=False, repr=False)
class Volume:
    """A scan or a mask in space. Points are (x, y, z); shapes, spacings and sizes are (z, y, x), like the array.

    Parameters
    ----------
    array : ndarray, shape (z, y, x)
        float32, int16 or uint8; a mask is uint8 in {0, 1}.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) to LPS mm (x to the patient's left, y to the back, z to the head); integer indices are
        voxel centres, so voxel k covers [k - 0.5, k + 0.5).
    modality : str
        "CT", "PT".
    unit : {"HU", "SUVbw", "mask"}
        What a value means.
    frame_of_reference : str, optional
        DICOM's FrameOfReferenceUID: mm of two volumes can be compared if they share it. None where unknown.
    series_uid : str, optional
        SeriesInstanceUID that the values come from, or that a mask was drawn on.

    Raises
    ------
    ScanError
        If the array is not 3-D, its dtype or unit is unknown, or the affine's axes are not at right angles.
    """

    array: np.ndarray
    affine: np.ndarray
    modality: str = "CT"
    unit: str = "HU"
    frame_of_reference: str | None = None
    series_uid: str | None = None

    def __post_init__(self) -> None:
        if self.array.ndim != 3 or not self.array.size:
            raise ScanError("not a volume", expected="an array (z, y, x)", got=f"shape {self.array.shape}")
        if self.unit not in UNITS:
            raise ScanError("unknown unit", expected=", ".join(UNITS), got=self.unit)
        if self.array.dtype == bool:
            object.__setattr__(self, "array", self.array.astype(np.uint8))
        if self.array.dtype not in _DTYPES:
            raise ScanError("unknown dtype", expected="float32, int16 or uint8", got=self.array.dtype)
        affine = np.array(self.affine, dtype=np.float64)
        object.__setattr__(self, "affine", affine)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], [0, 0, 0, 1]):
            raise ScanError(
                "not an affine", expected="4 x 4, last row 0 0 0 1", got=np.array2string(affine, precision=3)
            )
        size = np.linalg.norm(affine[:3, :3], axis=0)
        if not size.all():
            raise ScanError("a voxel without extent", expected="spacing above 0 mm", got=f"{size} mm (x, y, z)")
        cosines = affine[:3, :3] / size
        if np.abs(cosines.T @ cosines - np.eye(3)).max() > 5e-3:
            raise ScanError("axes are not at right angles", hint="was the gantry tilted? resample the scan first")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x), voxels."""
        return self.array.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x), mm."""
        return tuple(float(s) for s in np.linalg.norm(self.affine[:3, :3], axis=0)[::-1])

    @property
    def center_mm(self) -> np.ndarray:
        """Centre of the field of view, LPS mm, shape (3,)."""
        return self.voxel_to_mm((np.array(self.shape[::-1]) - 1) / 2)

    def voxel_to_mm(self, voxel: Sequence[float] | np.ndarray) -> np.ndarray:
        """LPS mm of voxel coordinates (x, y, z), shape (..., 3)."""
        return np.asarray(voxel, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def mm_to_voxel(self, point: Sequence[float] | np.ndarray) -> np.ndarray:
        """Voxel coordinates (x, y, z) of points in LPS mm, shape (..., 3)."""
        return (np.asarray(point, dtype=np.float64) - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def contains(self, point: Sequence[float] | np.ndarray) -> bool:
        """Whether a point in LPS mm lies in the field of view."""
        voxel = self.mm_to_voxel(point)
        return bool(((voxel >= -0.5) & (voxel < np.array(self.shape[::-1]) - 0.5)).all())

    def to_lps(self) -> Volume:
        """The same voxels with axes ordered and turned so that x, y and z run (nearly) along +L, +P and +S."""
        order, flip, affine = lps_axes(self.affine, self.shape)
        if order == [0, 1, 2] and not any(flip):
            return self
        array = self.array.transpose(order)[tuple(slice(None, None, -1 if f else 1) for f in flip)]
        return replace(self, array=np.ascontiguousarray(array), affine=affine)

    def on_grid(self, affine: np.ndarray, shape: tuple[int, int, int], *, fill: float | None = None) -> Volume:
        """Sampled on another grid, linearly with anti-aliasing; HU below -1024 count as -1024.

        A mask keeps the voxels that it fills most, as many as make up its volume.

        Parameters
        ----------
        affine, shape
            Of the new grid, as in a Volume.
        fill : float, optional
            Value outside the field of view; default -1000 for HU, else 0. Outside a mask it is always 0.
        """
        source = self.to_lps()
        shape = tuple(int(n) for n in shape)
        to_voxel = np.linalg.inv(source.affine) @ affine  # new voxel (x, y, z) -> old voxel (x, y, z)
        matrix, offset = to_voxel[2::-1, 2::-1], to_voxel[2::-1, 3]
        fill = UNITS[self.unit] if fill is None else fill
        if self.unit == "mask":
            array = sample_mask(source.array, matrix, offset, shape)
        else:
            array = sample(source.array, matrix, offset, shape, fill=fill, floor=_FLOOR.get(self.unit))
        return replace(self, array=array, affine=affine)

    def like(self, reference: Volume, *, fill: float | None = None) -> Volume:
        """Sampled on the grid of another volume; see `on_grid`."""
        return self.on_grid(reference.affine, reference.shape, fill=fill)

    def resample(self, spacing: float | Sequence[float]) -> Volume:
        """The whole field of view at another spacing (z, y, x) in mm, in LPS orientation.

        The centre stays where it is; the extent changes by less than half a new voxel on each side.
        """
        source = self.to_lps()
        new = _three(spacing, "spacing")
        shape = np.maximum(np.floor(np.array(source.shape) * source.spacing / new + 0.5), 1).astype(int)
        direction = source.affine[:3, :3] / source.spacing[::-1]
        return source.on_grid(_centred(direction, source.center_mm, new, shape), shape)

    def resize(self, shape: int | Sequence[int]) -> Volume:
        """The same field of view in another number of voxels (z, y, x), in LPS orientation.

        The extent in mm stays what it is, so the spacing changes, axis by axis: a cube of voxels is seldom one of mm.
        The affine says so, and `like` brings back whatever was predicted on the new grid.
        """
        source = self.to_lps()
        new = np.broadcast_to(np.asarray(shape), 3)
        if not (np.issubdtype(new.dtype, np.integer) and (new > 0).all()):
            raise ScanError("shape out of range", expected="whole numbers of voxels above 0", got=shape)
        spacing = np.array(source.shape) * source.spacing / new
        direction = source.affine[:3, :3] / source.spacing[::-1]
        return source.on_grid(_centred(direction, source.center_mm, spacing, new), new)

    def crop(
        self,
        center_mm: Sequence[float],
        size_mm: float | Sequence[float],
        spacing: float | Sequence[float] | None = None,
        fill: float | None = None,
    ) -> Volume:
        """A box round a point, with axes along LPS, sampled directly: nothing beyond it is resampled.

        Parameters
        ----------
        center_mm : (x, y, z)
            LPS mm; the centre of the box.
        size_mm : float or (z, y, x)
            Extent, rounded to whole voxels.
        spacing : float or (z, y, x), optional
            New voxel size, mm; default the volume's own.
        fill : float, optional
            Value outside the field of view; default -1000 for HU, else 0.

        Raises
        ------
        ScanError
            If the point lies outside the field of view.
        """
        center = np.asarray(center_mm, dtype=np.float64)
        if center.shape != (3,) or not self.contains(center):
            low, high = self._corners()
            field = ", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high))
            raise ScanError(
                "a point outside the scan",
                expected=f"{field} mm",
                got=np.array2string(center, precision=1, separator=", "),
                hint="points are (x, y, z) in LPS mm; a NIfTI tool's RAS point has the signs of x and y turned",
            )
        new = _three(self.to_lps().spacing if spacing is None else spacing, "spacing")
        shape = np.maximum(np.floor(_three(size_mm, "size_mm") / new + 0.5), 1).astype(int)
        return self.on_grid(_centred(np.eye(3), center, new, shape), shape, fill=fill)

    def crop_box(
        self, box: Sequence[slice], margin_mm: float | Sequence[float] = 0.0, *, fill: float | None = None
    ) -> Volume:
        """The voxels of a half-open box (z, y, x), as they are: nothing is resampled.

        Parameters
        ----------
        box : three slices
            In voxels, such as `bounding_box` gives. Counted from voxel 0 throughout: a start below 0 or a stop beyond
            the last voxel reaches out of the field of view, which is filled.
        margin_mm : float or (z, y, x)
            Added on both sides, rounded up to whole voxels.
        fill : float, optional
            Value outside the field of view; default -1000 for HU, else 0.

        Raises
        ------
        ScanError
            If the box is not three slices of step 1, or holds no voxel; if the margin is negative.
        """
        ends = [(s.start or 0, n if s.stop is None else s.stop, s.step) for s, n in zip(box, self.shape)]
        if len(ends) != 3 or any(stop <= start or step not in (None, 1) for start, stop, step in ends):
            raise ScanError("not a box", expected="three slices, stop above start, step 1", got=tuple(box))
        margin = self._voxels(margin_mm)
        low = np.array([start for start, _, _ in ends]) - margin
        high = np.array([stop for _, stop, _ in ends]) + margin
        fill = UNITS[self.unit] if fill is None else fill
        holds = np.array(fill).astype(self.array.dtype) == fill
        array = np.full(high - low, fill, dtype=self.array.dtype if holds else np.float32)
        inner_low, inner_high = np.clip(low, 0, self.shape), np.clip(high, 0, self.shape)
        there = tuple(slice(a, b) for a, b in zip(inner_low - low, inner_high - low))
        array[there] = self.array[tuple(slice(a, b) for a, b in zip(inner_low, inner_high))]
        affine = self.affine.copy()
        affine[:3, 3] = self.voxel_to_mm(low[::-1])
        return replace(self, array=array, affine=affine)

    def pad(self, margin_mm: float | Sequence[float], *, fill: float | None = None) -> Volume:
        """With a margin in mm (z, y, x) on every side, rounded up to whole voxels; see `crop_box`."""
        return self.crop_box(tuple(slice(0, n) for n in self.shape), margin_mm, fill=fill)

    def volume_ml(self) -> float:
        """Volume of a mask, mL.

        Raises
        ------
        ScanError
            If this is no mask.
        """
        self._expect_mask()
        return float(np.count_nonzero(self.array) * np.prod(self.spacing) / 1000)

    def bounding_box(self) -> tuple[slice, slice, slice]:
        """Half-open (z, y, x) slices that hold all of a mask.

        Raises
        ------
        ScanError
            If this is no mask, or it is empty.
        """
        self._expect_mask()
        box = filled_box(self.array)
        if box is None:
            raise ScanError("an empty mask", expected="at least one voxel")
        return box

    def _voxels(self, margin_mm: float | Sequence[float]) -> np.ndarray:
        margin = np.broadcast_to(np.asarray(margin_mm, dtype=np.float64), 3)
        if not (np.isfinite(margin).all() and (margin >= 0).all()):
            raise ScanError("margin_mm out of range", expected="mm, 0 or above", got=margin_mm)
        return np.ceil(margin / self.spacing - 1e-9).astype(int)

    def _expect_mask(self) -> None:
        if self.unit != "mask":
            raise ScanError("not a mask", expected="unit mask", got=self.unit)

    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        sides = [(-0.5, n - 0.5) for n in self.shape[::-1]]
        corners = self.voxel_to_mm(np.array(np.meshgrid(*sides)).reshape(3, -1).T)
        return corners.min(axis=0), corners.max(axis=0)

    def __repr__(self) -> str:
        size, mm = (" x ".join(f"{v:.4g}" for v in values) for values in (self.shape, self.spacing))
        return f"Volume({self.modality} in {self.unit}, {size} voxels of {mm} mm (z, y, x))"


def lps_axes(affine: np.ndarray, shape: Sequence[int]) -> tuple[list[int], list[bool], np.ndarray]:
    """How an array's axes are turned so that x, y and z run (nearly) along +L, +P and +S.

    Parameters
    ----------
    affine, shape
        Of the array, as in a Volume.

    Returns
    -------
    order : list of int
        For `array.transpose`.
    flip : list of bool
        Which of the transposed axes to flip.
    affine : ndarray, shape (4, 4)
        Of the turned array.
    """
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    _, source = linear_sum_assignment(-np.abs(cosines))  # world axis i is voxel axis source[i]
    flip = [bool(cosines[i, s] < 0) for i, s in enumerate(source)]
    last = np.where(flip, np.array(shape)[::-1][source] - 1, 0)
    turned = affine.copy()
    turned[:3, :3] = affine[:3, source] * np.where(flip, -1, 1)
    turned[:3, 3] -= turned[:3, :3] @ last
    return [int(2 - s) for s in source[::-1]], flip[::-1], turned


def _three(value: float | Sequence[float], name: str) -> np.ndarray:
    out = np.broadcast_to(np.asarray(value, dtype=np.float64), 3)
    if not (np.isfinite(out).all() and (out > 0).all()):
        raise ScanError(f"{name} out of range", expected="mm above 0", got=value)
    return out


def _centred(direction: np.ndarray, center: np.ndarray, spacing: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Affine of a grid of `shape` and `spacing` (z, y, x) round `center`, with axes along `direction`'s columns."""
    affine = np.eye(4)
    affine[:3, :3] = direction * spacing[::-1]
    affine[:3, 3] = center - affine[:3, :3] @ ((np.asarray(shape)[::-1] - 1) / 2)
    return affine
