"""The volume: an array that knows where it lies in the patient, and what its numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.affine import centered, checked_affine, corners, directions, lps_axes, spacing_of
from mmfusion.imaging.hu import PADDING_HU
from mmfusion.imaging.sampling import cut, filled_box, sample, sample_mask
from mmfusion.modalities import BY_UNIT

UNITS = {
    **{unit: m.outside for unit, m in BY_UNIT.items()},
    "mask": 0.0,
}  # unit -> value outside the field of view
_FLOOR = {
    "HU": PADDING_HU
}  # unit -> what anything lower counts as: -3024 and the like are air, and must not bleed
_KINDS = {**{unit: f"a {m.title}" for unit, m in BY_UNIT.items()}, "mask": "a mask"}
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
        object.__setattr__(self, "affine", checked_affine(self.affine))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x), voxels."""
        return self.array.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x), mm."""
        return spacing_of(self.affine)

    @property
    def center_mm(self) -> np.ndarray:
        """Centre of the field of view, LPS mm, shape (3,)."""
        return self.voxel_to_mm((np.array(self.shape[::-1]) - 1) / 2)

    def voxel_to_mm(self, voxel: Sequence[float] | np.ndarray) -> np.ndarray:
        """LPS mm of voxel coordinates (x, y, z), shape (..., 3)."""
        return np.asarray(voxel, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def mm_to_voxel(self, point: Sequence[float] | np.ndarray) -> np.ndarray:
        """Voxel coordinates (x, y, z) of points in LPS mm, shape (..., 3)."""
        return (np.asarray(point, dtype=np.float64) - self.affine[:3, 3]) @ np.linalg.inv(
            self.affine[:3, :3]
        ).T

    def contains(self, point: Sequence[float] | np.ndarray) -> bool:
        """Whether a point in LPS mm lies in the field of view."""
        voxel = self.mm_to_voxel(point)
        return bool(((voxel >= -0.5) & (voxel < np.array(self.shape[::-1]) - 0.5)).all())

    def expect_inside(self, point_mm: Sequence[float] | np.ndarray) -> np.ndarray:
        """The point (x, y, z), LPS mm, in float64, shape (3,); a ScanError unless it lies in the field of view."""
        point = np.asarray(point_mm, dtype=np.float64)
        if point.shape != (3,) or not self.contains(point):
            ends = self.voxel_to_mm(corners([-0.5] * 3, np.array(self.shape[::-1]) - 0.5).T)
            field = zip("xyz", ends.min(axis=0), ends.max(axis=0))
            raise ScanError(
                "a point outside the scan",
                expected=", ".join(f"{axis} {low:.0f} to {high:.0f}" for axis, low, high in field) + " mm",
                got=np.array2string(point, precision=1, separator=", "),
                hint="points are (x, y, z) in LPS mm; a NIfTI tool's RAS point has the signs of x and y turned",
            )
        return point

    def expect(self, unit: str, name: str | None = None) -> None:
        """Raise a ScanError, which says `name`, unless the values are in this unit."""
        if self.unit != unit:
            raise ScanError(
                f"not {_KINDS[unit]}", column=name, expected=f"a Volume of unit {unit}", got=self.unit
            )

    def to_lps(self) -> Volume:
        """The same voxels with axes ordered and turned so that x, y and z run (nearly) along +L, +P and +S."""
        order, flip, affine = lps_axes(self.affine, self.shape)
        if order == [0, 1, 2] and not any(flip):
            return self
        array = self.array.transpose(order)[tuple(slice(None, None, -1 if f else 1) for f in flip)]
        return replace(self, array=np.ascontiguousarray(array), affine=affine)

    def on_grid(
        self, affine: np.ndarray, shape: tuple[int, int, int], *, fill: float | None = None
    ) -> Volume:
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
        return source.on_grid(centered(directions(source.affine), source.center_mm, new, shape), shape)

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
        return source.on_grid(centered(directions(source.affine), source.center_mm, spacing, new), new)

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
        center = self.expect_inside(center_mm)
        new = _three(self.to_lps().spacing if spacing is None else spacing, "spacing")
        shape = np.maximum(np.floor(_three(size_mm, "size_mm") / new + 0.5), 1).astype(int)
        return self.on_grid(centered(np.eye(3), center, new, shape), shape, fill=fill)

    def around(self, center_mm: Sequence[float], size_mm: float | Sequence[float]) -> Volume:
        """The voxels in a box round a point, and those next to it, as they are: nothing is resampled.

        Parameters
        ----------
        center_mm : (x, y, z)
            LPS mm.
        size_mm : float or (z, y, x)
            Extent of the box along LPS; what of it lies beyond the field of view is left out.

        Raises
        ------
        ScanError
            If the point lies outside the field of view.
        """
        center, half = self.expect_inside(center_mm), _three(size_mm, "size_mm", zero=True)[::-1] / 2
        voxels = self.mm_to_voxel(corners(-half, half).T + center)[:, ::-1]
        low = np.maximum(np.floor(voxels.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(voxels.max(axis=0)).astype(int) + 1, self.shape)
        return self.crop_box([slice(a, b) for a, b in zip(low, high)])

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
        affine = self.affine.copy()
        affine[:3, 3] = self.voxel_to_mm(low[::-1])
        return replace(self, array=cut(self.array, low, high, fill), affine=affine)

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
        self.expect("mask")
        return float(np.count_nonzero(self.array) * np.prod(self.spacing) / 1000)

    def bounding_box(self) -> tuple[slice, slice, slice]:
        """Half-open (z, y, x) slices that hold all of a mask.

        Raises
        ------
        ScanError
            If this is no mask, or it is empty.
        """
        self.expect("mask")
        box = filled_box(self.array)
        if box is None:
            raise ScanError("an empty mask", expected="at least one voxel")
        return box

    def _voxels(self, margin_mm: float | Sequence[float]) -> np.ndarray:
        return np.ceil(_three(margin_mm, "margin_mm", zero=True) / self.spacing - 1e-9).astype(int)

    def __repr__(self) -> str:
        size, mm = (" x ".join(f"{v:.4g}" for v in values) for values in (self.shape, self.spacing))
        return f"Volume({self.modality} in {self.unit}, {size} voxels of {mm} mm (z, y, x))"


def _three(value: float | Sequence[float], name: str, *, zero: bool = False) -> np.ndarray:
    out = np.broadcast_to(np.asarray(value, dtype=np.float64), 3)
    if not (np.isfinite(out).all() and ((out >= 0) if zero else (out > 0)).all()):
        raise ScanError(
            f"{name} out of range", expected="mm, 0 or above" if zero else "mm above 0", got=value
        )
    return out
