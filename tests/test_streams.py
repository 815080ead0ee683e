import doctest

import pytest

from mmfusion import streams
from mmfusion.errors import MMFusionError
from mmfusion.streams import CUBE, GENES, TABLE, StreamSpec


@pytest.mark.parametrize(
    ("shape", "fitting", "is_image"),
    [
        ((200,), [GENES], False),
        ((2, 12), [TABLE], False),
        ((3, 12), [], False),
        ((1, 32, 32, 32), [CUBE], True),
        ((24, 2, 64, 48), [], True),
        ((2, 24, 64, 48), [], True),
    ],
)
def test_shapes_and_patterns(shape, fitting, is_image):
    spec = StreamSpec("x", "ct", shape)
    assert [pattern for pattern in (GENES, TABLE, CUBE) if spec.fits(pattern)] == fitting
    assert spec.is_image == is_image
    assert spec.fits(shape) and spec.fits((None,) * len(shape)) and not spec.fits((*shape, None))


@pytest.mark.parametrize("shape", [(), (2, -1), (2.5,)])
def test_impossible_shapes(shape):
    with pytest.raises(MMFusionError, match="'x' has no possible shape"):
        StreamSpec("x", "ct", shape)


def test_examples():
    assert doctest.testmod(streams).attempted and not doctest.testmod(streams).failed
