import numpy as np
import pytest
import torch

from mmfusion.preprocessing.augmentation import (
    AugmentationParams,
    CropAugmentation,
    augment_batch,
    augment_pair,
)

STILL = CropAugmentation(flip="", rotate_deg=0, scale=0, shift=0, gamma=1, noise=0, erase=0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def x():
    return torch.rand(6, 1, 16, 16, 16, generator=generator(7))


def only(**options):
    return CropAugmentation(**{**vars(STILL), **options})


def test_replayed_exactly_and_nothing_else_changes(x):
    before, state = x.clone(), torch.get_rng_state()
    config = CropAugmentation()
    params = config.sample(len(x), generator())
    one, two = config.apply(params, x), config.apply(params, x)
    assert torch.equal(one, two)
    assert torch.equal(one, augment_batch(x, generator(), config))
    assert not torch.equal(one, augment_batch(x, generator(1), config))
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())
    assert isinstance(params, AugmentationParams)
    assert one.shape == x.shape
    assert one.dtype == torch.float32
    assert one.min() >= 0
    assert one.max() <= 1


def test_nothing_asked_nothing_done(x):
    torch.testing.assert_close(augment_batch(x, generator(), STILL), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("axis", "dim"), [("z", 2), ("y", 3), ("x", 4)])
def test_flips(x, axis, dim):
    out = augment_batch(x, generator(), only(flip=axis))
    same = torch.tensor([torch.allclose(o, i, atol=1e-5) for o, i in zip(out, x)])
    turned = torch.tensor([torch.allclose(o, i, atol=1e-5) for o, i in zip(out, x.flip(dim))])
    assert (same ^ turned).all()
    assert same.any()
    assert turned.any()


def ball(n=4, side=32, radius=7.0, off=(0, 0, 0)):
    axis = torch.arange(side) - (side - 1) / 2
    z, y, x = torch.meshgrid(axis - off[0], axis - off[1], axis - off[2], indexing="ij")
    return (radius + 0.5 - (z**2 + y**2 + x**2).sqrt()).clamp(0, 1).repeat(n, 1, 1, 1, 1)


def test_scale_and_shift_are_of_the_size_asked():
    x = ball(64)
    volume = augment_batch(x, generator(), only(scale=0.1)).sum((1, 2, 3, 4)) / x[0].sum()
    assert volume.min() > 0.9**3 - 0.06
    assert volume.max() < 1 / 0.9**3 + 0.03
    assert volume.std() > 0.1
    out = augment_batch(x, generator(), only(shift=4 / 32))[:, 0]
    at = torch.arange(32) - 15.5
    moved = torch.stack([out.sum(dim=dims) @ at for dims in ((2, 3), (1, 3), (1, 2))])
    moved = moved / out.sum((1, 2, 3))
    assert moved.abs().max() < 4.05
    assert moved.abs().max() > 3


def test_rotation_keeps_volume_and_centre():
    x = ball(16, off=(0, 0, 6), radius=5)
    out = augment_batch(x, generator(), only(rotate_deg=10))
    np.testing.assert_allclose(out.sum((1, 2, 3, 4)), x.sum((1, 2, 3, 4)), rtol=0.02)
    assert (out - x).abs().amax((1, 2, 3, 4)).min() > 0.05
    still = ball(16)
    assert (augment_batch(still, generator(), only(rotate_deg=10)) - still).abs().mean() < 0.005


def test_noise_gamma_and_erasing(x):
    grey = torch.full((200, 1, 8, 8, 8), 0.5)
    noisy = augment_batch(grey, generator(), only(noise=0.02))
    spread = noisy.std((1, 2, 3, 4))
    assert 0.017 < spread.max() < 0.023
    assert spread.mean() == pytest.approx(0.01, abs=0.002)
    bright = augment_batch(grey, generator(), only(gamma=1.25))[:, 0, 0, 0, 0]
    assert bright.min() >= 0.5**1.25 - 1e-6
    assert bright.max() <= 0.5**0.8 + 1e-6
    crops = torch.rand(400, 1, 8, 8, 8, generator=generator(3))
    erased = (augment_batch(crops, generator(), only(erase=0.5, erase_side=0.6)) - crops).abs() > 1e-5
    assert 0.25 < erased.flatten(1).any(1).float().mean() < 0.5
    assert erased.float().mean((1, 2, 3, 4)).max() <= (5 / 8) ** 3


