"""`mmfusion doctor`: check the installation."""

from __future__ import annotations

import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from mmfusion.errors import ReportError

OK, NOTE, BAD = "ok", "--", "!!"


def doctor(_arguments: Namespace) -> int:
    """Print one line per check, and return 1 if a check failed."""
    broken = 0
    for check in (_versions, _machine, _folders, _data, _notebooks, _kernel):
        for state, text in check():
            broken += state == BAD
            sys.stdout.write(f"{state}  {text}\n")
    sys.stdout.write("no problems found\n" if not broken else f"{broken} problems\n")
    return 1 if broken else 0


def _versions() -> Iterator[tuple[str, str]]:
    from mmfusion.reports.provenance import versions

    for name, number in versions().items():
        yield (BAD if number == "absent" else OK), f"{name} {number}"


def _machine() -> Iterator[tuple[str, str]]:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield OK, f"{cores} cores; torch would use {torch.get_num_threads()} threads, mmfusion uses one per fit"
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        yield (OK if memory >= 4 else NOTE), f"{memory:.1f} GiB of memory"
    yield (
        NOTE,
        f"GPU: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none; none is needed'}",
    )


def _folders() -> Iterator[tuple[str, str]]:
    from mmfusion.storage.cache import cache_folder

    places = {"cache": cache_folder(), "reports": Path("reports"), "temporary": Path(tempfile.gettempdir())}
    for name, folder in places.items():
        there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
        try:
            with tempfile.NamedTemporaryFile(dir=there):
                yield OK, f"{name} folder can be written: {folder}"
        except OSError as error:
            yield BAD, f"{name} folder cannot be written: {folder} ({error.strerror})"


def _data() -> Iterator[tuple[str, str]]:
    from mmfusion.data.sources import sources

    yield OK, f"known cohorts: {', '.join(sources())}"
    place = os.environ.get("MMFUSION_DATA")
    yield NOTE, f"MMFUSION_DATA: {place or 'not set; only tests on real data need it'}"
    if place and not Path(place).is_dir():
        yield BAD, f"MMFUSION_DATA is not a folder: {place}"


def _notebooks() -> Iterator[tuple[str, str]]:
    from mmfusion.reports.notebooks import list_notebooks

    found = list_notebooks()
    folders = ", ".join(dict.fromkeys(str(path.parent) for path in found))
    yield (OK, f"{len(found)} notebooks: {folders}") if found else (BAD, "no notebooks are found")


def _kernel() -> Iterator[tuple[str, str]]:
    import nbformat

    from mmfusion.reports.execute import execute

    with tempfile.TemporaryDirectory() as folder:
        notebook = Path(folder, "probe.ipynb")
        nbformat.write(
            nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import mmfusion")]), notebook
        )
        try:
            execute(notebook, Path(folder, "out.ipynb"), {}, progress=False)
            yield OK, "a notebook runs and imports mmfusion"
        except (ReportError, RuntimeError) as error:
            yield BAD, f"a notebook does not run: {error}"
