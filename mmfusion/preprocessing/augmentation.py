"""Random changes of training crops that leave the label as it is, drawn as parameters that can be replayed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

_AXES = ("z", "y", "x")


@dataclass(frozen=True, eq=False)
class AugmentationParams:
    """What happens to a batch of b crops: `CropAugmentation.apply` with the same values gives the same batch.

    Parameters
    ----------
    theta : Tensor, shape (b, 3, 4)
        Affine maps of `torch.nn.functional.affine_grid`: output to input, axes (x, y, z) in [-1, 1].
    gamma : Tensor, shape (b,)
        Exponents of the intensities.
    noise : Tensor, shape (b,)
        Standard deviations, in units of the window.
    noise_seed : int
        Seed of the noise field.
    erase_low, erase_high : Tensor, shape (b, 3)
        Half-open boxes (z, y, x) in [0, 1] that are filled with the crop's mean; empty where nothing is erased.
    """

    theta: torch.Tensor
    gamma: torch.Tensor
    noise: torch.Tensor
    noise_seed: int
    erase_low: torch.Tensor
    erase_high: torch.Tensor


@dataclass(frozen=True)
class CropAugmentation:
    """A random transform of crops in [0, 1], which draws the parameters of a deterministic one.

    Parameters
    ----------
    flip : str
        Axes to flip with probability 0.5 each, of "zyx". Leave "x" out if laterality is an input.
    rotate_deg : float
        Largest rotation about each axis.
    scale : float
        Largest relative change of size.
    shift : float
        Largest shift, as a share of the side (5 mm of 96 mm by default).
    gamma : float
        Exponents lie in [1 / gamma, gamma].
    noise : float
        Largest standard deviation of Gaussian noise, in units of the window.
    erase : float
        Probability that a box is erased.
    erase_side : float
        Largest side of that box, as a share of the crop's.

    References
    ----------
    Random erasing: Zhong et al., AAAI 2020.
    """

    flip: str = "zyx"
    rotate_deg: float = 10.0
    scale: float = 0.1
    shift: float = 5 / 96
    gamma: float = 1.25
    noise: float = 0.02
    erase: float = 0.1
    erase_side: float = 0.3

    def sample(self, n: int, generator: torch.Generator) -> AugmentationParams:
        """Draw the parameters of n crops."""

        def uniform(*shape: int) -> torch.Tensor:  # in [-1, 1)
            return 2 * torch.rand(*shape, generator=generator) - 1

        sign = torch.where(uniform(n, 3) < 0, -1.0, 1.0)
        sign = torch.where(torch.tensor([axis in self.flip for axis in _AXES[::-1]]), sign, 1.0)
        matrix = _rotations(torch.deg2rad(self.rotate_deg * uniform(n, 3))) * (
            1 + self.scale * uniform(n, 1, 1)
        )
        theta = torch.cat([matrix * sign[:, None, :], 2 * self.shift * uniform(n, 3, 1)], dim=-1)
        gamma = torch.tensor(self.gamma).log().mul(uniform(n)).exp()
        noise = self.noise * torch.rand(n, generator=generator)
        seed = int(torch.randint(2**31, (), generator=generator))
        size = self.erase_side * torch.rand(n, 3, generator=generator)
        low = torch.rand(n, 3, generator=generator) * (1 - size)
        happens = torch.rand(n, 1, generator=generator) < self.erase
        return AugmentationParams(theta, gamma, noise, seed, low, torch.where(happens, low + size, low))

    @staticmethod
    def apply(params: AugmentationParams, x: torch.Tensor) -> torch.Tensor:
        """The augmented batch, shape (b, 1, S, S, S), in [0, 1]; `x` is left as it is."""
        at = F.affine_grid(
            torch.eye(3, 4)[None], [1, 1, *x.shape[2:]], align_corners=False
        )  # once, not b times
        grid = at.reshape(1, -1, 3) @ params.theta[:, :, :3].mT + params.theta[:, None, :, 3]
        grid = grid.view(len(x), *at.shape[1:])
        out = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
        out = out.clamp_(0, 1).pow_(params.gamma.view(-1, 1, 1, 1, 1))
        field = torch.randn(out.shape, generator=torch.Generator().manual_seed(params.noise_seed))
        out = out.addcmul_(field, params.noise.view(-1, 1, 1, 1, 1))
        box = _boxes(params, x.shape[2:])
        return torch.where(box, out.mean(dim=(2, 3, 4), keepdim=True), out).clamp_(0, 1)


def augment_batch(x: torch.Tensor, generator: torch.Generator, config: CropAugmentation) -> torch.Tensor:
    """A batch of crops, shape (b, 1, S, S, S), changed at random; `x` is left as it is."""
    return config.apply(config.sample(len(x), generator), x)


def _rotations(angles: torch.Tensor) -> torch.Tensor:
    """Product of rotations about x, y and z, shape (n, 3, 3), of angles (n, 3) in radians."""
    out = torch.eye(3).expand(len(angles), 3, 3)
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        c, s = angles[:, axis].cos(), angles[:, axis].sin()
        turn = torch.eye(3).repeat(len(angles), 1, 1)
        turn[:, a, a], turn[:, b, b], turn[:, a, b], turn[:, b, a] = c, c, -s, s
        out = out @ turn
    return out


def _boxes(params: AugmentationParams, shape: torch.Size) -> torch.Tensor:
    """Where something is erased: bool, shape (b, 1, S, S, S)."""
    inside = torch.ones(1, dtype=torch.bool)
    for axis, n in enumerate(shape):
        at = (torch.arange(n) + 0.5) / n
        hit = (at >= params.erase_low[:, axis, None]) & (at < params.erase_high[:, axis, None])
        inside = inside & hit.view(-1, 1, *[n if a == axis else 1 for a in range(3)])
    return inside
