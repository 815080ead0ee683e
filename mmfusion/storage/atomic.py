"""Atomic writing: a file or folder appears complete or not at all.

It is written as a hidden draft in the same folder and moved to its place in one step. A draft that a killed
process left behind is removed by the next one that writes in the folder (`mmfusion.storage.drafts`).
"""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmfusion.errors import DataError, MMFusionError
from mmfusion.storage.drafts import draft_path, exchange

_HINTS = {
    errno.ENOSPC: "free some space, then try again",
    errno.EDQUOT: "free some space, then try again",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of the path is a file: choose another place",
    errno.EEXIST: "a part of the path is a file: choose another place",
    errno.EISDIR: "a folder has this name: choose another name",
    errno.ENOTEMPTY: "the folder holds other files: choose another place",
}


def cache_folder() -> Path:
    """Return the folder for data that can be made or downloaded again: $MMFUSION_CACHE, or ~/.cache/mmfusion.

    Examples
    --------
    >>> cache_folder().is_absolute()
    True
    """
    return Path(os.environ.get("MMFUSION_CACHE") or Path.home() / ".cache" / "mmfusion").absolute()


class CacheWarning(UserWarning):
    """Warning that the folder of the cache cannot be written, so everything is computed again each time.

    Examples
    --------
    >>> issubclass(CacheWarning, UserWarning)
    True
    """


_unwritable: set[Path] = set()


def without_cache(reason: OSError) -> None:
    """Say once per process and folder that the cache cannot be written.

    The warning is about the machine and not about a patient, so it is shown and never part of a result.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     for _ in range(2):
    ...         without_cache(OSError(errno.ENOSPC, "No space left on device"))
    >>> len(caught)
    1
    """
    folder = cache_folder()
    if folder not in _unwritable:
        _unwritable.add(folder)
        text = f"the cache {folder} cannot be written ({reason.strerror or reason}): work goes on without it"
        hint = "set MMFUSION_CACHE to a folder that can be written"
        warnings.warn(f"{text}; {hint}", CacheWarning, stacklevel=2)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Write a file atomically: yield a draft's path, and move the draft to `path` at the end.

    If the block raises an error, the draft is deleted and `path` stays as it was.

    Parameters
    ----------
    path : path
        The file to write. It is replaced if it exists; its folder is made if it is absent.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_file(f"{folder}/notes.txt") as draft:
    ...         _ = draft.write_text("complete")
    ...     print(Path(folder, "notes.txt").read_text())
    complete
    """
    draft = draft_path(path)
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path, error: type[MMFusionError] = DataError) -> Iterator[None]:
    """Turn an error of the system while something is written into one clear error.

    Parameters
    ----------
    path : path
        What is written, for the message.
    error : type
        Class of the error.

    Raises
    ------
    error
        If the block raises an `OSError`, for example because the disk is full or a folder is read-only.

    Examples
    --------
    >>> with writing("notes.txt"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    mmfusion.errors.DataError: file notes.txt: could not be written (got No space left on device) -> free ...
    """
    try:
        yield
    except OSError as reason:
        hint = _HINTS.get(reason.errno, "choose a place that can be written")
        raise error("could not be written", file=path, got=reason.strerror or reason, hint=hint) from reason


def check_writable(path: str | Path, error: type[MMFusionError] = DataError) -> None:
    """Raise an error if a file cannot be written at a path; call it before a long computation.

    Nothing is left there, but the folder of the file is made if it is absent.

    Parameters
    ----------
    path : path
        The file that will be written later.
    error : type
        Class of the error.

    Raises
    ------
    error
        If the file cannot be written.

    Examples
    --------
    >>> check_writable(f"{os.devnull}/table.csv")
    Traceback (most recent call last):
    mmfusion.errors.DataError: file /dev/null/table.csv: could not be written (got File exists) -> a ...
    """
    with writing(path, error):
        if Path(path).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        draft = draft_path(path)
        draft.touch()
        draft.unlink()


@contextmanager
def saved(path: str | Path, error: type[MMFusionError] = DataError) -> Iterator[Path]:
    """Write a file that the user requested, as `atomic_file` does; the error has a hint, see `writing`.

    Raises
    ------
    error
        If the file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with saved(f"{folder}/notes.txt") as draft:
    ...         _ = draft.write_text("complete")
    ...     print(Path(folder, "notes.txt").read_text())
    complete
    """
    with writing(path, error), atomic_file(path) as draft:
        yield draft


@contextmanager
def atomic_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Write a folder atomically: yield a draft folder, and move it to `path` at the end.

    If the block raises an error, the draft is deleted and `path` stays as it was.

    Parameters
    ----------
    path : path
        The folder to write. It must be absent or empty, unless `replace` is True.
    replace : bool
        If True, a folder that holds files is replaced.

    Raises
    ------
    OSError
        If the disk is full, the parent folder cannot be written, or `path` holds files and `replace` is
        False.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_folder(f"{folder}/model") as draft:
    ...         (draft / "config.json").touch()
    ...     print([file.name for file in Path(folder, "model").iterdir()])
    ['config.json']
    """
    with scratch_folder(path) as draft:
        yield draft
        take_place(draft, path, replace=replace)


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """Make a hidden folder beside `path` that is removed at the end, or after a kill by the next writer.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, scratch_folder(f"{folder}/model") as scratch:
    ...     print(scratch.is_dir())
    True
    """
    draft = draft_folder(path)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def draft_folder(path: str | Path) -> Path:
    """Make a hidden folder beside `path`. Fill it, then move it there with `take_place`."""
    draft = draft_path(path)
    draft.mkdir()
    return draft


def take_place(draft: Path, path: str | Path, *, replace: bool = False) -> None:
    """Move a complete draft folder to `path`.

    An old folder there is exchanged with the draft in one step where the system offers this. Elsewhere it is
    moved aside first; if the process is killed just then, the next one that reads or writes in the parent
    folder puts it back (`mmfusion.storage.drafts.sweep`).

    Raises
    ------
    OSError
        If it cannot be moved, or `path` holds files and `replace` is False. The old folder then stays.
    """
    path = Path(path)
    if not replace or not path.exists():
        draft.replace(path)  # raises an error if the folder holds files
    elif exchange(draft, path):
        shutil.rmtree(draft, ignore_errors=True)
    else:
        old = draft_path(path, "old")
        path.rename(old)
        try:
            draft.rename(path)
        finally:
            if draft.exists():  # the move failed, for example because of an interrupt: restore the old folder
                old.rename(path)
            else:
                shutil.rmtree(old, ignore_errors=True)
