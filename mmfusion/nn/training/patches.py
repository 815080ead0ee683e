"""Patches of images on disk: a data set for training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from monai.data.utils import get_random_patch
from monai.transforms.utils import correct_crop_centers

from mmfusion.errors import DataError
from mmfusion.nn.training.datasets import as_labels, checksum_tensors
from mmfusion.nn.training.labels import NO_MASK
from mmfusion.nn.training.windows import Intensity, predict_volume, slices_around, with_channel

__all__ = ["PatchDataset", "predict_volume"]

Augment = Callable[[torch.Tensor, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]
Boxes = Callable[[int, np.random.RandomState], Sequence[tuple[slice, ...]] | None]


class PatchDataset(torch.utils.data.Dataset):
    """Data set of random patches of images and their masks; only the patches are read from disk.

    A batch is `({"x": float32 (b, c, *size)}, {"mask": uint8 (b, 1, *size), ...})`. With `slab`, "x" is
    (b, c, slab, *size). With `boxes`, the inputs also have "cue", float32 (b, 1, *size). Positions are drawn
    from the global generator of torch.

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
    slab : int
        Number of slices that the network reads for one slice of the mask, that slice included; odd. `size`
        then has two sides, and the mask is that of the slice in the middle. Beyond the ends of the volume,
        the last slice is repeated. 0: no slabs.
    around : bool
        With `slab`, add the labels "around": masks of the other slices of the slab, uint8
        (b, slab - 1, *size), without the slice in the middle.
    lesion_only : sequence of str
        Names of float `labels` that describe the lesion. They are set to missing for patches whose mask is
        empty.
    boxes : callable, optional
        `boxes(k, rng)` returns the boxes of the lesions of image k, as `mmfusion.imaging.boxes` makes them.
        The cue is 1 in the boxes and 0 outside; if the function returns None, the cue is 1 everywhere.

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
        slab: int = 0,
        around: bool = False,
        boxes: Boxes | None = None,
        lesion_only: Sequence[str] = (),
    ) -> None:
        self.images = [with_channel(image, len(size)) for image in images]
        self.masks, self.size = list(masks), tuple(size)
        self.per_image, self.lesion_share, self.jitter = per_image, lesion_share, jitter
        self.labels = as_labels(labels or {})
        self.intensity, self.augment, self.seed = intensity, augment, seed
        self.slab, self.around, self.boxes = slab, around, boxes
        self.lesion_only = tuple(lesion_only)
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
        inputs = {"x": x.unflatten(1, (-1, self.slab)) if self.slab else x}
        mask, *further = mask.split([1, *self._further], dim=1)
        if self.boxes is not None:  # the cue is moved with the mask
            inputs["cue"] = further.pop(0).float()
        index = torch.as_tensor(which)
        labels = {name: one[index] for name, one in self.labels.items()}
        empty = (mask == 0).flatten(1).all(dim=1)  # a mask that is not known is not empty
        for name in self.lesion_only:
            labels[name][empty] = torch.nan
        if self.around:
            labels["around"] = further.pop()
        return inputs, {"mask": mask, **labels}

    @property
    def _further(self) -> list[int]:
        """Channels behind the mask: of the cue, and of the masks of the other slices of the slab."""
        return [1] * (self.boxes is not None) + [self.slab - 1] * self.around

    def __getitem__(self, item: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        inputs, labels = self.__getitems__([item])
        return {k: v[0] for k, v in inputs.items()}, {k: v[0] for k, v in labels.items()}

    def fingerprint(self) -> str:
        """Return a checksum of all images, masks and labels."""
        masks = [mask for mask in self.masks if mask is not None]
        return checksum_tensors([*self.images, *masks, *self.labels.values()])

    def _patch(self, k: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return the channels of a patch, and its mask; the cue and the masks of the other slices follow it.

        The slices of a slab are channels here, so that all slices are augmented in the same way.
        """
        image, mask = self.images[k], self.masks[k]
        flat = image.ndim - 1 > len(self.size)
        size = (1, *self.size) if flat else self.size
        box = self._box(k, image.shape[1:], size, rng)
        near = slices_around([box[0].start], self.slab, image.shape[1])[0] if self.slab else box[0]
        values = image[(slice(None), near, *box[1:])]
        x = np.asarray(values if self.intensity is None else self.intensity(values), dtype=np.float32)
        shape = tuple(one.stop - one.start for one in box)
        masks = [_known(mask, box, shape)]
        if self.boxes is not None:
            masks.append(self._cue(k, box, rng))
        if self.around:
            others = (slice(z, z + 1) for z in np.delete(near, self.slab // 2))
            masks.extend(_known(mask, (z, *box[1:]), shape) for z in others)
        known = np.stack(masks)
        margin = [(0, want - got) for want, got in zip(size, shape, strict=True)]
        x, known = (np.pad(one, [(0, 0), *margin], mode="edge") for one in (x, known))
        return (x.reshape(-1, *x.shape[2:]), known[:, 0]) if flat else (x, known)

    def _cue(self, k: int, patch: tuple[slice, ...], rng: np.random.RandomState) -> np.ndarray:
        boxes = self.boxes(k, rng)
        shape = tuple(one.stop - one.start for one in patch)
        if boxes is None:
            return np.ones(shape, np.uint8)
        out = np.zeros(shape, np.uint8)
        for box in boxes:
            ends = [(one.start - p.start, one.stop - p.start) for one, p in zip(box, patch, strict=True)]
            out[tuple(slice(max(start, 0), max(stop, 0)) for start, stop in ends)] = 1
        return out

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


def _known(mask: np.ndarray | None, box: tuple[slice, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return the part of a mask, 0 or 1; a mask that is not known has `NO_MASK` everywhere."""
    return np.full(shape, NO_MASK, np.uint8) if mask is None else (mask[box] != 0).astype(np.uint8)
