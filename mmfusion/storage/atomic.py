"""Atomic writing: a file or folder appears complete or not at all.

It is written as a hidden draft in the same folder and moved to its place in one step.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmfusion.errors import DataError, MMFusionError


def cache_folder() -> Path:
    """Return the folder for data that can be made or downloaded again: $MMFUSION_CACHE, or ~/.cache/mmfusion.

    Examples
    --------
    >>> cache_folder().is_absolute()
    True
    """
    return Path(os.environ.get("MMFUSION_CACHE") or Path.home() / ".cache" / "mmfusion").absolute()


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
    draft = _beside(path)
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def saved(path: str | Path, error: type[MMFusionError] = DataError) -> Iterator[Path]:
    """Write a file that the user requested, as `atomic_file` does; the error has a hint.

    Raises
    ------
    error
        If the file cannot be written.
    """
    try:
        with atomic_file(path) as draft:
            yield draft
    except OSError as reason:
        hint = "free some space, or choose a folder that can be written"
        raise error("could not be written", file=path, got=reason.strerror or reason, hint=hint) from reason


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
    draft = draft_folder(path)
    try:
        yield draft
        take_place(draft, path, replace=replace)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def draft_folder(path: str | Path) -> Path:
    """Make a hidden folder beside `path`. Fill it, then move it there with `take_place`."""
    draft = _beside(path)
    draft.mkdir()
    return draft


def take_place(draft: Path, path: str | Path, *, replace: bool = False) -> None:
    """Move a complete draft folder to `path`.

    Raises
    ------
    OSError
        If it cannot be moved, or `path` holds files and `replace` is False. The old folder then stays.
    """
    path = Path(path)
    if not path.exists():
        draft.rename(path)
    elif not replace:
        path.rmdir()  # raises an error if the folder holds files
        draft.rename(path)
    else:
        old = _beside(path)
        path.rename(old)
        try:
            draft.rename(path)
        finally:
            if draft.exists():  # the move failed, for example because of an interrupt: restore the old folder
                old.rename(path)
            else:
                shutil.rmtree(old, ignore_errors=True)


def _beside(path: str | Path) -> Path:
    """Return a hidden, unique path beside `path`, with the same suffix; make the folder if it is absent."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{path.suffix}")
