"""The repository's own notebooks: documented parameters, stripped, paired with their text."""

from __future__ import annotations

import ast

import pytest

from mmfusion.reports.notebooks import list_notebooks, read_notebook
from mmfusion.reports.parameters import RESERVED, Parameter, notebook_parameters

NOTEBOOKS = [pytest.param(path, id=path.stem) for path in list_notebooks()]


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_every_parameter_is_typed_and_explained(path):
    cell = next(c for c in read_notebook(path).cells if "parameters" in c.metadata.get("tags", ()))
    assigned = [node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign | ast.AnnAssign)]
    assert all(isinstance(node, ast.AnnAssign) for node in assigned)
    known = notebook_parameters(path)
    assert [node.target.id for node in assigned] == list(
        known
    )  # what papermill cannot parse, it would not offer
    assert [name for name, p in known.items() if not p.help] == []
    assert "out_dir" in known


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_every_default_is_of_its_type(path):
    for name, p in notebook_parameters(path).items():
        if name not in RESERVED:
            assert p.convert(p.default) == p.default


@pytest.mark.parametrize(
    ("kind", "default", "text", "value"),
    [
        ("int", 1, "12", 12),
        ("int", 1, 3.0, 3),
        ("float", 1.0, "1e-3", 0.001),
        ("float", 1.0, 2, 2.0),
        ("bool", False, "True", True),
        ("bool", True, "no", False),
        ("str", "", "12", "12"),
        ("list[str]", [], "ct, rna", ["ct", "rna"]),
        ("list[float]", [], "[0.25, 1]", [0.25, 1]),
        ("list", [], ("ct",), ["ct"]),
        ("dict", {}, "{'a': 1}", {"a": 1}),
        ("Optional[int]", None, "", None),
        ("Optional[int]", None, "4", 4),
        ("int", None, None, None),
    ],
)
def test_text_is_read_as_the_annotated_type(kind, default, text, value):
    converted = Parameter("p", kind, default, "").convert(text)
    assert converted == value
    assert type(converted) is type(value)
