"""Tests of CONTRIBUTING: its encoder and its segmenter pass the contract tests, its parameters are read."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import jupytext
import nbformat
import pytest

import mmfusion as mf
from mmfusion.registry import ENCODERS, SEGMENTERS, Registry
from mmfusion.reports.parameters import notebook_parameters
from tests.cohorts import tiny_cohort
from tests.contracts import test_encoders, test_segmenters
from tests.staging.quick import QUICK

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def register(monkeypatch: pytest.MonkeyPatch, registry: Registry, start: str) -> None:
    """Run the example that has a line with this start; its class leaves the registry after the test."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    monkeypatch.setattr(registry, "_facts", dict(registry._facts))
    block = next(block for block in BLOCKS if f"\n{start}" in block)
    exec(compile(block, "CONTRIBUTING.md", "exec"), {"__name__": "example"})


def quick_checks(contract: object) -> Iterator[tuple[Callable, dict[str, object]]]:
    """Yield each test of a contract that is not slow, with the arguments beside the name."""
    for name, check in inspect.getmembers(contract, inspect.isfunction):
        marks = getattr(check, "pytestmark", [])
        if name.startswith("test_") and not any(mark.name == "slow" for mark in marks):
            given = [mark.args for mark in marks if mark.name == "parametrize"]
            for arguments in [{key: value} for key, values in given for value in values] or [{}]:
                yield check, arguments


def test_the_encoder_of_the_example_is_a_good_one(monkeypatch):
    register(monkeypatch, ENCODERS, "@ENCODERS.register")
    for check, further in quick_checks(test_encoders):
        check("gene_mean", **further)
    cohort = tiny_cohort()
    model = mf.StageClassifier(**QUICK, encoders={"rna": "gene_mean"}).fit(cohort.X, cohort.y)
    assert model.predict_proba(cohort.X).shape == (len(cohort), 3)


def test_the_segmenter_of_the_example_is_a_good_one(monkeypatch):
    register(monkeypatch, SEGMENTERS, "@SEGMENTERS.register")
    for check, further in quick_checks(test_segmenters):
        check("conv_stack", **further)
    assert mf.LesionSegmenter("conv_stack").settings.modalities == ("ct",)


def test_the_parameters_of_the_example_are_read(tmp_path):
    cell = next(block for block in BLOCKS if "parameters" in block)
    nbformat.write(jupytext.reads(cell, fmt="py:percent"), tmp_path / "60_mine.ipynb")
    known = notebook_parameters(tmp_path / "60_mine.ipynb")
    assert list(known) == ["cohort", "outer", "out_dir", "work_dir"]
    assert known["outer"].default == 5 and known["outer"].help
