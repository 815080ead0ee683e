"""Make one report: run a notebook in a draft folder that becomes the report only when it is complete."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from mmfusion.errors import ReportError
from mmfusion.reports.execute import execute
from mmfusion.reports.html import notebook_html, title_of
from mmfusion.reports.inputs import input_hashes
from mmfusion.reports.notebooks import find_notebook, read_notebook, short_name
from mmfusion.reports.pages import format_day, format_seconds
from mmfusion.reports.parameters import RESERVED, Parameter, convert_parameters, notebook_parameters
from mmfusion.reports.place import (
    alone,
    check_place,
    discard_failure,
    list_files,
    replace_report,
    work_folder,
)
from mmfusion.reports.provenance import git_commit, machine, versions
from mmfusion.reports.record import (
    FAILED,
    FAILED_PAGE,
    METRICS,
    NOTEBOOK,
    PAGE,
    RUN,
    failed_folder,
    read_json,
)
from mmfusion.storage.atomic import draft_folder, writing
from mmfusion.storage.hashing import hash_path
from mmfusion.storage.source import code_hash


def run_report(
    name: str | Path,
    parameters: Mapping[str, object] | None = None,
    out: str | Path | None = None,
    *,
    progress: bool = True,
) -> Path:
    """Execute a notebook and write its report to a folder, complete or not at all.

    The folder has `report.html`, `notebook.ipynb`, `run.json` (parameters, versions, hashes, seconds), and
    the files that the notebook wrote to its `out_dir`: `metrics.json`, `figures/`. An old report in the
    folder is replaced when the new report is complete. Files that do not belong to the old report are kept.
    The files of a failed run are moved to `<out>.failed/` and are marked as failed. If a notebook declares a
    `work_dir`, an interrupted run can be resumed: the same report finds the finished parts there.

    Parameters
    ----------
    name : str or path
        "stage_fusion", "20_stage_fusion", or a path to a notebook.
    parameters : mapping, optional
        Name -> value; text is converted to the notebook's types.
    out : path, optional
        Folder of the report; default `reports/<name>`.
    progress : bool
        Show a progress bar over cells.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    ReportError
        If the notebook or a parameter is unknown, a cell fails, `metrics.json` is missing or malformed, the
        disk is full, `out` exists and is not a report, a `save_...` parameter names a path in `out`, or
        another run is writing to `out`.
    """
    notebook = find_notebook(name)
    known = notebook_parameters(notebook)
    given = convert_parameters(parameters or {}, known, notebook)
    out = Path(out if out is not None else Path("reports") / short_name(notebook)).absolute()
    run = _Run(notebook, known, given, out)
    with writing(out, ReportError):
        check_place(out, run.values)
    return run.go(progress=progress)


class _Run:
    """One execution of a notebook, from its draft folder to the report or the failed run."""

    def __init__(
        self, notebook: Path, known: Mapping[str, Parameter], given: dict[str, object], out: Path
    ) -> None:
        self.notebook, self.known, self.given, self.out = notebook, known, given, out
        self.values = {n: given.get(n, p.default) for n, p in known.items() if n not in RESERVED}
        self.started, self.clock = datetime.now(UTC).astimezone(), time.perf_counter()
        self.work = work_folder(out)

    def go(self, *, progress: bool) -> Path:
        with writing(self.out, ReportError), alone(self.out):
            self._make(progress=progress)
        return self.out

    def _make(self, *, progress: bool) -> None:
        read = {  # before a run can change it
            "notebook": {"file": self.notebook.name, "sha256": hash_path(self.notebook)},
            "code": code_hash(),
            "inputs": input_hashes(self.values, self.out),
        }
        partial, complete = draft_folder(self.out), False
        try:
            with writing(self.out, ReportError):
                execute(
                    self.notebook, partial / NOTEBOOK, self.given | self._folders(partial), progress=progress
                )
                self._finish(partial, read)
                replace_report(partial, self.out)
            complete = True
        finally:
            if complete:
                shutil.rmtree(self.work, ignore_errors=True)
                discard_failure(self.out)
            else:
                self._set_aside(partial, sys.exception())

    def _folders(self, partial: Path) -> dict[str, str]:
        folders = {"out_dir": partial, "work_dir": self.work}
        for folder in (f for n, f in folders.items() if n in self.known):
            folder.mkdir(exist_ok=True)
        return {name: str(folder) for name, folder in folders.items() if name in self.known}

    def _finish(self, partial: Path, read: Mapping[str, object]) -> None:
        """Check the outputs of the notebook; add the page and the record of the run with hashes of inputs."""
        if "out_dir" in self.known and not (partial / METRICS).is_file():
            raise ReportError(
                "the notebook ended without its metrics",
                file=self.notebook.name,
                expected=f"out_dir/{METRICS}",
            )
        if (partial / METRICS).is_file():
            read_json(partial / METRICS)
        text = (partial / NOTEBOOK).read_text(encoding="utf-8")
        (partial / NOTEBOOK).write_text(text.replace(str(partial), str(self.out)), encoding="utf-8")
        seconds = round(time.perf_counter() - self.clock, 1)
        (partial / PAGE).write_text(self._page(partial, seconds), encoding="utf-8")
        record = {
            "name": short_name(self.notebook),
            "title": title_of(read_notebook(self.notebook), short_name(self.notebook)),
            "parameters": self.values,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": seconds,
            "versions": versions(),
            "git": git_commit(),
            "machine": machine(),
            **read,
            "files": list_files(partial),
        }
        (partial / RUN).write_text(json.dumps(record, indent=1), encoding="utf-8")

    def _page(self, folder: Path, seconds: float, failed: str | None = None) -> str:
        nb = read_notebook(folder / NOTEBOOK)
        rows = [
            {"name": n, "value": str(v), "help": self.known[n].help, "changed": v != self.known[n].default}
            for n, v in self.values.items()
        ]
        facts = [
            short_name(self.notebook), format_day(self.started.isoformat()), format_seconds(seconds),
            f"mmfusion {versions()['mmfusion']}",
        ]  # fmt: skip
        title = title_of(nb, short_name(self.notebook))
        return notebook_html(nb, title=title, facts=facts, parameters=rows, failed=failed)

    def _set_aside(self, partial: Path, error: BaseException | None) -> None:
        """Move a failed run to a folder that is marked as failed, with a page if the disk has space."""
        discard_failure(self.out)
        failed = failed_folder(self.out)
        if failed.exists():  # not a failed run: it is kept
            failed = failed.with_name(f"{self.out.name}.{secrets.token_hex(4)}{FAILED}")
        if not (partial / NOTEBOOK).is_file():
            shutil.rmtree(partial, ignore_errors=True)
            return
        reason = str(error) or type(error).__name__
        for name in (PAGE, RUN):
            (partial / name).unlink(missing_ok=True)
        try:
            page = self._page(partial, time.perf_counter() - self.clock, failed=reason)
            (partial / FAILED_PAGE).write_text(page, encoding="utf-8")
        except (OSError, ReportError):
            (partial / FAILED_PAGE).unlink(missing_ok=True)
        partial.rename(failed)
        if isinstance(error, ReportError) and error.hint is None:
            error.hint = f"see {failed / FAILED_PAGE}"
