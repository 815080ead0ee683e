"""Guard the folder of a report: one run at a time writes there, and only the old report is replaced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmfusion.errors import ReportError
from mmfusion.reports.record import FAILED_PAGE, RUN, failed_folder, is_report, read_json
from mmfusion.storage.atomic import take_place
from mmfusion.storage.drafts import sweep
from mmfusion.storage.locks import locked

WRITTEN = "save_"  # prefix of parameters that name outputs of a notebook


def check_place(out: Path, values: Mapping[str, object]) -> None:
    """Refuse a folder with other files than a report, and parameters that would write into the folder.

    Parameters
    ----------
    out : path
        Absolute path of the report's folder.
    values : mapping
        Name -> value of the notebook's parameters.

    Raises
    ------
    ReportError
        If one of them is refused. The error names the folder or the parameter.
    """
    if not out.exists():
        sweep(out.parent)  # puts an old report back that a killed run moved aside
    empty = out.is_dir() and not any(out.iterdir())
    if (
        out.exists()
        and not empty
        and not (is_report(out) and isinstance(read_json(out / RUN).get("files"), list))
    ):
        raise ReportError("this exists and is not a report", file=out, hint="choose another folder with -o")
    ours = [folder.resolve() for folder in (out, work_folder(out), failed_folder(out))]
    for name in (n for n, v in values.items() if n.startswith(WRITTEN) and isinstance(v, str) and v):
        place = Path(values[name]).resolve()
        if any(place.is_relative_to(folder) for folder in ours):
            problem, hint = (
                "lies in the report's own folder, which the report replaces",
                "choose a folder beside it",
            )
            raise ReportError(
                problem, parameter=name, expected=f"a path outside {out}", got=values[name], hint=hint
            )


def work_folder(out: Path) -> Path:
    """Return the folder in which a run keeps finished parts until its report is complete."""
    return out.with_name(f".{out.name}.work")


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Block that only one run at a time can enter, per folder; without effect if files cannot be locked.

    Raises
    ------
    ReportError
        If another process is making the report of this folder.
    OSError
        If the parent folder cannot be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    hint = "wait until it has ended, or choose another folder with -o"
    busy = ReportError("another run is making this report now", file=out, hint=hint)
    with locked(out.with_name(f".{out.name}.lock"), wait_s=0, busy=busy):
        yield


def replace_report(new: Path, out: Path) -> None:
    """Move a complete report to `out`; files there that do not belong to the old report are kept.

    Raises
    ------
    ReportError
        If such a file has the same name as a file of the new report. The old report is then not changed.
    OSError
        If a folder cannot be moved.
    """
    kept = _other_files(out) if out.exists() else []
    if taken := [name for name in kept if _is_taken(new, name)]:
        raise ReportError(
            "a file that does not belong to the old report has the name of a file of the new report",
            file=out / taken[0],
            hint="move it elsewhere, then run it again",
        )
    for name in kept:  # a second name of the same file: a kill at any moment loses none
        _link(out / name, new / name)
    take_place(new, out, replace=True)


def _is_taken(new: Path, name: Path) -> bool:
    """Return True if the new report has a file with this name, or a file where it needs a folder."""
    return any((new / part).is_file() or (new / part).is_symlink() for part in (name, *name.parents))


def _link(old: Path, new: Path) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:  # the file system has no hard links
        shutil.copy2(old, new, follow_symlinks=False)


def list_files(folder: Path) -> list[str]:
    """Return the relative names of all files and links in a folder, with "/"."""
    inside = (p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    return sorted(p.relative_to(folder).as_posix() for p in inside)


def _other_files(folder: Path) -> list[Path]:
    """Return the files and links in a folder that its report, if there is one, does not list."""
    own = {*read_json(folder / RUN)["files"], RUN} if is_report(folder) else set()
    return [Path(name) for name in list_files(folder) if name not in own]


def discard_failure(out: Path) -> None:
    """Remove the folder of an earlier failed run of this report, if it has the page of a failed run."""
    if (failed_folder(out) / FAILED_PAGE).is_file():
        shutil.rmtree(failed_folder(out), ignore_errors=True)
