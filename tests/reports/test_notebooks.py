"""Where notebooks are found, and copies of those that come with the package."""

from __future__ import annotations

import pytest

from mmfusion.errors import ReportError
from mmfusion.reports import notebooks
from mmfusion.reports.notebooks import copy_notebooks, find_notebook, list_notebooks, notebook_folders


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As after `pip install`: two notebooks in the package, no checkout, an empty current folder."""
    package, here = tmp_path / "site-packages" / "mmfusion" / "notebooks", tmp_path / "here"
    package.mkdir(parents=True)
    here.mkdir()
    for name in ("00_cohort", "20_stage_fusion"):
        (package / f"{name}.ipynb").write_text(name)
    monkeypatch.delenv("MMFUSION_NOTEBOOKS", raising=False)
    monkeypatch.setattr(notebooks, "_checkout", lambda: None)
    monkeypatch.setattr(notebooks, "_packaged", lambda: package)
    monkeypatch.chdir(here)
    return package


def test_the_package_is_the_last_place(installed, tmp_path, monkeypatch):
    assert find_notebook("stage_fusion") == installed / "20_stage_fusion.ipynb"
    mine = tmp_path / "here" / "notebooks"
    mine.mkdir()
    (mine / "20_stage_fusion.ipynb").write_text("edited")
    assert notebook_folders() == [mine, installed]
    assert list_notebooks() == [installed / "00_cohort.ipynb", mine / "20_stage_fusion.ipynb"]
    checkout = tmp_path / "checkout" / "notebooks"
    checkout.mkdir(parents=True)
    monkeypatch.setattr(notebooks, "_checkout", lambda: checkout)
    assert notebook_folders() == [checkout, mine, installed]
    monkeypatch.setenv("MMFUSION_NOTEBOOKS", str(mine))
    assert notebook_folders() == [mine]


def test_copies_are_made_once_and_an_edited_one_is_never_overwritten(installed, tmp_path):
    copies = tmp_path / "a" / "b"
    written, unchanged = copy_notebooks(copies)
    assert [path.name for path in written] == ["00_cohort.ipynb", "20_stage_fusion.ipynb"] and not unchanged
    assert (copies / "00_cohort.ipynb").read_text() == "00_cohort"
    assert copy_notebooks(copies) == ([], written)
    (copies / "00_cohort.ipynb").unlink()
    (copies / "20_stage_fusion.ipynb").write_text("edited")
    with pytest.raises(ReportError, match=r"were edited.*got 20_stage_fusion.ipynb"):
        copy_notebooks(copies)
    assert [path.name for path in copies.iterdir()] == ["20_stage_fusion.ipynb"]
    assert (copies / "20_stage_fusion.ipynb").read_text() == "edited"


def test_a_place_that_cannot_be_written_is_one_error(installed, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="could not be written"):
        copy_notebooks(tmp_path / "file" / "below")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "00_cohort.ipynb").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ReportError, match="were edited"):
        copy_notebooks(tmp_path / "full")


def test_an_installation_without_notebooks_says_so(installed, tmp_path):
    for path in installed.iterdir():
        path.unlink()
    with pytest.raises(ReportError, match="has no notebooks"):
        copy_notebooks(tmp_path / "copies")
