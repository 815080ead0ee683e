"""The examples in the docstrings of the report engine."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import iter_modules

import pytest

import mmfusion.reports


@pytest.mark.parametrize("name", [m.name for m in iter_modules(mmfusion.reports.__path__)])
def test_examples_give_what_they_show(name):
    found = doctest.testmod(import_module(f"mmfusion.reports.{name}"))
    assert not found.failed
