import pytest
import torch

from mmfusion.nn.layers.petct import DualEncoders, EarlyFusion, PETAttention, Pyramid, UpPath
from tests.nn.streams import build

CHANNELS, SIDES = (4, 8, 12), {2: (16, 8), 3: (8, 8, 4)}
dims = pytest.mark.parametrize("dims", [2, 3])


def scans(dims: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, 1, *SIDES[dims], generator=generator) for _ in range(2)]


def reads(maps: list[torch.Tensor], scan: torch.Tensor) -> list[bool]:
    """Whether each map depends on the scan."""
    found = [torch.autograd.grad(one.sum(), scan, retain_graph=True, allow_unused=True)[0] for one in maps]
    return [grad is not None and bool(grad.any()) for grad in found]


@dims
@pytest.mark.parametrize("encoder", [EarlyFusion, PETAttention, DualEncoders])
def test_every_level_depends_on_both_scans(encoder, dims):
    part = build(lambda: encoder(1, CHANNELS, dims))
    ct, pet = (scan.requires_grad_() for scan in scans(dims))
    maps = part(ct, pet)
    assert tuple(one.shape[1] for one in maps) == part.out_channels
    assert [one.shape[2:] for one in maps] == [
        torch.Size(side // 2**k for side in SIDES[dims]) for k in range(3)
    ]
    assert reads(maps, ct) == reads(maps, pet) == [True] * 3
    alone = part(ct[1:], pet[1:])
    for one, other in zip(maps, alone):
        torch.testing.assert_close(one[1:], other)


@dims
def test_pet_gives_one_weight_for_all_channels_of_ct(dims):
    part = build(lambda: PETAttention(1, CHANNELS, dims))
    ct, pet = scans(dims)
    seen = part.attention(pet)
    assert seen.shape == pet.shape and ((seen > 0) & (seen < 1)).all()
    for k, (gated, plain) in enumerate(zip(part(ct, pet), part.ct(ct))):
        mean = (
            torch.nn.functional.adaptive_avg_pool3d if dims == 3 else torch.nn.functional.adaptive_avg_pool2d
        )
        torch.testing.assert_close(gated, plain * mean(seen, plain.shape[2:]), msg=f"level {k}")


def test_attention_that_is_shut_hides_the_ct():
    part = build(lambda: PETAttention(1, CHANNELS, 2))
    torch.nn.init.constant_(part.squeeze.bias, -100.0)
    assert all(one.abs().max() < 1e-6 for one in part(*scans(2)))


def test_dual_encoders_stay_apart_until_the_decoder():
    part = build(lambda: DualEncoders(1, CHANNELS, 2))
    ct, pet = (scan.requires_grad_() for scan in scans(2))
    of_ct, of_pet = zip(*(one.chunk(2, dim=1) for one in part(ct, pet)))
    assert reads(of_ct, ct) == reads(of_pet, pet) == [True] * 3
    assert reads(of_ct, pet) == reads(of_pet, ct) == [False] * 3
    for gated, plain in zip(of_ct, part.encoders[0](ct)):  # each position is raised by a factor in (1, 2)
        ratio = (gated / plain).detach()
        assert (ratio > 1).all() and (ratio < 2).all()
        torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-3, atol=1e-3)


def test_the_decoder_reads_every_level():
    pyramid, path = build(lambda: (Pyramid(1, CHANNELS, 2), UpPath(CHANNELS, CHANNELS[:-1], 2)))
    maps = [one.detach().requires_grad_() for one in pyramid(scans(2)[0])]
    finest, coarser = path(maps)
    assert finest.shape[1:] == (4, 16, 8) and coarser.shape[1:] == (8, 8, 4)
    assert all(reads([finest], one) == [True] for one in maps)
    assert [reads([coarser], one)[0] for one in maps] == [False, True, True]
