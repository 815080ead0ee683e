"""Patches of images that lie on disk: a data set for training, and prediction of a whole image window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from monai.data.utils import get_random_patch
from monai.inferers import SliceInferer, SlidingWindowInferer
from monai.transforms.utils import correct_crop_centers
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.training.datasets import as_labels, checksum_tensors
from mmfusion.nn.training.devices import on_device
from mmfusion.nn.training.labels import NO_MASK

Intensity = Callable[[np.ndarray], np.ndarray]
Augment = Callable[[torch.Tensor, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]


class PatchDataset(torch.utils.data.Dataset):
    """Random patches of images and their masks; only the patches are read.

    A batch is `({"x": float32 (b, c, *size)}, {"mask": uint8 (b, 1, *size), ...})`. Positions are drawn from torch's
    global generator.

    Parameters
    ----------
    images : sequence of ndarray, shape (*space) or (c, *space)
        Images of two or three dimensions in space, best memory-mapped (`mmfusion.storage.cache.cached`).
    masks : sequence of ndarray or None, shape (*space)
        What is not 0 is lesion; None where the mask is not known.
    size : sequence of int
        Sides of a patch. Two sides and volumes: axial slices of them.
    per_image : int
        Patches of each image per epoch.
    lesion_share : float in [0, 1]
        Share of the patches that are centred on a voxel of the lesion, where there is one; the others lie anywhere.
    jitter : int
        Voxels by which such a centre is moved at random along each side of the patch, at most.
    centres : sequence of (z, y, x) or None, optional
        Centre of the lesion in voxels, for images without a mask.
    labels : mapping of str to ndarray, first axis images, optional
        Further labels, some of which may be missing (see `mmfusion.nn.training.labels`).
    intensity : callable, optional
        Turns the values of a patch into what the network reads.
    augment : callable, optional
        `augment(x, mask, generator) -> (x, mask)`; see `mmfusion.preprocessing.augmentation.augment_pair`.
    seed : int, optional
        Item k is then the same patch in every epoch, and never augmented: for validation.

    Raises
    ------
    DataError
        If an image and its mask differ in shape, or do not fit `size`; the error says which image.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        size: Sequence[int],
        *,
        per_image: int = 1,
        lesion_share: float = 0.5,
        jitter: int = 0,
        centres: Sequence[Sequence[float] | None] | None = None,
        labels: Mapping[str, np.ndarray] | None = None,
        intensity: Intensity | None = None,
        augment: Augment | None = None,
        seed: int | None = None,
    ) -> None:
        self.images = [with_channel(image, len(size)) for image in images]
        self.masks, self.size = list(masks), tuple(size)
        self.per_image, self.lesion_share, self.jitter = per_image, lesion_share, jitter
        self.labels = as_labels(labels or {})
        self.intensity, self.augment, self.seed = intensity, augment, seed
        if not len(self.images) == len(self.masks) == len(centres or self.masks):
            raise DataError("images, masks and centres are not of the same number",
                            got=f"{len(self.images)}, {len(self.masks)}, {len(centres or [])}")  # fmt: skip
        for k, (image, mask) in enumerate(zip(self.images, self.masks, strict=True)):
            if mask is not None and mask.shape != image.shape[1:]:
                raise DataError(
                    f"image {k} and its mask differ in shape", expected=image.shape[1:], got=mask.shape
                )
        self.lesions = [
            np.empty(0, np.int64) if mask is None else np.flatnonzero(mask) for mask in self.masks
        ]
        self.centres = list(centres or [None] * len(self.images))

    def __len__(self) -> int:
        return len(self.images) * self.per_image

    def __getitems__(self, items: list[int]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        which = [item // self.per_image for item in items]
        if self.seed is None:
            rng = np.random.RandomState(int(torch.randint(2**31, ())))
            pairs = [self._patch(k, rng) for k in which]
        else:
            pairs = [
                self._patch(k, np.random.RandomState((self.seed, item)))
                for k, item in zip(which, items, strict=True)
            ]
        x, mask = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
        if self.augment and self.seed is None:
            generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
            x, mask = self.augment(x, mask, generator)
        index = torch.as_tensor(which)
        return {"x": x}, {"mask": mask, **{name: one[index] for name, one in self.labels.items()}}

    def __getitem__(self, item: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        inputs, labels = self.__getitems__([item])
        return {k: v[0] for k, v in inputs.items()}, {k: v[0] for k, v in labels.items()}

    def fingerprint(self) -> str:
        """Return a checksum of all images, masks and labels."""
        masks = [mask for mask in self.masks if mask is not None]
        return checksum_tensors([*self.images, *masks, *self.labels.values()])

    def _patch(self, k: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        image, mask = self.images[k], self.masks[k]
        flat = image.ndim - 1 > len(self.size)
        size = (1, *self.size) if flat else self.size
        box = self._box(k, image.shape[1:], size, rng)
        values = image[(slice(None), *box)]
        x = np.asarray(values if self.intensity is None else self.intensity(values), dtype=np.float32)
        shape = x.shape[1:]
        known = np.full(shape, NO_MASK, np.uint8) if mask is None else (mask[box] != 0).astype(np.uint8)
        margin = [(0, 0), *((0, want - got) for want, got in zip(size, shape, strict=True))]
        x, known = (np.pad(one, margin, mode="edge") for one in (x, known[None]))
        return (x[:, 0], known[:, 0]) if flat else (x, known)

    def _box(
        self, k: int, shape: tuple[int, ...], size: tuple[int, ...], rng: np.random.RandomState
    ) -> tuple[slice, ...]:
        size = tuple(min(a, b) for a, b in zip(size, shape, strict=True))
        voxels, centre = self.lesions[k], self.centres[k]
        if (not len(voxels) and centre is None) or rng.rand() >= self.lesion_share:
            return get_random_patch(shape, size, rng)
        if len(voxels):
            centre = np.unravel_index(voxels[rng.randint(len(voxels))], shape)
        moved = [round(float(c)) for c in centre]
        for axis in range(len(moved) - len(self.size), len(moved)):  # a slice stays in the lesion
            moved[axis] += rng.randint(-self.jitter, self.jitter + 1)
        middle = correct_crop_centers(moved, size, shape)
        return tuple(slice(m - n // 2, m - n // 2 + n) for m, n in zip(middle, size, strict=True))


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
) -> np.ndarray:
    """Return the network's output for a whole image, from overlapping windows that count most at their centre.

    Parameters
    ----------
    module : nn.Module
        Maps windows (b, c, *size) to a tensor, or a dict of tensors, of the same sides.
    image : ndarray, shape (*space) or (c, *space)
        An image of two or three dimensions in space, of any size.
    size : sequence of int
        Sides of a window. Two sides and a volume: slice by slice along its first axis.
    intensity : callable, optional
        What `PatchDataset` applied to the values of a patch.
    output : str
        Which output of a network that gives several.
    overlap : float in [0, 1)
        Share of a window that the next one overlaps.
    batch_size : int
        Windows at a time.
    device : str
        torch device; the CPU where this machine lacks it.

    Returns
    -------
    ndarray of float32, shape (k, *space)
        One channel per output channel of the network (logits, if it gives logits).

    Raises
    ------
    DataError
        If image and window do not fit each other.
    """
    image = with_channel(image, len(size))
    values = np.array(image if intensity is None else intensity(image), dtype=np.float32, order="C")
    options = {"roi_size": tuple(size), "sw_batch_size": batch_size, "overlap": overlap, "mode": "gaussian",
               "padding_mode": "replicate"}  # fmt: skip
    flat = image.ndim - 1 > len(size)
    infer = SliceInferer(spatial_dim=0, **options) if flat else SlidingWindowInferer(**options)
    with on_device(module, device) as target:

        def network(x: torch.Tensor) -> torch.Tensor:
            result = module(x.to(target))
            return (result[output] if isinstance(result, Mapping) else result).float().cpu()

        return infer(torch.from_numpy(values)[None], network)[0].numpy()


def with_channel(image: np.ndarray, n_sides: int) -> np.ndarray:
    """Return an image as (c, *space), for patches of two sides (images, or volumes by slices) or three (volumes).

    Three axes are a volume (z, y, x), so a 2-D image with channels has to be given as (c, 1, y, x).

    Raises
    ------
    DataError
        If its number of axes does not fit.
    """
    allowed = {2: (2, 3, 4), 3: (3, 4)}.get(n_sides, ())
    if image.ndim not in allowed:
        raise DataError("image and patch do not fit each other", got=f"{image.ndim} axes, {n_sides} sides",
                        expected="two sides for images and slices, three for volumes")  # fmt: skip
    return image if image.ndim == 4 else image[None]
