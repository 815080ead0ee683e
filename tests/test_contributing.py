"""Tests of CONTRIBUTING: its encoder passes the contract tests, its notebook's parameters are read."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import jupytext
import nbformat

import mmfusion as mf
from mmfusion.registry import ENCODERS
from mmfusion.reports.parameters import notebook_parameters
from tests.cohorts import tiny_cohort
from tests.contracts import test_encoders as contract
from tests.staging.test_classifier import QUICK

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_encoder_of_the_example_is_a_good_one(monkeypatch):
    monkeypatch.setattr(ENCODERS, "_classes", dict(ENCODERS._classes))
    monkeypatch.setattr(ENCODERS, "_facts", dict(ENCODERS._facts))
    exec(compile(BLOCKS[0], "CONTRIBUTING.md", "exec"), {"__name__": "example"})
    for name, check in inspect.getmembers(contract, inspect.isfunction):
        if name.startswith("test_"):
            check("gene_mean")
    cohort = tiny_cohort()
    model = mf.StageClassifier(**QUICK, encoders={"rna": "gene_mean"}).fit(cohort.X, cohort.y)
    assert model.predict_proba(cohort.X).shape == (len(cohort), 3)


def test_the_parameters_of_the_example_are_read(tmp_path):
    cell = next(block for block in BLOCKS if "parameters" in block)
    nbformat.write(jupytext.reads(cell, fmt="py:percent"), tmp_path / "60_mine.ipynb")
    known = notebook_parameters(tmp_path / "60_mine.ipynb")
    assert list(known) == ["cohort", "outer", "out_dir", "work_dir"]
    assert known["outer"].default == 5 and known["outer"].help
