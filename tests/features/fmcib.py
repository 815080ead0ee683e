"""Load single files of the installed fmcib package; all of it needs libraries that we cannot install."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest


def fmcib_module(name: str, monkeypatch) -> ModuleType:
    """fmcib's module `name` ("models/load_model.py"); the test is skipped where the package is absent."""
    spec = importlib.util.find_spec("fmcib")
    if spec is None:
        pytest.skip("fmcib is not installed: pip install --no-deps foundation-cancer-image-biomarker")
    for absent in ("loguru", "torchvision"):  # a log, and a Lambda
        if importlib.util.find_spec(absent) is None:
            monkeypatch.setitem(sys.modules, absent, _stub())
    path = Path(spec.submodule_search_locations[0], name)
    where = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location("fmcib_under_test", path, submodule_search_locations=where)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fmcib_under_test", module)
    spec.loader.exec_module(module)
    return module


def _stub() -> MagicMock:
    stub = MagicMock()
    stub.transforms.Lambda = lambda function: function
    return stub
