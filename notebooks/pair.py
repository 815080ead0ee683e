"""Write notebooks/*.ipynb, without outputs, from notebooks/py/*.py (jupytext percent); --check only compares.

In JupyterLab, edit either; jupytext.toml keeps the pair together, and this strips what was run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent
KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3 (ipykernel)"}


def stripped(source: Path) -> str:
    """The notebook's text: no outputs, cell ids that depend on nothing but the order."""
    nb = jupytext.read(source)
    nb.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    nb.nbformat_minor = 5
    for i, cell in enumerate(nb.cells):
        cell["id"] = f"{source.stem}-{i}"[-64:]
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(nb) + "\n"


def main() -> int:
    """0 if all pairs match (or were written), 1 if one does not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a pair does not match")
    check = parser.parse_args().check
    sources = sorted((HERE / "py").glob("*.py"))
    alone = {path.stem for path in HERE.glob("*.ipynb")} - {source.stem for source in sources}
    wrong = [f"{stem}.ipynb has no notebooks/py/{stem}.py" for stem in sorted(alone)]
    for source in sources:
        notebook, text = HERE / f"{source.stem}.ipynb", stripped(source)
        if notebook.is_file() and notebook.read_text(encoding="utf-8") == text:
            continue
        if check:
            wrong.append(
                f"{notebook.name} is not what notebooks/py/{source.name} makes, stripped: run make notebooks"
            )
        else:
            notebook.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{notebook}\n")
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
