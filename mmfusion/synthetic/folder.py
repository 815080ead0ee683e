"""Folders of generated files: made once per set of parameters, and complete or not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from mmfusion.errors import DataError
from mmfusion.storage.atomic import atomic_folder, cache_folder, writing
from mmfusion.storage.hashing import hash_json

COMPLETE = "complete.json"  # written last; a folder without it is incomplete


def ensure_folder(
    root: Path | None, key: Mapping[str, object], fill: Callable[[Path], None], name: str = "phantom"
) -> Path:
    """Return a folder with generated files; they are made if they do not exist yet.

    Parameters
    ----------
    root : Path or None
        Folder for the files. None: a folder below `cache_folder`, named by the hash of `key`.
    key : mapping
        Everything that determines the files, as JSON types, including the version of the generator.
    fill : callable
        Function that writes the files into the folder that it is given.
    name : str
        Folder of the cache, below which the folders of all keys lie.

    Raises
    ------
    DataError
        If `root` contains other files, or the folder cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as home:
    ...     for _ in range(2):  # the second time the folder is there
    ...         made = ensure_folder(Path(home, "a"), {"n": 1}, lambda draft: print("writing"))
    writing
    """
    digest = hash_json(key)
    folder = root or cache_folder() / name / digest[:16]
    if folder.exists() and not folder.is_dir():
        raise DataError("a file has this name", file=folder, hint="give an empty or a new folder")
    occupied = folder.exists() and any(folder.iterdir())  # before the check: another process may finish now
    if _is_complete(folder, digest):
        return folder
    if occupied and root is not None:
        raise DataError("the folder contains other files", file=folder, hint="give an empty or a new folder")
    if occupied:  # a damaged folder of the cache
        shutil.rmtree(folder)
    try:
        with writing(folder), atomic_folder(folder) as draft:
            fill(draft)
            (draft / COMPLETE).write_text(json.dumps({"digest": digest, **key}, indent=1), encoding="utf-8")
    except DataError:
        if not _is_complete(folder, digest):  # else another process was faster
            raise
    return folder


def _is_complete(folder: Path, digest: str) -> bool:
    marker = folder / COMPLETE
    return marker.is_file() and json.loads(marker.read_text(encoding="utf-8")).get("digest") == digest
