"""Find the notebooks that reports are made of."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat

from mmfusion.errors import ReportError

_NUMBER = re.compile(r"^\d+_")


def notebook_folders() -> list[Path]:
    """Where notebooks are looked for: `$MMFUSION_NOTEBOOKS` if it is set, else the checkout and the current folder."""
    if chosen := os.environ.get("MMFUSION_NOTEBOOKS"):
        return [Path(chosen)]
    places = (Path(__file__).parents[2] / "notebooks", Path.cwd() / "notebooks")
    return list(dict.fromkeys(p.resolve() for p in places if p.is_dir()))


def list_notebooks() -> list[Path]:
    """Every notebook that has a report's number, in order."""
    found: dict[str, Path] = {}
    for folder in notebook_folders():
        for path in sorted(folder.glob("*.ipynb")):
            if _NUMBER.match(path.stem):
                found.setdefault(path.stem, path)
    return [found[stem] for stem in sorted(found)]


def find_notebook(name: str | Path) -> Path:
    """The notebook called `name`, with or without its number, or at that path.

    Raises
    ------
    ReportError
        If there is none, or there are two; lists what there is.
    """
    path = Path(name)
    if path.suffix == ".ipynb":
        if not path.is_file():
            raise ReportError("no such notebook", file=path)
        return path
    notebooks = list_notebooks()
    found = [p for p in notebooks if str(name) in {p.stem, short_name(p)}]
    if len(found) == 1:
        return found[0]
    hint = None if notebooks else "set MMFUSION_NOTEBOOKS to the folder of the notebooks"
    names = ", ".join(p.stem for p in found or notebooks) or "none found"
    problem = f"{'two notebooks are' if found else 'no notebook is'} called {str(name)!r}"
    raise ReportError(problem, expected=f"one of {names}", hint=hint)


def short_name(notebook: Path) -> str:
    """Its name without the number: notebooks/20_stage_fusion.ipynb is stage_fusion."""
    return _NUMBER.sub("", notebook.stem)


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """The notebook in the current format; raises `ReportError` if the file is none."""
    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, KeyError, UnicodeDecodeError) as error:
        raise ReportError("not a notebook", file=path, got=str(error).splitlines()[0][:100]) from error
