import numpy as np
import pytest
import pywt
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.haar import haar, inverse_haar

SIDES = {1: (8,), 2: (6, 8), 3: (4, 6, 8)}
dims = pytest.mark.parametrize("dims", [1, 2, 3])


def a_map(dims: int) -> torch.Tensor:
    return torch.randn(2, 3, *SIDES[dims], generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@dims
def test_equals_pywavelets(dims):
    x = a_map(dims)
    parts = haar(x).unflatten(1, (-1, 3))
    for key, expected in pywt.dwtn(x.numpy(), "haar", axes=tuple(range(2, 2 + dims))).items():
        place = sum(2**axis for axis, letter in enumerate(key) if letter == "d")
        np.testing.assert_allclose(parts[:, place], expected, atol=1e-12)


@dims
def test_nothing_is_lost(dims):
    x = a_map(dims)
    out = haar(x)
    assert out.shape == (2, 3 * 2**dims, *(side // 2 for side in SIDES[dims]))
    torch.testing.assert_close(inverse_haar(out), x)
    torch.testing.assert_close(out.square().sum(), x.square().sum())
    torch.testing.assert_close(haar(inverse_haar(out)), out)


def test_a_constant_has_no_differences():
    out = haar(torch.full((1, 1, 4, 4), 3.0))
    torch.testing.assert_close(out[:, 0], torch.full((1, 2, 2), 6.0))
    assert not out[:, 1:].any()


def test_wrong_sides_and_channels():
    with pytest.raises(MMFusionError, match=r"even sides.*\(4, 5\)"):
        haar(torch.zeros(1, 1, 4, 5))
    with pytest.raises(MMFusionError, match=r"a multiple of 4 channels"):
        inverse_haar(torch.zeros(1, 6, 4, 4))
