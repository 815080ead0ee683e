"""Write a file at a path that the user chose, without overwriting the files it is made from."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmfusion.errors import ScanError
from mmfusion.storage import atomic


@contextmanager
def saved(path: Path, sources: Collection[Path] = ()) -> Iterator[Path]:
    """Give a draft path to write to, and move the complete file to `path`.

    It works like `mmfusion.storage.atomic.saved`, and also protects `sources`.

    Parameters
    ----------
    path : Path
        Name of the new file. An existing file is replaced.
    sources : collection of Path
        Files that the new file is made from; `path` must not be one of them.

    Raises
    ------
    ScanError
        If the file cannot be written, or would overwrite one of `sources`. An existing file then stays as it
        was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with saved(Path(folder) / "note.txt") as draft:
    ...         size = draft.write_text("hello")
    ...     (Path(folder) / "note.txt").read_text()
    'hello'
    """
    check_not_source(path, sources)
    with atomic.saved(path, ScanError) as draft:
        yield draft


def check_not_source(path: str | Path, sources: Collection[str | Path]) -> None:
    """Raise a `ScanError` if a new file would overwrite one of the files that it is made from.

    Examples
    --------
    >>> check_not_source("mask.nii.gz", ["ct.nii.gz"])
    """
    if any(_same(Path(path), Path(source)) for source in sources):
        problem = "the new file would overwrite a file that it is made from"
        raise ScanError(problem, file=path, hint="choose another name")


def _same(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source)
    except OSError:  # one of the two files does not exist
        return False
