"""Tiny notebooks, written where a test can find them by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

PARAMETERS = """\
cohort: str = "tiny"  # which patients
n_folds: int = 5  # outer folds
lr: float = 0.1  # learning rate
quick: bool = True  # fewer epochs
genes: list = ["EGFR"]  # to show
out_dir: str = "."  # where the report goes
"""
METRICS = """\
import json, pathlib
metrics = {"cohort": cohort, "target": "stage2", "n": 40, "headline": f"{n_folds} folds",
           "models": {"fused": {"macro_auc": {"mean": 0.6 + n_folds / 100, "ci": [0.5, 0.7]}}}}
pathlib.Path(out_dir, "metrics.json").write_text(json.dumps(metrics))
"""


@pytest.fixture
def make_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`make_notebook("10_tiny", "code", ...)`: a title, a parameters cell and the cells, found by name."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setenv("MMFUSION_NOTEBOOKS", str(folder))

    def make(name: str, *cells: str, parameters: str = PARAMETERS) -> Path:
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A tiny report")])
        nb.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        nb.cells += [nbformat.v4.new_code_cell(source) for source in cells]
        path = folder / f"{name}.ipynb"
        nbformat.write(nb, path)
        return path

    return make
