"""The examples in the docstrings of every module run and give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import mmfusion

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(mmfusion.__path__, "mmfusion.")
    if module.name != "mmfusion.__main__"  # importing it runs the command line
)


def test_all_modules_are_found():
    assert len(MODULES) > 100
    assert {"mmfusion.errors", "mmfusion.metrics.paired", "mmfusion.nn.training.plan"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert not result.failed