def test_company_does_not_matter_for_what_is_applied(x):
    config = only(flip="zyx", rotate_deg=10, gamma=1.2)
    params = config.sample(len(x), generator())
    first = AugmentationParams(
        params.theta[:1], params.gamma[:1], params.noise[:1], 0, params.erase_low[:1], params.erase_high[:1]
    )
    torch.testing.assert_close(config.apply(params, x)[:1], config.apply(first, x[:1]))


def blobs(*space):
    """Smooth shapes in [0, 1], and where they are above one half; shapes (b, 1, *space)."""
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, n) for n in space], indexing="ij"))
    centres = torch.tensor([[0.3, -0.2, 0.1], [-0.3, 0.3, -0.2], [0.1, 0.2, 0.4], [0.0, -0.4, 0.3]])
    far = torch.stack([((grid - c[: len(space)].view(-1, *[1] * len(space))) ** 2).sum(0) for c in centres])
    x = torch.exp(-3 * far)[:, None]
    return x, (x > 0.5).to(torch.uint8)


@pytest.mark.parametrize("space", [(24, 24, 24), (12, 24, 30), (32, 32), (20, 36)])
def test_image_and_mask_move_together(space):
    x, mask = blobs(*space)
    config = only(flip="zyx", rotate_deg=20, scale=0.1, shift=0.1)
    before = x.clone(), mask.clone()
    moved, moved_mask = augment_pair(x, mask, generator(2), config)
    assert moved_mask.dtype == torch.uint8 and set(moved_mask.unique().tolist()) == {0, 1}
    seen = moved > 0.5
    overlap = 2 * (seen & moved_mask.bool()).sum() / (seen.sum() + moved_mask.sum())
    assert overlap > 0.9 and not torch.equal(moved_mask, mask)
    still = 2 * (seen & mask.bool()).sum() / (seen.sum() + mask.sum())
    assert still < 0.8  # or the overlap would say nothing
    params = config.sample(len(x), generator(2), dims=len(space))
    assert torch.equal(config.apply(params, x), moved) and torch.equal(
        config.apply_mask(params, mask), moved_mask
    )
    assert torch.equal(x, before[0]) and torch.equal(mask, before[1])


def test_intensities_do_not_touch_the_mask():
    x, mask = blobs(16, 16, 16)
    config = only(gamma=1.5, noise=0.1, erase=1.0)
    moved, moved_mask = augment_pair(x, mask, generator(), config)
    assert torch.equal(moved_mask, mask) and (moved - x).abs().max() > 0.1
    unknown = torch.full_like(mask, 255)
    assert (augment_pair(x, unknown, generator(), CropAugmentation())[1] == 255).all()


@pytest.mark.parametrize("space", [(20, 40), (8, 24, 40)])
def test_rotation_of_unequal_sides_shears_nothing(space):
    axes = [torch.arange(n) - (n - 1) / 2 for n in space]
    r = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
    x = (4 - r).clamp(0, 1).repeat(8, 1, *[1] * len(space))
    out = augment_batch(x, generator(), only(rotate_deg=45))
    assert (out - x).abs().mean() < 0.01  # a ball about the centre stays a ball


def test_flips_in_two_dimensions():
    x = torch.rand(32, 2, 12, 12, generator=generator())
    for axis, dim in (("y", 2), ("x", 3), ("z", None)):
        out = augment_batch(x, generator(), only(flip=axis))
        turned = x if dim is None else x.flip(dim)
        which = torch.tensor([torch.allclose(o, t, atol=1e-5) for o, t in zip(out, turned)])
        assert which.any() and (dim is None) == bool(which.all())


def test_a_batch_of_volumes_is_drawn_as_it_always_was():
    params = CropAugmentation().sample(2, generator(0))
    # drawn by release 0.1.0
    golden = [
        -0.895711,
        0.013875,
        -0.124766,
        -0.04294,
        0.01444,
        0.904345,
        -0.003098,
        0.003859,
        0.124701,
        -0.00506,
        -0.895813,
        0.041181,
    ]
    np.testing.assert_allclose(params.theta[0].flatten(), golden, atol=1e-6)
