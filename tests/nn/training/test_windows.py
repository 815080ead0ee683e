"""Slabs of slices, cues and mirror images, in training patches and in windows."""

import numpy as np
import pytest
import torch
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.training import reproducible
from mmfusion.nn.training.patches import PatchDataset, predict_volume

SPACE = (6, 12, 14)


def numbered(channels: int = 2) -> np.ndarray:
    """Voxels that hold their own flat index."""
    return np.arange(channels * np.prod(SPACE), dtype=np.float32).reshape(channels, *SPACE)


class Slices(nn.Module):
    """Gives the slice below the middle of a slab, of the first channel."""

    def forward(self, x):
        assert x.ndim == 5 and x.shape[1:3] == (2, 3)
        return {"mask": x[:, :1, 0]}


def test_slabs_of_patches_hold_the_slices_around_their_mask():
    image = numbered()
    mask = (image[0] % 7 == 0).astype(np.uint8)
    data = PatchDataset([image], [mask], (5, 6), per_image=40, slab=3, lesion_share=0.5)
    with reproducible(0):
        inputs, labels = data.__getitems__(list(range(40)))
    x, mask = inputs["x"].numpy().astype(int), labels["mask"].numpy()
    assert x.shape == (40, 2, 3, 5, 6) and mask.shape == (40, 1, 5, 6)
    plane = SPACE[1] * SPACE[2]
    np.testing.assert_array_equal(mask[:, 0], x[:, 0, 1] % 7 == 0)  # the mask is that of the middle
    np.testing.assert_array_equal(x[:, 1] - x[:, 0], np.prod(SPACE))  # the channels are of one place
    z = x[:, 0, :, 0, 0] // plane
    np.testing.assert_array_equal(z, np.clip(z[:, 1:2] + [-1, 0, 1], 0, SPACE[0] - 1))
    assert {0, SPACE[0] - 1} <= set(z[:, 1])  # the ends are among them, where slices are repeated


def test_masks_of_the_other_slices_of_a_slab():
    image = numbered()
    mask = (image[0] % 7 == 0).astype(np.uint8)
    box = (slice(1, 4), slice(3, 9), slice(2, 11))
    data = PatchDataset([image, image], [mask, None], (5, 6), per_image=40, slab=3, around=True,
                        boxes=lambda k, rng: [box])  # fmt: skip
    with reproducible(0):
        inputs, labels = data.__getitems__(list(range(80)))
    x, other = inputs["x"].numpy().astype(int), labels["around"].numpy()
    assert labels["mask"].shape == inputs["cue"].shape == (80, 1, 5, 6) and other.shape == (80, 2, 5, 6)
    np.testing.assert_array_equal(other[:40], x[:40, 0, [0, 2]] % 7 == 0)
    assert (other[40:] == 255).all() and (labels["mask"][40:] == 255).all()


def test_windows_of_slabs_make_up_the_volume():
    image = numbered()
    out = predict_volume(Slices(), image, (5, 6), slab=3)
    below = image[0][[0, 0, 1, 2, 3, 4]]
    np.testing.assert_allclose(out[0], below, rtol=1e-5)


def test_the_cue_of_a_patch_is_cut_and_moved_with_the_mask():
    mask = np.zeros(SPACE, np.uint8)
    mask[1:4, 3:9, 2:11] = 1  # this lesion is a box
    box = (slice(1, 4), slice(3, 9), slice(2, 11))

    def flipped(x, labels, generator):
        return x.flip(-1), labels.flip(-1)

    for size, slab in [((4, 6, 6), 0), ((6, 6), 0), ((6, 6), 3)]:
        data = PatchDataset([numbered(1)], [mask], size, per_image=30, slab=slab, augment=flipped,
                            boxes=lambda k, rng: [box])  # fmt: skip
        with reproducible(0):
            inputs, labels = data.__getitems__(list(range(30)))
        assert inputs["cue"].dtype == torch.float32 and labels["mask"].shape == (30, 1, *size)
        torch.testing.assert_close(inputs["cue"], labels["mask"].float())
        assert 0 < inputs["cue"].mean() < 1
    data = PatchDataset([numbered(1)], [mask], (4, 6, 6), boxes=lambda k, rng: None)
    assert data[0][0]["cue"].all()


class Cue(nn.Module):
    """Gives twice the cue."""

    def forward(self, x, cue=None):
        return x[:, :1] if cue is None else 2 * cue + 0 * x[:, :1]


@pytest.mark.parametrize("size", [(4, 6, 6), (6, 6)])
def test_windows_of_the_cue(size):
    cue = np.random.default_rng(0).uniform(size=SPACE).astype(np.float32)
    out = predict_volume(Cue(), numbered(), size, cue=cue)
    np.testing.assert_allclose(out[0], 2 * cue, rtol=1e-5)
    with pytest.raises(DataError, match="image and cue differ"):
        predict_volume(Cue(), numbered(), size, cue=cue[1:])


class Ramp(nn.Module):
    """Gives a ramp along the last axis, whatever it reads."""

    def forward(self, x):
        return torch.arange(x.shape[-1]).float().expand(x.shape[0], 1, *x.shape[2:])


def test_flips_make_the_output_symmetric():
    image = np.zeros((3, 4, 5), np.float32)
    plain = predict_volume(Ramp(), image, (3, 4, 5))
    mean = predict_volume(Ramp(), image, (3, 4, 5), flips=True)
    np.testing.assert_allclose(plain[0, 0, 0], np.arange(5))
    np.testing.assert_allclose(mean, 2, rtol=1e-6)
    same = predict_volume(nn.Identity(), numbered(1), (4, 6), flips=True)
    np.testing.assert_allclose(same, numbered(1), rtol=1e-5)
