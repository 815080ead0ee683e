"""`mmfusion report`, `mmfusion notebooks` and `mmfusion compare`."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from pathlib import Path

from mmfusion.cli.pairs import pairs
from mmfusion.errors import ReportError
from mmfusion.storage.atomic import saved


def report(arguments: Namespace) -> int:
    """Execute a notebook, once or for each row of a table; or list notebooks or parameters."""
    from mmfusion.reports.notebooks import find_notebook
    from mmfusion.reports.parameters import RESERVED, notebook_parameters

    if arguments.notebook is None:
        return _list_notebooks()
    if arguments.parameters:
        known = notebook_parameters(find_notebook(arguments.notebook))
        sys.stdout.write("".join(f"{p}\n" for name, p in known.items() if name not in RESERVED))
        if "target" in known:
            from mmfusion.data.targets.base import describe_targets

            sys.stdout.write(f"\ntargets:{describe_targets()}\n")
        return 0
    if arguments.batch is not None:
        return _batch(arguments)
    from mmfusion.reports.runner import run_report

    out = run_report(arguments.notebook, pairs(arguments.parameter, ReportError), arguments.out)
    return _print_paths(out, out / "report.html")


def compare(arguments: Namespace) -> int:
    """Print the differences between two reports; with -o, write them as a page as well."""
    from mmfusion.reports.compare import compare_runs

    comparison = compare_runs(arguments.a, arguments.b)
    if arguments.out is not None:
        with saved(arguments.out, ReportError) as draft:
            draft.write_text(comparison.to_html(), encoding="utf-8")
    sys.stdout.write(f"{comparison.text(every=arguments.all)}\n")
    return 0


def notebooks(arguments: Namespace) -> int:
    """Copy the notebooks into a folder, and list the copies."""
    from mmfusion.reports.notebooks import copy_notebooks

    written, unchanged = copy_notebooks(arguments.folder)
    sys.stdout.writelines(f"written: {_short(path)}\n" for path in written)
    sys.stdout.writelines(f"unchanged: {_short(path)}\n" for path in unchanged)
    sys.stdout.write(f"next: mmfusion report {shlex.quote(str(_short([*written, *unchanged][0])))}\n")
    return 0


def _list_notebooks() -> int:
    from mmfusion.reports.html import title_of
    from mmfusion.reports.notebooks import list_notebooks, notebook_folders, read_notebook

    notebooks = list_notebooks()
    if not notebooks:
        places = ", ".join(map(str, notebook_folders())) or "no folder"
        raise ReportError(
            "no notebooks found", file=places, hint="unset MMFUSION_NOTEBOOKS, or set it to their folder"
        )
    width = max(len(p.stem) for p in notebooks)
    lines = [f"{p.stem:<{width}}  {title_of(read_notebook(p), '')}" for p in notebooks]
    sys.stdout.write(
        "\n".join([*lines, "", "mmfusion report NAME --parameters lists a notebook's parameters.\n"])
    )
    return 0


def _batch(arguments: Namespace) -> int:
    if arguments.parameter:
        raise ReportError(
            "-p and --batch do not go together", hint="make the parameter a column of the table"
        )
    from mmfusion.reports.batch import run_batch
    from mmfusion.reports.notebooks import find_notebook, short_name

    out = arguments.out or Path("reports") / short_name(find_notebook(arguments.notebook))
    table = run_batch(arguments.notebook, arguments.batch, out)
    for row in table.itertuples():
        sys.stdout.write(f"{row.name}: {row.status}{': ' + row.error if row.error else ''}\n")
    failed = int((table["status"] == "failed").sum())
    sys.stdout.write(f"{len(table) - failed} of {len(table)} complete\n")
    _print_paths(out / "any", out)
    return 1 if failed else 0


def _print_paths(run: Path, written: Path) -> int:
    """Update the index of the folder in which a run is, and print both paths."""
    from mmfusion.reports.index import build_index, index_root

    index = build_index(index_root(run))
    sys.stdout.write(f"{_short(written)}\nindex: {_short(index)}\n")
    return 0


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
