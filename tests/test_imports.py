"""Nothing happens at import, help is instant, and the rooms import only what stands above them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "pandas", "numpy", "sklearn", "monai", "papermill", "matplotlib")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy():
    assert python(f"import sys, mmfusion; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = f"""
import sys
from mmfusion.cli import main
try:
    main({arguments})
except SystemExit as end:
    sys.stderr.write(str(end.code))
print("loaded", [m for m in {HEAVY} if m in sys.modules])
"""
    assert python(code).splitlines()[-1] == "loaded []"


@pytest.mark.parametrize(
    "name", ["mf.evaluation.leakage.run_demos", "mf.explain.genes", "mf.StagePrediction"]
)
def test_names_that_scripts_use_are_found_without_another_import(name):
    assert python(f"import mmfusion as mf; print({name}.__name__)") == name.split(".")[-1]


def test_unknown_attributes_are_errors():
    assert "no attribute" in python(
        "import mmfusion\ntry: mmfusion.nonsense\nexcept AttributeError as e: print(e)"
    )


def test_import_leaves_global_state_alone():
    code = """
import random
import numpy as np, torch
import skorch  # which draws from `random` at import
before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
flags = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic
import mmfusion.reports, mmfusion.staging, mmfusion.evaluation
mmfusion.reports.run_report
after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
assert before == after
now = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic
print(flags == now)
"""
    assert python(code) == "True"


def test_rooms_import_only_from_those_above():
    command = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
