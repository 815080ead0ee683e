"""Find the notebooks of reports, and copy the notebooks that come with mmfusion."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from pathlib import Path

import nbformat

from mmfusion.errors import ReportError, did_you_mean
from mmfusion.storage.atomic import saved

_NUMBER = re.compile(r"^\d+_")


def notebook_folders() -> list[Path]:
    """Return the folders with notebooks, in the order of search.

    A notebook is taken from the first folder that has one with its name. If `$MMFUSION_NOTEBOOKS` is set, it
    is the only folder. Otherwise the folders are `notebooks/` of the checkout that this code runs from,
    `notebooks/` of the current folder, and the notebooks of the installed package.
    """
    if chosen := os.environ.get("MMFUSION_NOTEBOOKS"):
        return [Path(chosen)]
    places = (_checkout(), Path.cwd() / "notebooks", _packaged())
    return list(dict.fromkeys(p.resolve() for p in places if p is not None and p.is_dir()))


def shipped_notebooks() -> list[Path]:
    """Return the notebooks that come with this version of mmfusion, in order.

    Raises
    ------
    ReportError
        If the installation has none.
    """
    folder = _checkout() or _packaged()
    found = sorted(folder.glob("*.ipynb"))
    if not found:
        raise ReportError("this installation has no notebooks", file=folder, hint="install mmfusion again")
    return found


def copy_notebooks(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """Copy the notebooks that come with mmfusion into a folder, where they can be edited.

    Parameters
    ----------
    folder : path
        Folder of the copies. It is made if it is absent.

    Returns
    -------
    written, unchanged : list of Path
        The copies made now, and the equal copies that were there before.

    Raises
    ------
    ReportError
        If a notebook in the folder differs from the one that comes with mmfusion, because it may have been
        edited; nothing is written in this case. Also if a file cannot be written.
    """
    copies = {Path(folder) / source.name: source.read_bytes() for source in shipped_notebooks()}
    written = [path for path in copies if not os.path.lexists(path)]
    unchanged = [path for path in copies if path.is_file() and path.read_bytes() == copies[path]]
    if edited := [path for path in copies if path not in written and path not in unchanged]:
        names = ", ".join(path.name for path in edited)
        hint = "choose another folder, or move these files away first"
        raise ReportError(
            "these notebooks were edited: nothing is overwritten", file=folder, got=names, hint=hint
        )
    for path in written:
        with saved(path, ReportError) as draft:
            draft.write_bytes(copies[path])
    return written, unchanged


def _checkout() -> Path | None:
    """Return `notebooks/` of the checkout that this code runs from; None outside a checkout."""
    root = Path(__file__).parents[2]
    return root / "notebooks" if (root / "pyproject.toml").is_file() else None


def _packaged() -> Path:
    return Path(str(files("mmfusion"))) / "notebooks"


def list_notebooks() -> list[Path]:
    """Return every notebook whose name begins with a number, in order."""
    found: dict[str, Path] = {}
    for folder in notebook_folders():
        for path in sorted(folder.glob("*.ipynb")):
            if _NUMBER.match(path.stem):
                found.setdefault(path.stem, path)
    return [found[stem] for stem in sorted(found)]


def find_notebook(name: str | Path) -> Path:
    """Return the path of a notebook; `name` is its name, with or without its number, or its path.

    Raises
    ------
    ReportError
        If there is no such notebook, or if there are two. The error lists the notebooks.
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
    if notebooks and not found:
        hint = did_you_mean(str(name), [n for p in notebooks for n in (p.stem, short_name(p))])
    names = ", ".join(p.stem for p in found or notebooks) or "none found"
    problem = f"{'two notebooks are' if found else 'no notebook is'} called {str(name)!r}"
    raise ReportError(problem, expected=f"one of {names}", hint=hint)


def short_name(notebook: Path) -> str:
    """Return a notebook's name without its number.

    >>> short_name(Path("notebooks/20_stage_fusion.ipynb"))
    'stage_fusion'
    """
    return _NUMBER.sub("", notebook.stem)


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Return the notebook in the current format; raise a `ReportError` if the file is not a notebook."""
    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, KeyError, UnicodeDecodeError) as error:
        raise ReportError("not a notebook", file=path, got=str(error).splitlines()[0][:100]) from error
