"""What a report was made from: the files and folders that its parameters name, by hash."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mmfusion.data.manifest import read_manifest, resolve
from mmfusion.errors import ManifestError, ReportError
from mmfusion.reports.place import WRITTEN
from mmfusion.storage.hashing import hash_path, hash_text

_FEW_BYTES = 1 << 28  # of files that are known by what is in them; beyond it, sizes and times must do
_File = tuple[str, os.stat_result]  # path, state


def input_hashes(parameters: Mapping[str, object], out: Path) -> dict[str, str]:
    """SHA-256 of every file or folder that a parameter names, by parameter; not of those where it is to write.

    A folder of more than 256 MB is known by the names, sizes and times of its files, so that it need not be read. What
    a manifest names without a hash of its own is found, in the same way, under "<parameter>: files".

    Parameters
    ----------
    parameters : mapping
        Of the notebook.
    out : path
        The report's folder: where it lies in one that a parameter names, it is no input, nor is what lies beside it.

    Raises
    ------
    ReportError
        If a file cannot be read.
    """
    found = {}
    for name, value in parameters.items():
        if isinstance(value, str) and value and not name.startswith(WRITTEN):
            try:
                found |= _input(name, Path(value).absolute(), out)
            except OSError as error:
                got = error.strerror or error
                raise ReportError("cannot be read", file=error.filename, column=name, got=got) from error
    return found


def _input(name: str, path: Path, out: Path) -> dict[str, str]:
    if _is(path.is_dir):
        return {name: _state(list(_walk(path, out)), path)}
    if not _is(path.is_file):
        return {}
    files = list(_without_hash(path, out)) if path.suffix == ".csv" else []
    return {name: hash_path(path)} | ({f"{name}: files": _state(files, path.parent)} if files else {})


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except (OSError, ValueError):  # too long for a name, or a zero byte in it
        return False


def _without_hash(manifest: Path, out: Path) -> Iterator[_File]:
    """The files, folders looked into, that a manifest names but does not know by hash; none if it is no manifest."""
    try:
        rows = read_manifest(manifest)
    except ManifestError:
        return
    for name in sorted({*rows["path"][(rows["sha256"] == "") & (rows["role"] != "generator")]}):
        path = resolve(name, manifest.parent)
        if path.is_dir():
            yield from _walk(path, out)
        elif path.is_file():
            yield str(path), path.stat()


def _walk(folder: str | Path, out: Path, above: frozenset[str] = frozenset()) -> Iterator[_File]:
    """The files in a folder and those that it links to, but for hidden ones, and folders that `out` lies in."""
    real = os.path.realpath(folder)
    if real in above or not os.access(
        folder, os.R_OK | os.X_OK
    ):  # a link that leads back, or nothing to be seen
        return
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir() and not out.is_relative_to(entry.path):
                yield from _walk(entry.path, out, above | {real})
            elif entry.is_file():
                yield entry.path, entry.stat()


def _state(files: list[_File], folder: Path) -> str:
    """What tells these files from others, or from themselves after a change."""
    few = sum(state.st_size for _, state in files) <= _FEW_BYTES
    lines = (
        f"{os.path.relpath(path, folder)} "
        + (hash_path(path) if few and os.access(path, os.R_OK) else f"{state.st_size} {state.st_mtime_ns}")
        for path, state in files
    )
    return hash_text("\n".join(lines))
