import base64
import re

import nbformat
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging import slider
from mmfusion.reports.execute import execute
from mmfusion.reports.html import notebook_html
from tests.imaging.test_montage import mask_of, scan


def test_the_slider_changes_the_slice():
    view = slider(scan(), mask_of(scan()), n=2)
    (planes, windows), at, image = view.widget.children[0].children, *view.widget.children[1:]
    assert (at.min, at.max, at.value) == (0, 11, 9)  # the middle of the mask
    assert image.value[:4] == b"\x89PNG"
    seen = [image.value]
    at.value = 3
    seen.append(image.value)
    windows.value = "bone"
    seen.append(image.value)
    planes.value = "coronal"
    seen.append(image.value)
    assert (at.max, at.value) == (39, 32)
    assert len(set(seen)) == 4
    assert image.value == view.picture(32, "coronal", "bone")


def test_an_exported_notebook_shows_a_montage():
    view = slider(scan(), mask_of(scan()), plane="sagittal", n=2, window=(-500, 200))
    bundle = view._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.jupyter.widget-view+json", "image/png"}
    assert base64.b64decode(bundle["image/png"]) == view.still._repr_png_()
    assert len(view.still.axes) == 2
    assert view.widget.children[0].children[1].value is None  # the window as given


@pytest.mark.slow
def test_the_report_has_the_still(tmp_path):
    cells = [
        nbformat.v4.new_markdown_cell("# A scan"),
        nbformat.v4.new_code_cell(
            "from tests.imaging.test_montage import scan\nfrom mmfusion.imaging import slider"
        ),
        nbformat.v4.new_code_cell("slider(scan(), n=2)"),
    ]
    path = tmp_path / "n.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    execute(path, tmp_path / "out.ipynb", {}, progress=False)
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    still = executed.cells[-1].outputs[0].data["image/png"]
    page = notebook_html(executed, title="A scan")
    assert page.count("<img") == 1
    assert re.sub(r"\s", "", still)[:200] in page
    assert 'alt="Figure: A scan"' in page
    assert "<script" not in page


def test_what_cannot_be_shown():
    with pytest.raises(ScanError, match="unknown plane"):
        slider(scan(), plane="frontal")
    with pytest.raises(ScanError, match="unknown window"):
        slider(scan(), window="brain")
