"""Click on a lesion in the viewer: what the front end sends, what is segmented, shown and exported."""

import base64
import struct
import sys

import nbformat
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import mmfusion as mf
from mmfusion.errors import DataError, MMFusionError, ScanError
from mmfusion.imaging import Volume
from tests.lesions.click.scans import chest, dice

ipyniivue = pytest.importorskip("ipyniivue", reason="the extra view is not installed")
SEED = (15.0, 0.0, -464.0)


@pytest.fixture(scope="module")
def scan():
    return chest()


def move_to(click, point):
    """Send what the front end sends when the crosshair is moved: RAS mm, and a 1."""
    x, y, z = point
    data = {"ax_cor_sag": 0, "frac": [0.5] * 3, "mm": [-x, -y, z, 1.0], "vox": [0] * 3, "values": []}
    content = {"event": "location_change", "data": {**data, "string": "", "xy": [1, 1]}}
    message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
    click._viewer.widget._handle_msg(message)


def press(click):
    click.widget.children[1].children[0].click()


def told(click):
    return click.widget.children[2].value


def nifti(data):
    """Affine (RAS) and array (z, y, x) of the NIfTI that the front end gets, read without nibabel."""
    shape = struct.unpack_from("<8h", data, 40)[1:4]
    kind = {2: np.uint8, 4: np.int16, 16: np.float32}[struct.unpack_from("<h", data, 70)[0]]
    rows = np.array(struct.unpack_from("<12f", data, 280)).reshape(3, 4)
    return rows, np.frombuffer(data, kind, offset=352).reshape(shape[::-1])


def test_a_click_and_the_button_segment_the_lesion(scan):
    ct, (true,) = scan
    click = mf.click_lesion(ct)
    assert click.lesion is None
    move_to(click, SEED)
    assert click.lesion is None  # browsing segments nothing
    assert "(15.0, 0.0, -464.0) mm, LPS" in click.widget.children[1].children[1].value
    press(click)
    assert dice(click.lesion.mask, true) > 0.9
    same = mf.segment_lesion(ct, SEED)
    assert np.array_equal(click.lesion.mask.array, same.mask.array)
    assert f"{same.volume_ml:.3g}" in told(click) and f"{same.longest_mm:.1f}" in told(click)
    assert "No warnings" in told(click)


