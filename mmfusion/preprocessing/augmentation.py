"""Random changes of training crops that do not change the label, drawn as parameters that can be reused."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import torch
from torch.nn import functional as F

from mmfusion.errors import DataError

_AXES = ("z", "y", "x")
_RANGES = {
    "rotate_deg": (0, 180),
    "scale": (0, 0.9),
    "shift": (0, 1),
    "gamma": (0.01, 100),
    "noise": (0, 10),
    "erase": (0, 1),
    "erase_side": (0, 1),
}


@dataclass(frozen=True, eq=False)
class AugmentationParams:
    """Parameters of the changes to a batch of b crops; with them `CropAugmentation.apply` is not random.

    d is the number of axes in space: 3 for volumes (z, y, x), 2 for images (y, x).

    Parameters
    ----------
    theta : Tensor, shape (b, d, d + 1)
        Affine maps from output to input coordinates, in the order (x, y, z) and in [-1, 1], as for
        `torch.nn.functional.affine_grid`.
    gamma : Tensor, shape (b,)
        Exponents of the intensities.
    noise : Tensor, shape (b,)
        Standard deviations of the noise, in units of the window.
    noise_seed : int
        Seed of the noise field.
    erase_low, erase_high : Tensor, shape (b, d)
        Half-open boxes (z, y, x) in [0, 1] that are filled with the mean of the crop. An empty box erases
        nothing.

    Examples
    --------
    >>> params = CropAugmentation(erase=0.0).sample(2, torch.Generator().manual_seed(0))
    >>> params.theta.shape, torch.equal(params.erase_low, params.erase_high)
    (torch.Size([2, 3, 4]), True)
    """

    theta: torch.Tensor
    gamma: torch.Tensor
    noise: torch.Tensor
    noise_seed: int
    erase_low: torch.Tensor
    erase_high: torch.Tensor


@dataclass(frozen=True)
class CropAugmentation:
    """Random transform of crops in [0, 1]: `sample` draws parameters, `apply` uses them without randomness.

    Parameters
    ----------
    flip : str
        Axes that are flipped, some of "zyx", each with probability 0.5. Leave "x" out if left and right
        differ in the other inputs.
    rotate_deg : float
        Largest rotation around each axis, degrees; for an image, in its plane.
    scale : float
        Largest relative change of size.
    shift : float
        Largest shift, as a share of the side. Default: 5 mm of 96 mm.
    gamma : float
        Largest exponent of the intensities; the smallest is 1 / gamma.
    noise : float
        Largest standard deviation of Gaussian noise, in units of the window.
    erase : float
        Probability that a box is erased, 0 to 1.
    erase_side : float
        Largest side of that box, as a share of the side of the crop.

    Raises
    ------
    DataError
        If a value is out of range.

    References
    ----------
    Random erasing: Zhong et al., AAAI 2020.

    Examples
    --------
    >>> augmentation = CropAugmentation(flip="zy")
    >>> params = augmentation.sample(2, torch.Generator().manual_seed(0))
    >>> x = torch.rand(2, 1, 8, 8, 8)
    >>> torch.equal(augmentation.apply(params, x), augmentation.apply(params, x))
    True
    """

    flip: str = "zyx"
    rotate_deg: float = 10.0
    scale: float = 0.1
    shift: float = 5 / 96
    gamma: float = 1.25
    noise: float = 0.02
    erase: float = 0.1
    erase_side: float = 0.3

    def __post_init__(self) -> None:
        axes = isinstance(self.flip, str) and set(self.flip) <= set(_AXES)
        wrong = [] if axes else [("flip", "some of the letters zyx")]
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                wrong.append((name, f"a number from {low:g} to {high:g}"))
        for name, expected in wrong:
            raise DataError("out of range", parameter=f"augment: {name}", expected=expected,
                            got=repr(getattr(self, name))[:60])  # fmt: skip

    def sample(self, n: int, generator: torch.Generator, *, dims: int = 3) -> AugmentationParams:
        """Draw the parameters of n crops: of volumes if `dims` is 3, of images if it is 2."""

        def uniform(*shape: int) -> torch.Tensor:  # in [-1, 1)
            return 2 * torch.rand(*shape, generator=generator) - 1

        sign = torch.where(uniform(n, dims) < 0, -1.0, 1.0)
        sign = torch.where(torch.tensor([axis in self.flip for axis in _AXES[: -dims - 1 : -1]]), sign, 1.0)
        turn = _rotations(torch.deg2rad(self.rotate_deg * uniform(n, 3 if dims == 3 else 1)))
        matrix = turn * (1 + self.scale * uniform(n, 1, 1))
        theta = torch.cat([matrix * sign[:, None, :], 2 * self.shift * uniform(n, dims, 1)], dim=-1)
        gamma = torch.tensor(self.gamma).log().mul(uniform(n)).exp()
        noise = self.noise * torch.rand(n, generator=generator)
        seed = int(torch.randint(2**31, (), generator=generator))
        size = self.erase_side * torch.rand(n, dims, generator=generator)
        low = torch.rand(n, dims, generator=generator) * (1 - size)
        happens = torch.rand(n, 1, generator=generator) < self.erase
        return AugmentationParams(theta, gamma, noise, seed, low, torch.where(happens, low + size, low))

    @staticmethod
    def apply(params: AugmentationParams, x: torch.Tensor) -> torch.Tensor:
        """Return the augmented batch, shape (b, c, *space), in [0, 1]; `x` is not changed."""
        each = (-1, *[1] * (x.ndim - 1))  # one value per crop
        out = F.grid_sample(x, _grid(params, x), mode="bilinear", padding_mode="border", align_corners=False)
        out = out.clamp_(0, 1).pow_(params.gamma.view(each))
        field = torch.randn(out.shape, generator=torch.Generator().manual_seed(params.noise_seed))
        out = out.addcmul_(field, params.noise.view(each))
        box = _boxes(params, x.shape[2:])
        mean = out.mean(dim=tuple(range(2, x.ndim)), keepdim=True)
        return torch.where(box, mean, out).clamp_(0, 1)

    @staticmethod
    def apply_mask(params: AugmentationParams, mask: torch.Tensor) -> torch.Tensor:
        """Return masks that are moved as `apply` moves the images, shape (b, 1, *space).

        Intensities, noise and erasing do not change a mask, and values are not interpolated. Beyond the edge
        the outermost voxels are repeated, as in the image.
        """
        grid = _grid(params, mask)
        moved = F.grid_sample(mask.float(), grid, mode="nearest", padding_mode="border", align_corners=False)
        return moved.to(mask.dtype)


def augment_batch(x: torch.Tensor, generator: torch.Generator, config: CropAugmentation) -> torch.Tensor:
    """Return a randomly changed batch of crops, shape (b, c, *space); `x` is not changed.

    Examples
    --------
    >>> x = torch.rand(2, 1, 8, 8, 8)
    >>> augment_batch(x, torch.Generator().manual_seed(0), CropAugmentation()).shape
    torch.Size([2, 1, 8, 8, 8])
    """
    return config.apply(config.sample(len(x), generator, dims=x.ndim - 2), x)


def augment_pair(
    x: torch.Tensor, mask: torch.Tensor, generator: torch.Generator, config: CropAugmentation
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch of crops and their masks, randomly changed together; both inputs are not changed.

    Parameters
    ----------
    x : Tensor, shape (b, c, *space)
        Images or volumes, in [0, 1].
    mask : Tensor, shape (b, 1, *space)
        Masks of any dtype.
    generator : torch.Generator
        Random generator that draws the parameters.
    config : CropAugmentation
        Ranges of the parameters.

    Examples
    --------
    >>> x, mask = torch.rand(2, 1, 8, 8), torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    >>> x, mask = augment_pair(x, mask, torch.Generator().manual_seed(0), CropAugmentation(flip="y"))
    >>> x.shape, mask.dtype
    (torch.Size([2, 1, 8, 8]), torch.uint8)
    """
    params = config.sample(len(x), generator, dims=x.ndim - 2)
    return config.apply(params, x), config.apply_mask(params, mask)


