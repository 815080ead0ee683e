"""Look up the versions, the commit and the machine with which a report is made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mmfusion

PACKAGES = (
    *("torch", "numpy", "pandas", "scikit-learn", "scipy", "monai", "torch-geometric", "skorch", "optuna"),
    *("shap", "captum", "papermill", "nbconvert"),
)


def versions() -> dict[str, str]:
    """Return the versions of Python, mmfusion and other libraries, without importing them."""
    found = {"python": platform.python_version(), "mmfusion": mmfusion.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def git_commit() -> str | None:
    """Return the commit of the checkout, with "+changes" if files differ; None outside a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def machine() -> dict[str, object]:
    """Return the system, the number of cores and the name of the Python program."""
    return {"system": platform.platform(), "cores": os.cpu_count(), "executable": Path(sys.executable).name}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()
