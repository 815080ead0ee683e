"""Every script of benchmarks/ can be imported, and hides no installed module from the others."""

from __future__ import annotations

import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", [*SCRIPTS, "lesions"])
def test_no_script_has_the_name_of_an_installed_module(name):
    # Python looks in the folder of the script first: numba once found benchmarks/coverage.py
    assert find_spec(name) is None


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_finds_all_that_it_imports(name, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    assert "main" in runpy.run_path(str(FOLDER / f"{name}.py"), run_name="imported")
