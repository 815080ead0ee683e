"""An installed package is complete: built from an sdist and used from an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import mmfusion

ROOT = Path(__file__).parents[1]
SOURCES = ("mmfusion", "notebooks", "pyproject.toml", "setup.py", "README.md", "LICENSE")
SDIST = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command without what the surrounding shell says about mmfusion; gives what it prints."""
    ours = ("PYTHON", "MMFUSION", "JUPYTER")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)} | variables
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=900)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel, by way of an sdist, of a copy of the checkout: both must hold what they need."""
    copy = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)
    sdist = run(sys.executable, "-c", SDIST, copy / "dist", cwd=copy).splitlines()[-1]
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel")
    offline = ("--no-build-isolation", "--no-deps", "--no-index")
    run(*pip, *offline, "-w", copy / "dist", copy / "dist" / sdist, cwd=copy)
    (found,) = (copy / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A function that runs a command of an environment that has the wheel, and the dependencies of this one.

    The folder of this environment's packages is named in a .pth file. Python does not read the .pth files
    there, so that an editable mmfusion is not seen.
    """
    place = tmp_path_factory.mktemp("installed")
    environment, home, here = place / "env", place / "home", place / "here"
    home.mkdir()
    here.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=place)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    install = ("install", "--no-deps", "--no-index", wheel)
    run(sys.executable, "-m", "pip", "--python", scripts / "python", *install, cwd=place)
    (packages,) = {path.parent for path in environment.rglob("mmfusion") if path.is_dir()}
    theirs = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(theirs), encoding="utf-8")
    variables = {
        "HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "JUPYTER_PATH": str(Path(sys.prefix, "share/jupyter")),
    }

    def command(name: str, *arguments: str) -> str:
        return run(scripts / name, *arguments, cwd=here, **variables)

    command.home, command.here, command.packages = home, here, packages
    return command


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == mmfusion.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format requires
    assert citation["cff-version"] == "1.2.0" and citation["license"] == "Apache-2.0"


@pytest.mark.slow
def test_a_wheel_holds_every_file_of_the_package_and_the_notebooks(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    package = {p for p in (ROOT / "mmfusion").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert {p.relative_to(ROOT).as_posix() for p in package} - held == set()
    notebooks = {f"mmfusion/notebooks/{p.name}" for p in (ROOT / "notebooks").glob("*.ipynb")}
    assert (
        len(notebooks) >= 5 and {name for name in held if name.startswith("mmfusion/notebooks/")} == notebooks
    )
    assert {name.split("/")[0] for name in held} == {"mmfusion", f"mmfusion-{mmfusion.__version__}.dist-info"}


@pytest.mark.slow
def test_an_installed_package_works_from_an_empty_folder(installed):
    where = installed("python", "-c", "import mmfusion; print(mmfusion.__file__)")
    assert Path(where.strip()) == installed.packages / "mmfusion" / "__init__.py"
    assert installed("mmfusion", "--version") == f"mmfusion {mmfusion.__version__}\n"
    meta = installed("python", "-c", "from importlib.metadata import version as v; print(v('mmfusion'))")
    assert meta.strip() == mmfusion.__version__
    doctor = installed("mmfusion", "doctor")
    assert "no problems found" in doctor and str(installed.packages / "mmfusion" / "notebooks") in doctor
    listing = installed("mmfusion", "report")
    assert all(path.stem in listing for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert list(installed.here.iterdir()) == []

    written = installed("mmfusion", "notebooks", "mine")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"written: mine/{notebook.name}\n" in written
        assert (installed.here / "mine" / notebook.name).read_bytes() == notebook.read_bytes()

    told = installed("mmfusion", "report", "cohort", "-p", "n_scans=1")
    assert "reports/cohort/report.html\nindex: reports/index.html\n" in told
    found = json.loads((installed.here / "reports" / "cohort" / "metrics.json").read_text())
    assert found["n"] > 0 and found["optimum"] and found["headline"]
    assert (installed.home / ".cache" / "mmfusion" / "demo").is_dir()
    assert {path.name for path in installed.here.iterdir()} == {"mine", "reports"}