def test_another_click_replaces_the_mask():
    ct, (first, second) = chest([((15.0, 0.0, -464.0), 9.0), ((-10.0, 5.0, -464.0), 6.0)])
    click = mf.click_lesion(ct)
    for point, true in (((15.0, 0.0, -464.0), first), ((-10.0, 5.0, -464.0), second)):
        move_to(click, point)
        press(click)
        assert dice(click.lesion.mask, true) > 0.85
        assert len(click._viewer.widget.volumes) == 2  # the scan and one mask


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, -1), (1, -1, 1)])
@pytest.mark.parametrize("order", ["xyz", "zxy"])
def test_the_point_of_a_voxel_comes_back_as_the_same_voxel(flip, order):
    """A voxel that the front end finds with the affine of its file is that voxel of the scan."""
    turn = Rotation.from_euler("xyz", [10, -20, 15], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = (turn @ np.diag(flip))[:, ["xyz".index(axis) for axis in order]] @ np.diag(
        [0.7, 0.9, 2.0]
    )
    affine[:3, 3] = (30.0, -50.0, -400.0)
    values = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
    click = mf.click_lesion(Volume(values, affine))
    rows, array = nifti(click._viewer.widget.volumes[0].data)
    assert np.array_equal(array, values)
    for z, y, x in [(0, 0, 0), (4, 5, 6), (2, 1, 5)]:
        ras = rows @ (x, y, z, 1)
        move_to(click, ras * (-1, -1, 1))
        assert np.allclose(click.scan.mm_to_voxel(click.point), (x, y, z), atol=1e-4)
        assert f": {values[z, y, x]} HU" in click.widget.children[1].children[1].value


def test_the_mask_lies_where_the_scan_has_the_lesion(scan):
    ct, _ = scan
    click = mf.click_lesion(ct)
    click.segment(SEED)
    rows, array = nifti(click._viewer.widget.volumes[1].data)
    assert not any(side.any() for axis in range(3) for side in (array.take(0, axis), array.take(-1, axis)))
    inside = np.argwhere(array)[:, ::-1]
    lps = (inside @ rows[:, :3].T + rows[:, 3]) * (-1, -1, 1)
    voxels = np.rint(ct.mm_to_voxel(lps)).astype(int)
    again = np.zeros_like(click.lesion.mask.array)
    again[tuple(voxels[:, ::-1].T)] = 1
    assert np.array_equal(again, click.lesion.mask.array)


@pytest.mark.parametrize(
    ("point", "expected"),
    [((500.0, 0.0, -464.0), "a point outside the scan"), ((-29.0, -39.0, -499.0), "air")],
    ids=["outside", "air"],
)
def test_a_click_beside_a_lesion_says_so(scan, point, expected):
    ct, _ = scan
    air = ct.array.copy()
    air[:6, :12, :12] = -1000
    click = mf.click_lesion(Volume(air, ct.affine))
    click.segment(SEED)
    move_to(click, point)
    press(click)
    assert click.lesion is None
    assert expected in click.message and "No mask: " in told(click)
    assert len(click._viewer.widget.volumes) == 1  # the mask before is not shown any more
    button = click.widget.children[1].children[0]
    assert (button.disabled, button.description) == (False, "Segment here")
    click.segment(SEED)
    assert click.lesion is not None and click.message == ""


def test_warnings_are_shown(scan):
    ct, _ = scan
    click = mf.click_lesion(ct)
    click.segment((15.0, 12.0, -464.0))  # in the lung, 3 mm from the lesion
    assert click.lesion.warnings
    for text in click.lesion.warnings:
        assert f"Warning: {text[:20]}" in told(click)


def test_an_exported_notebook_has_a_picture(scan):
    ct, _ = scan
    click = mf.click_lesion(ct)
    empty = click._repr_mimebundle_()
    click.segment(SEED)
    bundle = click._repr_mimebundle_()
    assert {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
    assert base64.b64decode(bundle["image/png"])[:4] == b"\x89PNG"
    assert bundle["image/png"] != empty["image/png"]
    assert len(click.still.axes) == 3
    assert "mL" in click.still.texts[0].get_text()


def test_the_picture_below_the_viewer_follows_the_clicks(scan, monkeypatch):
    import IPython.display

    shown = []

    class Handle:
        def update(self, data, **options):
            shown.append(data)

    def display(data, **options):
        shown.append(data)
        return Handle() if options.get("display_id") else None

    monkeypatch.setattr(IPython.display, "display", display)
    click = mf.click_lesion(scan[0])
    click._ipython_display_()
    assert [sorted(data) for data in shown] == [
        ["application/vnd.jupyter.widget-view+json", "text/plain"],
        ["image/png", "text/plain"],
    ]
    click.segment(SEED)
    assert len(shown) == 3 and shown[2]["image/png"] != shown[1]["image/png"]


@pytest.mark.slow
def test_html_of_a_notebook_with_a_click(tmp_path):
    from nbconvert import HTMLExporter

    from mmfusion.reports.execute import execute

    code = [
        "import mmfusion as mf\nfrom tests.lesions.click.scans import chest",
        "click = mf.click_lesion(chest()[0])",
        "click",
        "click.segment((15.0, 0.0, -464.0))",
    ]
    path = tmp_path / "n.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in code]), path)
    execute(path, tmp_path / "out.ipynb", {}, progress=False)
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    picture = next(out.data["image/png"] for out in executed.cells[2].outputs if "image/png" in out.data)
    page, _ = HTMLExporter().from_notebook_node(executed)
    assert picture.strip()[:200] in page.replace("\n", "")
    assert "LesionMask(" in str(executed.cells[2].outputs)  # the picture is that after the click


def test_without_the_extra_one_error_says_what_to_install(scan, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipyniivue", None)
    with pytest.raises(MMFusionError, match=r"ipyniivue is not installed -> pip install 'mmfusion\[view\]'"):
        mf.click_lesion(scan[0])


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"method": "magic"}, DataError, "unknown method"),
        ({"margin": "wide"}, DataError, "unknown margin"),
        ({"planes": "oblique"}, DataError, "unknown planes"),
        ({"window": "brain"}, ScanError, "unknown window"),
        ({"series": "thinnest"}, ScanError, "series is for DICOM"),
    ],
)
def test_bad_options(scan, options, error, text):
    with pytest.raises(error, match=text):
        mf.click_lesion(scan[0], **options)
