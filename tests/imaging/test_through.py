import numpy as np
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging import three_planes
from tests.imaging.test_montage import mask_of, scan


def test_three_slices_through_the_point_at_one_scale():
    ct = scan()
    point = mask_of(ct).centroid_mm
    figure = three_planes(ct, point, mask_of(ct), title="block")
    assert len(figure.axes) == 3
    wide, high = figure.get_size_inches()
    for ax in figure.axes:
        (left, right), (low, up), place = ax.get_xlim(), ax.get_ylim(), ax.get_position()
        inch = place.width * wide / abs(right - left)
        assert inch == pytest.approx(place.height * high / abs(up - low))
        assert inch == pytest.approx(figure.axes[0].get_position().width * wide / 40)
        assert any(line.get_marker() == "+" for line in ax.lines)
    names = [
        next(t.get_text() for t in ax.texts if t.get_text()[:2] in ("x ", "y ", "z ")) for ax in figure.axes
    ]
    assert names == [f"{axis} {mm:.0f} mm".replace("-", "−") for axis, mm in zip("zyx", slices_mm(ct, point))]


def slices_mm(ct, point):
    """z, y and x of the centres of the slices that contain a point."""
    return ct.voxel_to_mm(np.rint(ct.mm_to_voxel(point)))[::-1]


def test_zoom_is_around_the_point():
    ct = scan()
    point = mask_of(ct).centroid_mm
    for ax in three_planes(ct, point, zoom_mm=8.0).axes:
        assert abs(np.diff(ax.get_xlim())[0]) == pytest.approx(8)
        assert abs(np.diff(ax.get_ylim())[0]) == pytest.approx(8)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"zoom_mm": 0}, "zoom_mm"),
        ({"window": "brain"}, "unknown window"),
        ({"point": (900, 0, 0)}, "outside"),
    ],
)
def test_bad_options(options, text):
    ct = scan()
    with pytest.raises(ScanError, match=text):
        three_planes(ct, **{"point": ct.center_mm, **options})
