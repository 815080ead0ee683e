"""The demo as files, and a notebook, for the tests of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmfusion.cli import main
from tests.reports.conftest import make_notebook  # noqa: F401 - a fixture


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """A demo cohort of twelve, as `mmfusion demo` writes it."""
    folder = tmp_path_factory.mktemp("cli") / "demo"
    assert main(["demo", str(folder), "--n", "12"]) == 0
    return folder
