"""Volume: an array with its position in the patient, its modality and its unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.account import Account
from mmfusion.imaging.affine import centered, checked_affine, corners, directions, lps_axes
from mmfusion.imaging.covered import Covered
from mmfusion.imaging.grid import three
from mmfusion.imaging.hu import PADDING_HU
from mmfusion.imaging.sampling import cut, sample, sample_mask
from mmfusion.limits import check_memory
from mmfusion.modalities import BY_UNIT

UNITS = {
    **{unit: m.outside for unit, m in BY_UNIT.items()},
    "mask": 0.0,
    "probability": 0.0,
}  # unit -> value outside the field of view
_FLOOR = {
    "HU": PADDING_HU
}  # unit -> lowest value; lower values (such as -3024) are air and are replaced first
_KINDS = {
    **{unit: f"a {m.title}" for unit, m in BY_UNIT.items()},
    "mask": "a mask",
    "probability": "a map of probabilities",
}
_DTYPES = (np.float32, np.int16, np.uint8)


@dataclass(frozen=True, eq=False, repr=False)
class Volume(Covered):
    """Scan or mask with its position in the patient.

    Points are (x, y, z). Shapes, spacings and sizes are (z, y, x), like the array. `center_mm` is the centre
    of the whole grid, also of a mask; the region that a mask covers lies around `centroid_mm`, in the box
    `bounding_box_mm()`.

    Parameters
    ----------
    array : ndarray, shape (z, y, x)
        float32, int16 or uint8. A mask is uint8 in {0, 1}.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) to LPS mm (x to the patient's left, y to the back, z to the head). Integer indices are
        voxel centres: voxel k covers [k - 0.5, k + 0.5).
    modality : str
        "CT" or "PT".
    unit : {"HU", "SUVbw", "mask", "probability"}
        Unit of the values.
    frame_of_reference : str, optional
        DICOM FrameOfReferenceUID. Points in mm of two volumes can be compared if they share it. None if
        unknown.
    series_uid : str, optional
        SeriesInstanceUID of the scan, or of the scan that a mask was drawn on. None if unknown.
    source : Account, optional
        How many files of DICOM were given and used, and which were left out and why. None if it is not from
        DICOM.
    provenance : str, optional
        How the volume was made, if that must be known where it is used: a mask that a network predicted with
        a box around the true lesion has "oracle".

    Raises
    ------
    ScanError
        If the array is not 3-D, its dtype or unit is unknown, or the affine's axes are not at right angles.

    Examples
    --------
    >>> scan = Volume(np.zeros((4, 6, 6), dtype=np.int16), np.diag([1.0, 1.0, 2.0, 1.0]))
    >>> scan
    Volume(CT in HU, 4 x 6 x 6 voxels of 2 x 1 x 1 mm (z, y, x))
    >>> scan.resample(2).shape
    (4, 3, 3)
    >>> scan.crop(center_mm=(2.5, 2.5, 3.0), size_mm=4).array.max()
    np.float32(0.0)
    """

    array: np.ndarray
    affine: np.ndarray
    modality: str = "CT"
    unit: str = "HU"
    frame_of_reference: str | None = None
    series_uid: str | None = None
    source: Account | None = field(default=None, compare=False)
    provenance: str | None = None

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

    def expect(self, unit: str, column: str | None = None, **where: object) -> None:
        """Raise a ScanError if the values are not in this unit, or not of its modality.

        `column` and `where` say where the volume is from, such as `patient`; see `MMFusionError`.
        """
        where, expected = {"column": column, **where}, f"a Volume of unit {unit}"
        if self.unit != unit:
            raise ScanError(f"not {_KINDS[unit]}", **where, expected=expected, got=self.unit)
        if unit in BY_UNIT and self.modality != BY_UNIT[unit].dicom:
            expected, got = f"{expected} and modality {BY_UNIT[unit].dicom}", f"modality {self.modality}"
            raise ScanError(f"not {_KINDS[unit]}", **where, expected=expected, got=got)

    def to_lps(self) -> Volume:
        """Return the same voxels with axes transposed and flipped to run (nearly) along +L, +P and +S."""
        order, flip, affine = lps_axes(self.affine, self.shape)
        if order == [0, 1, 2] and not any(flip):
            return self
        array = self.array.transpose(order)[tuple(slice(None, None, -1 if f else 1) for f in flip)]
        return replace(self, array=np.ascontiguousarray(array), affine=affine)

    def on_grid(
        self, affine: np.ndarray, shape: tuple[int, int, int], *, fill: float | None = None
    ) -> Volume:
        """Return the volume sampled on another grid, linearly and with anti-aliasing.

        HU below -1024 are first replaced by -1024. Of a mask, the voxels that it fills most are kept, so that
        its volume stays the same; see `mmfusion.imaging.sampling.fullest`.

        Parameters
        ----------
        affine : ndarray, shape (4, 4)
            Affine of the new grid.
        shape : (z, y, x)
            Number of voxels of the new grid.
        fill : float, optional
            Value outside the field of view; default -1000 for HU, else 0. Outside a mask it is always 0.

        Raises
        ------
        ScanError
            If the new grid needs more memory than the limit (`mmfusion.limits`).
        """
        source = self.to_lps()
        shape = tuple(int(n) for n in shape)
        check_memory(4.0 * math.prod(shape), "the sampled box", error=ScanError)
        to_voxel = np.linalg.inv(source.affine) @ affine  # new voxel (x, y, z) -> old voxel (x, y, z)
        matrix, offset = to_voxel[2::-1, 2::-1], to_voxel[2::-1, 3]
        fill = UNITS[self.unit] if fill is None else fill
        if self.unit == "mask":
            array = sample_mask(source.array, matrix, offset, shape)
        else:
            array = sample(source.array, matrix, offset, shape, fill=fill, floor=_FLOOR.get(self.unit))
        return replace(self, array=array, affine=affine)

    def like(self, reference: Volume, *, fill: float | None = None) -> Volume:
        """Return the volume sampled on the grid of another volume; see `on_grid`."""
        return self.on_grid(reference.affine, reference.shape, fill=fill)

    def resample(self, spacing: float | Sequence[float]) -> Volume:
        """Return the whole field of view with another spacing (z, y, x) in mm, in LPS orientation.

        The centre stays the same. The extent changes by less than half a new voxel on each side.
        """
        source = self.to_lps()
        new = three(spacing, "spacing")
        shape = np.maximum(np.floor(np.array(source.shape) * source.spacing / new + 0.5), 1).astype(int)
        return source.on_grid(centered(directions(source.affine), source.center_mm, new, shape), shape)

    def resize(self, shape: int | Sequence[int]) -> Volume:
        """Return the same field of view with another number of voxels (z, y, x), in LPS orientation.

        The extent in mm stays the same, so that the spacing changes, and differs between the axes. The affine
        contains the new spacing. `like` brings a prediction on the new grid back to the old grid.
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
        """Return a resampled box around a point, with axes along LPS; only the box is computed.

        Parameters
        ----------
        center_mm : (x, y, z)
            Centre of the box, LPS mm.
        size_mm : float or (z, y, x)
            Size of the box in mm, rounded to whole voxels.
        spacing : float or (z, y, x), optional
            New voxel size, mm. Default: the volume's spacing.
        fill : float, optional
            Value outside the field of view; default -1000 for HU, else 0.

        Raises
        ------
        ScanError
            If the point lies outside the field of view.
        """
        center = self.expect_inside(center_mm)
        new = three(self.to_lps().spacing if spacing is None else spacing, "spacing")
        shape = np.maximum(np.floor(three(size_mm, "size_mm") / new + 0.5), 1).astype(int)
        return self.on_grid(centered(np.eye(3), center, new, shape), shape, fill=fill)

    def around(self, center_mm: Sequence[float], size_mm: float | Sequence[float]) -> Volume:
        """Return the voxels in a box around a point and the voxels next to it, without resampling.

        Parameters
        ----------
        center_mm : (x, y, z)
            Centre of the box, LPS mm.
        size_mm : float or (z, y, x)
            Size of the box along LPS, mm. Parts beyond the field of view are left out.

        Raises
        ------
        ScanError
            If the point lies outside the field of view.
        """
        center, half = self.expect_inside(center_mm), three(size_mm, "size_mm", zero=True)[::-1] / 2
        voxels = self.mm_to_voxel(corners(-half, half).T + center)[:, ::-1]
        low = np.maximum(np.floor(voxels.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(voxels.max(axis=0)).astype(int) + 1, self.shape)
        return self.crop_box([slice(a, b) for a, b in zip(low, high)])

    def crop_box(
        self, box: Sequence[slice], margin_mm: float | Sequence[float] = 0.0, *, fill: float | None = None
    ) -> Volume:
        """Return the voxels of a half-open box (z, y, x), without resampling.

        Parameters
        ----------
        box : three slices
            In voxels, as `bounding_box` returns them. Negative numbers do not count from the end: a start
            below 0 or a stop beyond the last voxel lies outside the field of view, which is filled with
            `fill`.
        margin_mm : float or (z, y, x)
            Added on both sides in mm, rounded up to whole voxels.
        fill : float, optional
            Value outside the field of view; default -1000 for HU, else 0.

        Raises
        ------
        ScanError
            If the box is not three slices of step 1, or contains no voxel; if the margin is negative.
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
        """Return the volume with a margin in mm (z, y, x) on every side, in whole voxels; see `crop_box`."""
        return self.crop_box(tuple(slice(0, n) for n in self.shape), margin_mm, fill=fill)

    def _voxels(self, margin_mm: float | Sequence[float]) -> np.ndarray:
        return np.ceil(three(margin_mm, "margin_mm", zero=True) / self.spacing - 1e-9).astype(int)

    def _repr_html_(self) -> str:
        from mmfusion.imaging.views.card import volume_card  # loads matplotlib

        return volume_card(self)

    def __repr__(self) -> str:
        size, mm = (" x ".join(f"{v:.4g}" for v in values) for values in (self.shape, self.spacing))
        what = self.unit if self.unit == "mask" else f"{self.modality} in {self.unit}"
        return f"Volume({what}, {size} voxels of {mm} mm (z, y, x))"
