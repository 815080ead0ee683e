"""Prediction of a whole image by overlapping windows: volumes, slices, and slabs of slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.training.devices import on_device

Intensity = Callable[[np.ndarray], np.ndarray]
_SLICES = 8  # slices of a volume that are predicted together


def predict_volume(
    module: nn.Module,
    image: np.ndarray,
    size: Sequence[int],
    *,
    intensity: Intensity | None = None,
    output: str = "mask",
    overlap: float = 0.5,
    batch_size: int = 4,
    device: str = "cpu",
    cue: np.ndarray | None = None,
    slab: int = 0,
    flips: bool = False,
) -> np.ndarray:
    """Return the output of a network for a whole image, from overlapping windows.

    Where windows overlap, the result is a weighted mean. The weight of a window is largest at its centre.

    Parameters
    ----------
    module : nn.Module
        Network that maps windows (b, c, *size) to a tensor, or a dict of tensors, with the same sides.
    image : ndarray, shape (*space) or (c, *space)
        Image of any size with two or three axes in space.
    size : sequence of int
        Sides of a window in voxels. If it has two sides and the image is a volume, the slices along the first
        axis are predicted one by one.
    intensity : callable, optional
        Same function as for `PatchDataset`.
    output : str
        Name of the output, if the network returns a dict.
    overlap : float in [0, 1)
        Share of a window that the next window overlaps.
    batch_size : int
        Number of windows per batch.
    device : str
        torch device. If the machine does not have it, the CPU is used.
    cue : ndarray, shape (*space), optional
        Region in which the lesion lies, 0 to 1. Its windows are passed to the network as `cue`.
    slab : int
        Number of slices that the network reads for one slice of the output, that slice included; odd. Its
        windows are (b, c, slab, y, x), and its output is that of the slice in the middle. Beyond the ends of
        the volume, the last slice is repeated. 0: the network reads single slices or volumes.
    flips : bool
        Return the mean over the outputs for the windows and for their mirror images along all axes of `size`.

    Returns
    -------
    ndarray of float32, shape (k, *space)
        One channel per output channel of the network.

    Raises
    ------
    DataError
        If image, cue and window do not fit each other.

    Examples
    --------
    >>> predict_volume(nn.Identity(), np.ones((3, 16, 16), np.float32), size=(8, 8)).shape
    (1, 3, 16, 16)
    """
    image = with_channel(image, len(size))
    if cue is not None and cue.shape != image.shape[1:]:
        raise DataError("image and cue differ in shape", expected=image.shape[1:], got=cue.shape)
    windows = {"roi_size": tuple(size), "sw_batch_size": batch_size, "overlap": overlap}
    infer = SlidingWindowInferer(**windows, mode="gaussian", padding_mode="replicate")
    flat = image.ndim - 1 > len(size)
    axes = range(-len(size), 0)
    mirrored = [a for k in range(len(size) + 1) for a in combinations(axes, k)] if flips else [()]
    with on_device(module, device) as target:

        def network(x: torch.Tensor) -> torch.Tensor:
            x = x.to(target)
            total = sum(
                _output(module, x.flip(a), output, has_cue=cue is not None, slab=slab).flip(a)
                for a in mirrored
            )
            return (total / len(mirrored)).cpu()

        if not flat:
            return infer(_inputs(image, cue, intensity)[None], network)[0].numpy()
        parts = []
        for start in range(0, image.shape[1], _SLICES):
            near = slices_around(range(start, min(start + _SLICES, image.shape[1])), slab, image.shape[1])
            x = _inputs(image[:, near.ravel()], None, intensity)
            x = x.unflatten(1, near.shape).transpose(0, 1).flatten(1, 2)  # (slices, c * slab, y, x)
            if cue is not None:
                middle = torch.from_numpy(np.asarray(cue[near[:, slab // 2]], dtype=np.float32))
                x = torch.cat([x, middle[:, None]], dim=1)
            parts.append(infer(x, network))
        return torch.cat(parts).transpose(0, 1).numpy()


def slices_around(middle: Sequence[int], slab: int, n: int) -> np.ndarray:
    """Return the indices of the slices of each slab; beyond the ends of the volume, the last one is repeated.

    Parameters
    ----------
    middle : sequence of int
        Index of the slice in the middle of each slab.
    slab : int
        Number of slices in a slab, odd; 0 is as 1.
    n : int
        Number of slices of the volume.

    Returns
    -------
    ndarray of int, shape (len(middle), slab or 1)

    Examples
    --------
    >>> slices_around([0, 3], 3, 4).tolist()
    [[0, 0, 1], [2, 3, 3]]
    """
    half = slab // 2
    return np.clip(np.asarray(middle)[:, None] + np.arange(-half, half + 1), 0, n - 1)


def with_channel(image: np.ndarray, n_sides: int) -> np.ndarray:
    """Return an image with a channel axis, shape (c, *space).

    Three axes are a volume (z, y, x). A 2-D image with channels must therefore have the shape (c, 1, y, x).

    Parameters
    ----------
    image : ndarray, shape (*space) or (c, *space)
        Image.
    n_sides : int
        Number of sides of a patch: 2 for images, or for volumes that are read by slices; 3 for volumes.

    Raises
    ------
    DataError
        If the number of axes does not fit.

    Examples
    --------
    >>> with_channel(np.zeros((4, 8, 8)), 3).shape
    (1, 4, 8, 8)
    """
    allowed = {2: (2, 3, 4), 3: (3, 4)}.get(n_sides, ())
    if image.ndim not in allowed:
        raise DataError(
            "image and patch do not fit each other",
            expected="two sides for images and slices, three for volumes",
            got=f"{image.ndim} axes, {n_sides} sides",
        )
    return image if image.ndim == 4 else image[None]


def _inputs(image: np.ndarray, cue: np.ndarray | None, intensity: Intensity | None) -> torch.Tensor:
    """Return the channels of an image, with its cue as the last one, as a float32 tensor."""
    values = np.asarray(image if intensity is None else intensity(image))
    out = np.empty((len(values) + (cue is not None), *values.shape[1:]), dtype=np.float32)
    out[: len(values)] = values
    if cue is not None:
        out[-1] = cue
    return torch.from_numpy(out)


def _output(
    module: nn.Module, window: torch.Tensor, output: str, *, has_cue: bool, slab: int
) -> torch.Tensor:
    """Return the output for windows whose channels are c * slab slices, and the cue as the last one."""
    options = {"cue": window[:, -1:]} if has_cue else {}
    window = window[:, :-1] if has_cue else window
    result = module(window.unflatten(1, (-1, slab)) if slab else window, **options)
    return (result[output] if isinstance(result, Mapping) else result).float()
