"""Hashes of the inputs of a report: the files and folders that its parameters name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mmfusion.data.manifest import read_manifest, resolve
from mmfusion.errors import ManifestError, ReportError
from mmfusion.reports.place import WRITTEN
from mmfusion.storage.hashing import hash_path, hash_text

_FEW_BYTES = 1 << 28  # up to this total size files are hashed; above, their sizes and times are used
_File = tuple[str, os.stat_result]  # path, state


def input_hashes(parameters: Mapping[str, object], out: Path) -> dict[str, str]:
    """Return the SHA-256 hash of every file or folder that a parameter names, by parameter.

    Parameters that name outputs are left out. If a folder has more than 256 MB, the hash covers the names,
    sizes and times of its files, so the files are not read. The key "<parameter>: files" has the hash of
    the files that a manifest names without a hash.

    Parameters
    ----------
    parameters : mapping
        Parameters of the notebook.
    out : path
        Folder of the report. If it lies in a folder that a parameter names, it is not an input, and neither
        are the other files of its parent folders.

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
                raise ReportError("cannot be read", file=error.filename, parameter=name, got=got) from error
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
    """Yield the files that a manifest names without a hash, also in folders; none if it is no manifest."""
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
    """Yield the files in a folder and its links, except hidden files and folders that contain `out`."""
    real = os.path.realpath(folder)
    if real in above or not os.access(folder, os.R_OK | os.X_OK):  # a link to a parent, or not readable
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
    """Return the hash of files, which changes if a file changes."""
    few = sum(state.st_size for _, state in files) <= _FEW_BYTES
    lines = (
        f"{os.path.relpath(path, folder)} "
        + (hash_path(path) if few and os.access(path, os.R_OK) else f"{state.st_size} {state.st_mtime_ns}")
        for path, state in files
    )
    return hash_text("\n".join(lines))
