"""Patches of images on disk: a data set for training, and prediction of a whole image by windows."""

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
    """Data set of random patches of images and their masks; only the patches are read from disk.

    A batch is `({"x": float32 (b, c, *size)}, {"mask": uint8 (b, 1, *size), ...})`. Positions are drawn from
    the global generator of torch.

    Parameters
    ----------
    images : sequence of ndarray, shape (*space) or (c, *space)
        Images with two or three axes in space; memory-mapped arrays are best
        (`mmfusion.storage.cache.cached`).
    masks : sequence of ndarray or None, shape (*space)
        Masks: 0 outside the lesion, any other value inside; None if the mask is not known.
    size : sequence of int
        Sides of a patch in voxels. If it has two sides and the images are volumes, patches of axial slices
        are read.
    per_image : int
        Number of patches of each image per epoch.
    lesion_share : float in [0, 1]
        Share of the patches that are centred on a voxel of the lesion, if the image has one. The other
        patches have random positions.
    jitter : int
        Largest random shift of such a centre along each side of the patch, voxels.
    centres : sequence of (z, y, x) or None, optional
        Centre of the lesion in voxels, for images without a mask.
    labels : mapping of str to ndarray, first axis images, optional
        Further labels; some may be missing (see `mmfusion.nn.training.labels`).
    intensity : callable, optional
        Function from the values of a patch to the inputs of the network.
    augment : callable, optional
        `augment(x, mask, generator) -> (x, mask)`; see `mmfusion.preprocessing.augmentation.augment_pair`.
    seed : int, optional
        With a seed, item k is the same patch in every epoch and is not augmented, for validation.

    Raises
    ------
    DataError
        If an image and its mask differ in shape, or if an image does not fit `size`. The error names the
        image.

    Examples
    --------
    >>> data = PatchDataset([np.zeros((4, 16, 16))], [np.ones((4, 16, 16))], size=(8, 8), per_image=3, seed=0)
    >>> inputs, labels = data[0]
    >>> len(data), inputs["x"].shape, labels["mask"].shape
    (3, torch.Size([1, 8, 8]), torch.Size([1, 8, 8]))
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
            numbers = f"{len(self.images)}, {len(self.masks)}, {len(centres or [])}"
            raise DataError("images, masks and centres differ in number", got=numbers)
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
    """Return the output of a network for a whole image, from overlapping windows.

    Windows have their largest weight in their centre.

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
        torch device. The CPU is used if the machine does not have it.

    Returns
    -------
    ndarray of float32, shape (k, *space)
        One channel per output channel of the network.

    Raises
    ------
    DataError
        If image and window do not fit each other.

    Examples
    --------
    >>> predict_volume(nn.Identity(), np.ones((3, 16, 16), np.float32), size=(8, 8)).shape
    (1, 3, 16, 16)
    """
    image = with_channel(image, len(size))
    values = np.array(image if intensity is None else intensity(image), dtype=np.float32, order="C")
    windows = {"roi_size": tuple(size), "sw_batch_size": batch_size, "overlap": overlap}
    options = {**windows, "mode": "gaussian", "padding_mode": "replicate"}
    flat = image.ndim - 1 > len(size)
    infer = SliceInferer(spatial_dim=0, **options) if flat else SlidingWindowInferer(**options)
    with on_device(module, device) as target:

        def network(x: torch.Tensor) -> torch.Tensor:
            result = module(x.to(target))
            return (result[output] if isinstance(result, Mapping) else result).float().cpu()

        return infer(torch.from_numpy(values)[None], network)[0].numpy()


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
