"""nnU-Net's rules: target spacing, patch size and depth of a U-Net, from the scans of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmfusion.errors import DataError

ANISOTROPIC = 3  # an axis is coarse if its voxels are more than 3 times as long as those of the others
MIN_SIDE = 4  # no feature map gets shorter than this
LEAST_LEVELS = 3
BATCH = 2  # smallest batch
SHARE_OF_COHORT = 0.05  # largest share of the cohort's voxels in one batch
# values of the feature maps of one patch: what nnU-Net allows for a GPU of 11 GB and a batch of two
BUDGET = 5.2e8 * 32 / 30
FIRST_CHANNELS, MAX_CHANNELS = 32, 320


@dataclass(frozen=True)
class NNUNetPlan:
    """Grid, patches and levels of a 3D U-Net, as nnU-Net plans them; see `nnunet_plan`.

    Parameters
    ----------
    spacing : (z, y, x)
        Voxel size of the patches, mm.
    size : (z, y, x)
        Sides of a patch, voxels.
    strides : sequence of (z, y, x)
        Stride of each level; that of the first level is 1.
    kernels : sequence of (z, y, x)
        Kernel of the convolutions of each level.
    batch_size : int
        Number of patches per batch.

    Examples
    --------
    >>> plan = nnunet_plan([(40, 64, 64)], [(1.0, 1.0, 1.0)])
    >>> plan.size, len(plan.strides), plan.options["channels"]
    ((40, 64, 64), 5, (32, 64, 128, 256, 320))
    """

    spacing: tuple[float, float, float]
    size: tuple[int, int, int]
    strides: tuple[tuple[int, int, int], ...]
    kernels: tuple[tuple[int, int, int], ...]
    batch_size: int

    @property
    def options(self) -> dict[str, object]:
        """Return the options of `ResEncUNet` that build the planned network."""
        return {"channels": _channels(len(self.strides)), "strides": self.strides, "kernels": self.kernels}


def nnunet_plan(
    shapes: Sequence[Sequence[int]], spacings: Sequence[Sequence[float]], *, memory: float = 1.0
) -> NNUNetPlan:
    """Return nnU-Net's plan of a 3D network for a cohort (Isensee et al. 2021, Nature Methods).

    The rules, as published for the "3D full resolution" network:

    1. The target spacing is the median of each axis. If the voxels are more than three times as long along
       the coarsest axis as along the others, and less than a third in number, its spacing is the 10th
       percentile.
    2. The first patch is as large as the median scan at this spacing.
    3. Each level halves all axes that stay at least 4 voxels long. An axis whose voxels are at least twice as
       long as the shortest ones is not halved before the other axes are as coarse. Until then, the kernel
       along this axis is 1, and afterwards 3.
    4. The patch gets smaller, along the axis on which it covers most of the median scan, until the network
       fits the memory.
    5. If memory is left, the batch gets larger than 2, up to 5 % of all voxels of the cohort.

    Parameters
    ----------
    shapes : sequence of (z, y, x)
        Sides of the scans, voxels. Use the scans of the training patients only.
    spacings : sequence of (z, y, x)
        Voxel sizes of the scans, mm.
    memory : float > 0
        Memory as a multiple of nnU-Net's default, which is a GPU of 11 GB.

    Returns
    -------
    NNUNetPlan

    Raises
    ------
    DataError
        If there is no scan, if a shape or spacing is not three positive numbers, or if the scans
        or the memory are too small for three levels.

    Examples
    --------
    >>> plan = nnunet_plan([(252, 512, 512)], [(1.24, 0.785, 0.785)])  # the lungs of MSD Task06
    >>> plan.size, plan.batch_size
    ((80, 192, 160), 2)
    """
    sides, sizes = _checked(shapes, "shapes"), _checked(spacings, "spacings")
    if len(sides) != len(sizes):
        raise DataError("shapes and spacings differ in number", expected=len(sides), got=len(sizes))
    spacing = target_spacing(sides, sizes)
    resampled = np.round(sides * sizes / spacing)
    median = np.median(resampled, axis=0).astype(int)
    size, levels = _fitted(spacing, median, BUDGET * memory)
    per_image = _values(size, levels[0])
    voxels = SHARE_OF_COHORT * resampled.prod(axis=1).sum()
    batch = min(int(BATCH * BUDGET * memory / per_image), round(voxels / np.prod(size)))
    return NNUNetPlan(tuple(spacing.tolist()), size, *levels, batch_size=max(batch, BATCH))


def target_spacing(shapes: np.ndarray, spacings: np.ndarray) -> np.ndarray:
    """Return the spacing to which all scans are resampled, mm, shape (3,).

    Parameters
    ----------
    shapes, spacings : ndarray, shape (scans, 3)
        Sides in voxels, and voxel sizes in mm.

    Examples
    --------
    >>> target_spacing(np.array([[20, 320, 320]] * 2), np.array([[3.0, 0.6, 0.6], [5.0, 0.6, 0.6]]))
    array([3.2, 0.6, 0.6])
    """
    spacing, shape = np.median(spacings, axis=0), np.median(shapes, axis=0)
    coarse = int(np.argmax(spacing))
    others = np.arange(3) != coarse
    coarsest = spacing[others].max()
    if spacing[coarse] > ANISOTROPIC * coarsest and shape[coarse] * ANISOTROPIC < shape[others].min():
        spacing[coarse] = max(np.percentile(spacings[:, coarse], 10), coarsest)
    return spacing


def _checked(rows: Sequence[Sequence[float]], name: str) -> np.ndarray:
    array = np.asarray(rows, dtype=float)
    if array.ndim != 2 or array.shape[1] != 3 or not len(array) or not (array > 0).all():
        expected = "rows of three numbers above 0"
        raise DataError("nnU-Net's rules cannot use this", parameter=name, expected=expected, got=rows)
    return array


def _levels(
    spacing: np.ndarray, size: Sequence[int]
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Return the strides and kernels of all levels for a patch of this size."""
    spacing, size = np.array(spacing, dtype=float), np.array(size)
    strides, kernels, kernel = [(1, 1, 1)], [], np.ones(3, dtype=int)
    while (able := size >= 2 * MIN_SIDE).any():
        halved = able & (spacing < 2 * spacing[able].min())
        if halved.sum() == 1 and size[halved] < 3 * MIN_SIDE:
            break
        kernel = np.where(spacing < 2 * spacing.min(), 3, kernel)  # once 3, it stays 3
        kernels.append(tuple(kernel.tolist()))
        strides.append(tuple(np.where(halved, 2, 1).tolist()))
        size, spacing = np.where(halved, -(-size // 2), size), np.where(halved, 2 * spacing, spacing)
    return tuple(strides), (*kernels, (3, 3, 3))


def _fitted(spacing: np.ndarray, median: np.ndarray, budget: float) -> tuple[tuple[int, ...], tuple]:
    """Return the largest patch that fits the memory, and its levels."""
    size = median.copy()
    while True:
        levels = _levels(spacing, size)
        step = np.prod(levels[0], axis=0)
        size = -(-size // step) * step
        if len(levels[0]) < LEAST_LEVELS:
            raise DataError(
                "a U-Net with three levels does not fit these scans and this memory",
                expected="larger scans, or more memory",
                got=f"median scan {median.tolist()} voxels",
            )
        if _values(size, levels[0]) <= budget:
            return tuple(size.tolist()), levels
        covered = size / median
        axis = max(range(3), key=lambda a: (covered[a], a))
        less = size.copy()
        less[axis] -= step[axis]
        # a shorter patch may have fewer levels, and then it need not be a multiple of the larger step
        size[axis] -= np.prod(_levels(spacing, less)[0], axis=0)[axis]


def _values(size: Sequence[int], strides: Sequence[Sequence[int]]) -> float:
    """Return the number of values of all feature maps: five maps per level, and two at the deepest level."""
    voxels = np.prod(size) / np.cumprod(np.prod(strides, axis=1))
    maps = np.array([5] * (len(strides) - 1) + [2])
    return float((voxels * maps * _channels(len(strides))).sum())


def _channels(n: int) -> tuple[int, ...]:
    return tuple(min(FIRST_CHANNELS * 2**level, MAX_CHANNELS) for level in range(n))