def _grid(params: AugmentationParams, x: torch.Tensor) -> torch.Tensor:
    """Return the position in `x` of each voxel of the result, for `grid_sample`: shape (b, *space, d)."""
    space = x.shape[2:]
    d = len(space)
    at = F.affine_grid(torch.eye(d, d + 1)[None], [1, 1, *space], align_corners=False)  # shared by the batch
    matrix = params.theta[:, :, :d]
    if len(set(space)) > 1:  # a rotation turns voxels, not shares of unequal sides
        sides = torch.tensor(space[::-1], dtype=matrix.dtype)
        matrix = matrix * sides / sides[:, None]
    grid = at.reshape(1, -1, d) @ matrix.mT + params.theta[:, None, :, d]
    return grid.view(len(x), *at.shape[1:])


def _rotations(angles: torch.Tensor) -> torch.Tensor:
    """Return rotation matrices for angles in radians.

    Angles of shape (n, 1) are rotations in the plane and give (n, 2, 2). Angles of shape (n, 3) are rotations
    around x, y and z and give (n, 3, 3).
    """
    d = 3 if angles.shape[1] == 3 else 2
    out = torch.eye(d).expand(len(angles), d, d)
    for axis in range(angles.shape[1]):
        a, b = ((axis + 1) % 3, (axis + 2) % 3) if d == 3 else (0, 1)
        c, s = angles[:, axis].cos(), angles[:, axis].sin()
        turn = torch.eye(d).repeat(len(angles), 1, 1)
        turn[:, a, a], turn[:, b, b], turn[:, a, b], turn[:, b, a] = c, c, -s, s
        out = out @ turn
    return out


def _boxes(params: AugmentationParams, shape: torch.Size) -> torch.Tensor:
    """Return the mask of the voxels that are erased: bool, shape (b, 1, *space)."""
    inside = torch.ones(1, dtype=torch.bool)
    for axis, n in enumerate(shape):
        at = (torch.arange(n) + 0.5) / n
        hit = (at >= params.erase_low[:, axis, None]) & (at < params.erase_high[:, axis, None])
        inside = inside & hit.view(-1, 1, *[n if a == axis else 1 for a in range(len(shape))])
    return inside
