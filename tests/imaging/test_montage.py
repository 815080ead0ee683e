import matplotlib as mpl
import numpy as np
import pytest

import mmfusion as mf
from mmfusion.errors import ScanError
from mmfusion.imaging import Volume, montage, read, read_mask
from mmfusion.imaging.views.montage import slices
from mmfusion.imaging.views.scene import Scene
from tests.imaging.test_volume import affine_of, turned

SPACING = (5.0, 1.0, 2.0)


def scan(order=(0, 1, 2), signs=(1, 1, 1)):
    """Air with a bright block towards the patient's left, back and head; any orientation of the array."""
    array = np.full((12, 40, 20), -1000, np.int16)
    array[8:11, 28:36, 14:18] = 100
    lps = Volume(array, affine_of(SPACING, (-20, -10, 30)))
    affine = np.eye(4)
    affine[:3, :3] = turned(order, signs) * np.array(lps.spacing[::-1])[list(order)]
    shape = np.array(lps.shape[::-1])[list(order)]
    affine[:3, 3] = lps.center_mm - affine[:3, :3] @ ((shape - 1) / 2)
    return lps.on_grid(affine, tuple(shape[::-1]))


def mask_of(volume):
    return Volume((volume.array > 0).astype(np.uint8), volume.affine, unit="mask")


def drawn(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].mean(-1)


@pytest.mark.parametrize(("order", "signs"), [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, 1, -1))])
@pytest.mark.parametrize(
    ("plane", "letters", "across", "down"),
    [("axial", "RLAP", 0.8, 0.8), ("coronal", "RLSI", 0.8, 0.21), ("sagittal", "APSI", 0.8, 0.21)],
)
def test_radiological_convention(plane, letters, across, down, order, signs):
    volume = scan(order, signs)
    figure = montage(volume, mask_of(volume), n=1, plane=plane, window=(-1000, 100))
    (ax,) = figure.axes
    assert "".join(t.get_text() for t in ax.texts[:4]) == letters
    left, right, top, bottom = (t.get_position() for t in ax.texts[:4])
    assert left[0] < 0.1 < 0.9 < right[0]
    assert bottom[1] < 0.1 < 0.9 < top[1]
    image = drawn(figure)
    image[: int(0.08 * len(image))] = image[int(0.88 * len(image)) :] = 0  # letters
    rows, columns = np.nonzero(image[:, 20:-20] > 200)
    assert columns.mean() / image.shape[1] == pytest.approx(
        across, abs=0.06
    )  # the block is left, and lies right
    assert rows.mean() / image.shape[0] == pytest.approx(down, abs=0.06)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_panels_are_true_in_mm(plane):
    volume = scan()
    figure = montage(volume, n=3, plane=plane)
    figure.canvas.draw()
    height, width = {"axial": (40, 40), "coronal": (60, 40), "sagittal": (60, 40)}[plane]
    for ax in figure.axes:
        box = ax.get_window_extent()
        assert box.height / box.width == pytest.approx(height / width, rel=1e-3)
        assert abs(np.subtract(*ax.get_xlim())) == pytest.approx(width)


def test_which_slices_are_shown():
    volume = scan()
    scene = Scene.of(volume, mask_of(volume))
    assert slices(scene, "axial", 12) == [10, 9, 8]  # from the head down
    assert slices(scene, "coronal", 4) == [28, 30, 32, 34]  # from the front
    point = volume.voxel_to_mm((3, 9, 5))
    assert slices(Scene.of(volume, point=point), "axial", 4) == [8, 5, 2]
    assert 9 in slices(Scene.of(volume, mask_of(volume), point), "coronal", 4)
    assert slices(Scene.of(volume), "axial", 2) == [10, 8]  # where there is a patient
    assert len(montage(volume, mask_of(volume), n=12).axes) == 3


def test_zoom_is_around_the_mask_or_point():
    volume = scan()
    (ax,) = montage(volume, mask_of(volume), n=1, zoom_mm=20).axes
    center = volume.voxel_to_mm((15.5, 31.5, 9))
    assert ax.get_xlim() == pytest.approx((center[0] - 10, center[0] + 10))
    assert ax.get_ylim() == pytest.approx((center[1] + 10, center[1] - 10))
    (ax,) = montage(volume, point=(0, 0, 50), n=1, zoom_mm=20, plane="sagittal").axes
    assert (ax.get_xlim(), ax.get_ylim()) == ((-10, 10), (40, 60))


def test_masks_have_names_and_colours_and_a_pet_its_bar():
    volume = scan()
    pet = Volume(np.full((6, 10, 10), 5, np.float32), affine_of((10, 4, 4), (-19, -8, 32)), "PT", "SUVbw")
    figure = montage(
        volume, {"tumour": mask_of(volume), "node": mask_of(volume)}, overlay=pet, n=2, title="P1"
    )
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["tumour", "node"]
    assert figure.axes[-1].get_title(loc="left") == "SUVbw"
    assert figure.texts[0].get_text() == "P1"
    assert len(figure.axes[0].images) == 2


def test_nothing_global_changes_and_nothing_given_does():
    volume = scan((2, 0, 1), (-1, 1, -1))
    mask = mask_of(volume)
    before = dict(mpl.rcParams), volume.array.copy(), mask.array.copy()
    figure = montage(volume, mask, (0, 0, 60), n=2)
    assert figure._repr_png_()[:4] == b"\x89PNG"
    assert dict(mpl.rcParams) == before[0]
    np.testing.assert_array_equal(volume.array, before[1])
    np.testing.assert_array_equal(mask.array, before[2])
    from matplotlib import _pylab_helpers

    assert not _pylab_helpers.Gcf.figs


def test_real_ones(shared_data, tmp_path):
    ct, pet = (read(shared_data / "pet_ct" / f"AMC-001_{kind}.zip") for kind in ("ct", "pet"))
    mf.imaging.montage(ct, overlay=pet, n=2, window="mediastinum").savefig(tmp_path / "m.png", dpi=60)
    assert (tmp_path / "m.png").stat().st_size > 10_000
    folder = shared_data / "rtstruct"
    scanned = read(folder / "4D-Lung-113_ct.zip")
    tumour = read_mask(folder / "4D-Lung-113_rtstruct.dcm", scanned, "Tumor_c40")
    assert len(montage(scanned, tumour, n=4, zoom_mm=100).axes) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plane": "oblique"}, "unknown plane .*axial, coronal, sagittal"),
        ({"window": "brain"}, "unknown window .*lung, mediastinum"),
        ({"window": (100, -100)}, "an empty window"),
        ({"n": 0}, "nothing to show"),
        ({"zoom_mm": -3}, "nothing to show"),
        ({"point": (900, 0, 0)}, "a point outside the scan"),
        ({"mask": scan()}, "not a mask"),
    ],
)
def test_what_cannot_be_shown(options, message):
    with pytest.raises(ScanError, match=message):
        montage(scan(), **options)
