"""What made a report: versions, commit, machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mmfusion

PACKAGES = (
    "torch", "numpy", "pandas", "scikit-learn", "scipy", "monai", "torch-geometric", "skorch", "optuna", "shap",
    "captum", "papermill", "nbconvert",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Installed versions of Python, mmfusion and what its numbers depend on; nothing is imported for it."""
    found = {"python": platform.python_version(), "mmfusion": mmfusion.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def git_commit() -> str | None:
    """Commit of the checkout that this package runs from, "+changes" where files differ; None outside one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def machine() -> dict[str, object]:
    """System, processor and cores."""
    return {"system": platform.platform(), "cores": os.cpu_count(), "executable": Path(sys.executable).name}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()
