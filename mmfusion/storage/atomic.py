"""Files and folders written whole or not at all: drafted beside their place, moved there in one step when complete."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmfusion.errors import DataError, MMFusionError


def cache_folder() -> Path:
    """Where the library keeps what it can make or fetch again: $MMFUSION_CACHE, or ~/.cache/mmfusion."""
    return Path(os.environ.get("MMFUSION_CACHE") or Path.home() / ".cache" / "mmfusion").absolute()


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """The name to write under; the file takes the place of `path` if the block ends well, and is gone if not.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written.
    """
    draft = _beside(path)
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def saved(path: str | Path, error: type[MMFusionError] = DataError) -> Iterator[Path]:
    """As `atomic_file`, for a file that a person asked for: what stops it is raised as `error`, with a way out."""
    try:
        with atomic_file(path) as draft:
            yield draft
    except OSError as reason:
        hint = "free some space, or choose a folder that can be written"
        raise error("could not be written", file=path, got=reason.strerror or reason, hint=hint) from reason


@contextmanager
def atomic_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """A new folder to fill; it takes the place of `path` if the block ends well, and is gone if not.

    Parameters
    ----------
    path : path
        Nothing, or an empty folder.
    replace : bool
        Take the place of a folder that holds something.

    Raises
    ------
    OSError
        If the disk is full, the parent cannot be written, or `path` holds something and is not to be replaced.
    """
    draft = draft_folder(path)
    try:
        yield draft
        take_place(draft, path, replace=replace)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def draft_folder(path: str | Path) -> Path:
    """A new folder beside `path`, hidden, to be filled and then moved there by `take_place`."""
    draft = _beside(path)
    draft.mkdir()
    return draft


def take_place(draft: Path, path: str | Path, *, replace: bool = False) -> None:
    """Move a complete folder to where it belongs, as `atomic_folder` says."""
    path = Path(path)
    if not path.exists():
        draft.rename(path)
    elif not replace:
        path.rmdir()  # refuses a folder that holds something
        draft.rename(path)
    else:
        old = _beside(path)
        path.rename(old)
        try:
            draft.rename(path)
        finally:
            if draft.exists():  # nothing took the place: an interrupt, too, leaves the old one
                old.rename(path)
            else:
                shutil.rmtree(old, ignore_errors=True)


def _beside(path: str | Path) -> Path:
    """A hidden name of its own, with the same suffix, in the folder of `path`, which is made if absent."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{path.suffix}")
