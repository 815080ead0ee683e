import numpy as np
import pytest
import torch
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.training import predict_in_batches, reproducible
from mmfusion.nn.training.patches import PatchDataset, predict_volume
from mmfusion.storage.cache import cached

SIZES = {
    "volumes": ((12, 20, 24), (6, 8, 10)),
    "slices": ((12, 20, 24), (8, 10)),
    "images": ((20, 24), (8, 10)),
}


def data(kind, n=3, **options):
    """Images whose values are their own flat indices, so that a patch says where it was cut."""
    space, size = SIZES[kind]
    images = [np.arange(np.prod(space), dtype=np.int32).reshape(space) + 10000 * k for k in range(n)]
    masks = [np.zeros(space, np.uint8) for _ in range(n)]
    for mask in masks:
        mask[tuple(slice(m // 2, m // 2 + 2) for m in space)] = 1
    return PatchDataset(images, masks, size, **options), images, masks, size


def read(dataset, items):
    with reproducible(0):
        return dataset.__getitems__(list(items))


@pytest.mark.parametrize("kind", SIZES)
def test_patches_are_cut_where_the_mask_is_too(kind):
    dataset, images, masks, size = data(kind, per_image=20)
    inputs, labels = read(dataset, range(60))
    assert len(dataset) == 60 and inputs["x"].dtype == torch.float32 and labels["mask"].dtype == torch.uint8
    assert inputs["x"].shape == labels["mask"].shape == (60, 1, *size)
    for item, (x, mask) in enumerate(zip(inputs["x"], labels["mask"])):
        k = item // 20
        at = np.unravel_index((x.long() - 10000 * k).numpy(), images[k].shape)
        np.testing.assert_array_equal(mask, masks[k][at])
    assert len(inputs["x"].flatten(1)[:, 0].unique()) > 20
    with reproducible(1):
        other = dataset.__getitems__(list(range(60)))[0]["x"]
    assert torch.equal(read(dataset, range(60))[0]["x"], inputs["x"]) and not torch.equal(other, inputs["x"])


@pytest.mark.parametrize("kind", SIZES)
def test_patches_lie_round_the_lesion(kind):
    dataset, *_ = data(kind, per_image=40, lesion_share=1.0)
    masks = read(dataset, range(120))[1]["mask"][:, 0]
    middle = tuple(n // 2 for n in masks.shape[1:])
    assert masks[(slice(None), *middle)].all()
    moved, *_ = data(kind, per_image=40, lesion_share=1.0, jitter=3)
    masks = read(moved, range(120))[1]["mask"][:, 0]
    assert not masks[(slice(None), *middle)].all() and masks.flatten(1).any(1).float().mean() > 0.8
    share = read(data(kind, per_image=200, lesion_share=0.25)[0], range(600))[1]["mask"]
    centred = share[(slice(None), 0, *middle)].float().mean()
    assert 0.18 < centred < 0.4


def test_a_seed_gives_the_same_patches_without_augmentation():
    dataset, *_ = data("volumes", per_image=4, seed=3, augment=lambda x, mask, generator: (x * 0, mask))
    torch.manual_seed(1)
    one = dataset.__getitems__(list(range(12)))[0]["x"]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(torch.stack([dataset[k][0]["x"] for k in range(12)]), one) and one.any()
    assert torch.equal(torch.get_rng_state(), state)


def test_unknown_masks_and_vectors():
    _, images, masks, size = data("volumes")
    panel = np.array([[1.0], [np.nan], [3.0]])
    dataset = PatchDataset(images, [masks[0], None, None], size, per_image=10, lesion_share=1.0,
                           centres=[None, (3, 4, 5), None], labels={"panel": panel})  # fmt: skip
    inputs, labels = read(dataset, range(30))
    assert labels["mask"][:10].max() == 1 and (labels["mask"][10:] == 255).all()
    centres = inputs["x"][10:20, 0, 3, 4, 5].long() - 10000
    assert (centres == np.ravel_multi_index((3, 4, 5), images[0].shape)).all()
    assert labels["panel"][:10].eq(1).all() and labels["panel"][10:20].isnan().all()
    assert len(inputs["x"][20:, 0, 0, 0, 0].unique()) > 5


def test_images_smaller_than_a_patch_are_continued():
    image, mask = np.full((3, 4, 5), 7, np.int16), np.ones((3, 4, 5), np.uint8)
    inputs, labels = read(PatchDataset([image], [mask], (6, 4, 8), lesion_share=1.0), [0])
    assert inputs["x"].shape == (1, 1, 6, 4, 8) and (inputs["x"] == 7).all() and (labels["mask"] == 1).all()


def test_memory_maps_are_read_and_not_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
    make = lambda: np.random.default_rng(0).integers(-1000, 400, (10, 20, 20), dtype=np.int16)  # noqa: E731
    image = cached("test", {"scan": 1}, make)
    dataset = PatchDataset(
        [image], [image > 200], (4, 8, 8), per_image=8, intensity=lambda hu: (hu + 1000) / 1400
    )
    x = read(dataset, range(8))[0]["x"]
    assert x.min() >= 0 and x.max() <= 1 and x.std() > 0.1
    np.testing.assert_array_equal(image, make())
    assert dataset.fingerprint() == PatchDataset([make()], [make() > 200], (4, 8, 8)).fingerprint()
    assert dataset.fingerprint() != PatchDataset([make()], [make() > 201], (4, 8, 8)).fingerprint()


@pytest.mark.parametrize(
    ("images", "masks", "size", "match"),
    [
        ([np.zeros((4, 4, 4))], [np.zeros((4, 4, 5))], (2, 2, 2), "image 0 and its mask differ"),
        ([np.zeros((4, 4))], [None], (2, 2, 2), "do not fit each other"),
        ([np.zeros((4, 4, 4))], [None], (2,), "do not fit each other"),
        ([np.zeros((4, 4, 4))], [], (2, 2, 2), "differ in number"),
    ],
)
def test_what_does_not_fit(images, masks, size, match):
    with pytest.raises(DataError, match=match):
        PatchDataset(images, masks, size)


class Twice(nn.Module):
    """Two channels: the values doubled, and the values."""

    def __init__(self, dims):
        super().__init__()
        self.dims, self.drop = dims, nn.Dropout(0.9)

    def forward(self, x):
        assert x.ndim == self.dims + 2 and not torch.is_grad_enabled()
        return {"mask": torch.cat([2 * self.drop(x), x], dim=1), "other": x}


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("larger", [False, True])
def test_windows_make_up_the_image(kind, larger):
    space, size = SIZES[kind]
    size = tuple(30 for _ in size) if larger else size
    image = np.random.default_rng(0).normal(size=space).astype(np.float32)
    module = Twice(len(size)).train()
    out = predict_volume(module, image, size, intensity=lambda v: v + 1)
    np.testing.assert_allclose(out[0].reshape(space), 2 * (image + 1), atol=1e-5)
    assert out.dtype == np.float32 and out.shape[0] == 2 and module.training and module.drop.training


def test_prediction_goes_to_the_device_and_comes_back(monkeypatch):
    moves = []

    class Moving(nn.Linear):
        def to(self, device):
            moves.append(str(device))
            return self

    from mmfusion.nn.training import devices

    module = Moving(3, 2)
    x = np.random.default_rng(0).normal(size=(150, 3)).astype(np.float32)
    expected = predict_in_batches(module, {"input": x})
    assert moves == [] and expected.shape == (150, 2) and module.training
    with torch.no_grad():
        parts = [module(torch.as_tensor(x[k : k + 64])) for k in (0, 64, 128)]
    assert torch.equal(torch.cat(parts), expected)
    monkeypatch.setattr(devices, "check_device", lambda device: None)
    with pytest.raises((RuntimeError, AssertionError)) if not torch.cuda.is_available() else np.errstate():
        predict_in_batches(module, {"input": x}, device="cuda")
    assert moves == ["cuda", "cpu"] and module.training


def test_a_model_of_a_gpu_predicts_where_there_is_none(caplog):
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    module, x = nn.Linear(3, 2), np.ones((2, 3), np.float32)
    out = predict_in_batches(module, {"input": x}, device="cuda")
    assert torch.equal(out, predict_in_batches(module, {"input": x}))
    assert "predicting on the CPU" in caplog.text
