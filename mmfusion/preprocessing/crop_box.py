"""The box of a scan that a network reads: around a point, or around the lungs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfusion.imaging.lungs import lung_field
from mmfusion.imaging.volume import Volume

_MARGIN_MM = 10.0  # around the lungs


def crop_box(
    scan: Volume, center_mm: Sequence[float] | None, side: int, spacing: float, mode: str
) -> tuple[Sequence[float], np.ndarray]:
    """Return the centre (x, y, z) and the size (z, y, x) of the crop of a scan, LPS mm.

    Parameters
    ----------
    scan : Volume
        CT or PET.
    center_mm : (x, y, z), optional
        Centre of the cube, LPS mm. Default: for a CT the centre of the lung field, or of the scan if no lung
        is found; for a PET the middle of the scan. In mode "lung" it must be None.
    side : int
        Number of voxels along an edge of the cube.
    spacing : float
        Voxel size, mm; not used in mode "lung".
    mode : {"tumour", "lung"}
        "lung": the box around both lungs with a margin of 10 mm (CT only).

    Returns
    -------
    center : (x, y, z)
        Centre, LPS mm.
    size : ndarray, shape (3,)
        Size (z, y, x), mm.

    Examples
    --------
    >>> pet = Volume(np.zeros((4, 4, 4), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]), "PT", "SUVbw")
    >>> center, size = crop_box(pet, None, side=8, spacing=3.0, mode="tumour")
    >>> [float(v) for v in center], size.tolist()
    ([3.0, 3.0, 3.0], [24.0, 24.0, 24.0])
    """
    size = np.full(3, side * spacing)
    if center_mm is not None:
        return center_mm, size
    if scan.unit != "HU":
        return scan.center_mm, size
    field = lung_field(scan, _MARGIN_MM)
    return field.center_mm, field.size_mm if mode == "lung" else size
