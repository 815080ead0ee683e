"""Part of the patient that a mask covers: its volume, its centre of mass, and its box."""

from __future__ import annotations

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.affine import corners
from mmfusion.imaging.grid import Grid
from mmfusion.imaging.sampling import filled_box


class Covered(Grid):
    """Measures of a mask, for a class that has an `array`, an `affine` and a `unit`.

    `center_mm` is the centre of the whole grid, also of a mask. `centroid_mm` and `bounding_box_mm` say where
    the voxels lie that the mask covers.

    Attributes
    ----------
    unit : str
        "mask" for a mask. The measures of any other unit are an error.

    Examples
    --------
    >>> class Mask(Covered):
    ...     array, affine, unit = np.zeros((10, 20, 20), np.uint8), np.diag([1.0, 1.0, 2.0, 1.0]), "mask"
    >>> mask = Mask()
    >>> mask.array[2:4, 5:8, 10:12] = 1
    >>> mask.center_mm.tolist(), mask.centroid_mm.tolist(), mask.volume_ml()
    ([9.5, 9.5, 9.0], [10.5, 6.0, 5.0], 0.024)
    >>> lower, upper = mask.bounding_box_mm()
    >>> lower.tolist(), upper.tolist()
    ([9.5, 4.5, 3.0], [11.5, 7.5, 7.0])
    """

    unit: str

    @property
    def centroid_mm(self) -> np.ndarray:
        """Centre of mass of the voxels that a mask covers, LPS mm, shape (3,).

        It need not lie within the mask: the centroid of a shell lies in its hollow.

        Raises
        ------
        ScanError
            If the unit is not "mask", or the mask is empty.

        Examples
        --------
        >>> from mmfusion.imaging import Volume
        >>> array = np.zeros((8, 8, 8), np.uint8)
        >>> array[1, 2, 3:5] = 1
        >>> mask = Volume(array, np.eye(4), unit="mask")
        >>> mask.centroid_mm, mask.center_mm
        (array([3.5, 2. , 1. ]), array([3.5, 3.5, 3.5]))
        """
        box = self.bounding_box()
        covered = self.array[box] != 0
        n = np.count_nonzero(covered)
        voxel = [
            np.count_nonzero(covered, axis=tuple({0, 1, 2} - {axis})) @ np.arange(s.start, s.stop) / n
            for axis, s in enumerate(box)
        ]
        return self.voxel_to_mm(voxel[::-1])

    def bounding_box(self) -> tuple[slice, slice, slice]:
        """Return the half-open slices (z, y, x) of the smallest box of voxels that contains a mask.

        Raises
        ------
        ScanError
            If the unit is not "mask", or the mask is empty.

        Examples
        --------
        >>> from mmfusion.imaging import Volume
        >>> array = np.zeros((8, 8, 8), np.uint8)
        >>> array[1, 2, 3:5] = 1
        >>> Volume(array, np.eye(4), unit="mask").bounding_box()
        (slice(1, 2, None), slice(2, 3, None), slice(3, 5, None))
        """
        self._expect_mask()
        box = filled_box(self.array)
        if box is None:
            raise ScanError("an empty mask", expected="at least one voxel")
        return box

    def bounding_box_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and the upper corner (x, y, z) of the box that contains a mask, LPS mm.

        The box contains whole voxels, from edge to edge. Its sides run along L, P and S. If the axes of the
        voxels are tilted, it contains the tilted box of `bounding_box`.

        Raises
        ------
        ScanError
            If the unit is not "mask", or the mask is empty.

        Examples
        --------
        >>> from mmfusion.imaging import Volume
        >>> array = np.zeros((8, 8, 8), np.uint8)
        >>> array[1, 2, 3:5] = 1
        >>> Volume(array, np.diag([1.0, 1.0, 2.0, 1.0]), unit="mask").bounding_box_mm()
        (array([2.5, 1.5, 1. ]), array([4.5, 2.5, 3. ]))
        """
        box = self.bounding_box()
        low, high = ([getattr(s, end) - 0.5 for s in box[::-1]] for end in ("start", "stop"))
        ends = self.voxel_to_mm(corners(low, high).T)
        return ends.min(axis=0), ends.max(axis=0)

    def volume_ml(self) -> float:
        """Return the volume of a mask in mL.

        Raises
        ------
        ScanError
            If the unit is not "mask".

        Examples
        --------
        >>> from mmfusion.imaging import Volume
        >>> Volume(np.ones((10, 10, 10), np.uint8), np.eye(4), unit="mask").volume_ml()
        1.0
        """
        self._expect_mask()
        return float(np.count_nonzero(self.array) * np.prod(self.spacing) / 1000)

    def _expect_mask(self) -> None:
        if self.unit != "mask":
            raise ScanError("not a mask", expected="a Volume of unit mask", got=self.unit)
