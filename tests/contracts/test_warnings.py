"""Every room gives warnings with `mmfusion.errors.warn`; the state of the process changes in few places."""

import ast
from functools import cache
from pathlib import Path

import pytest

import mmfusion

ROOT = Path(mmfusion.__file__).parent
ALLOWED = {  # name of the call -> the files that may have it, and why
    "warn": ("errors.py", "storage/atomic.py"),  # the one function; a warning about the machine
    "warn_explicit": (),
    "catch_warnings": ("exclusive.py", "imaging/dicom/decoder.py"),  # the decoder is a process of its own
    "simplefilter": ("exclusive.py", "imaging/dicom/decoder.py"),
    "filterwarnings": ("exclusive.py",),
    "set_num_threads": ("thread_counts.py",),
    "rc_context": ("imaging/views/settings.py",),
    "fork_rng": (
        "explain/conditional.py",
        "imaging/isolation.py",
        "nn/foundation.py",
        "nn/training/random.py",
    ),
}


@cache
def calls():
    return tuple(_calls())


def _calls():
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                function = node.func
                if isinstance(function, ast.Attribute):
                    owner = function.value.id if isinstance(function.value, ast.Name) else ""
                    yield path.relative_to(ROOT).as_posix(), owner, function.attr
                elif isinstance(function, ast.Name):
                    yield path.relative_to(ROOT).as_posix(), "", function.id


@pytest.mark.parametrize("name", ALLOWED)
def test_state_of_the_process_changes_in_one_place(name):
    named = [(path, owner) for path, owner, called in calls() if called == name]
    found = {path for path, owner in named if name != "warn" or owner == "warnings"}
    assert found <= set(ALLOWED[name]), "use mmfusion.errors.warn and gathered, or mmfusion.exclusive"
