"""All public objects have a docstring, and its first line says what the object is or does."""

import ast
import re
from pathlib import Path

import pytest

import mmfusion

ROOT = Path(mmfusion.__file__).parent
FILES = sorted(file.relative_to(ROOT).as_posix() for file in ROOT.rglob("*.py"))
COLUMNS = 110
RIDDLE = re.compile(r"(What|Which|Whether|Who|Whom|Whose|Where|How|Those|That)\b")  # no clause as first line
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(node, name):
    """Yield (name, node) of a module and of the public classes, functions and methods in it."""
    yield name, node
    for child in node.body:
        if isinstance(child, DEFINITIONS) and not child.name.startswith("_"):
            yield from public(child, child.name) if isinstance(child, ast.ClassDef) else [(child.name, child)]


def problems(source):
    """Return one line per docstring that is missing, too wide, or begins with a clause."""
    found = []
    for name, node in public(ast.parse(source), "module"):
        if not (text := ast.get_docstring(node)):
            found.append(f"{name}: no docstring")
            continue
        first = source.splitlines()[node.body[0].lineno - 1]
        if len(first) > COLUMNS:
            found.append(f"{name}: the first line has {len(first)} columns")
        if match := RIDDLE.match(text):
            found.append(f"{name}: begins with {match[1]!r}")
    return found


@pytest.mark.parametrize("file", FILES)
def test_first_lines(file):
    assert problems((ROOT / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Read a file."""\n\n\ndef read():\n    """Return the bytes of a file."""', []),
        ("def read(): ...", ["module: no docstring", "read: no docstring"]),
        ('"""What a file holds."""', ["module: begins with 'What'"]),
        (f'"""{"a" * 108}"""', ["module: the first line has 114 columns"]),
        (
            '"""A module."""\nclass Reader:\n    """A reader."""\n    def run(self): ...\n'
            "    def _go(self): ...",
            ["run: no docstring"],
        ),
    ],
    ids=["good", "missing", "clause", "wide", "method"],
)
def test_problems_are_found(source, expected):
    assert problems(source) == expected
