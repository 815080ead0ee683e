"""Writing a file in the place that a person named, or saying why it cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmfusion.atomic import atomic_file
from mmfusion.errors import ScanError


@contextmanager
def saved(path: Path, sources: Collection[Path] = ()) -> Iterator[Path]:
    """As `atomic_file`, with one kind of error.

    Raises
    ------
    ScanError
        If the file cannot be written, or would take the place of one of `sources`; what was there is untouched.
    """
    try:
        if path.exists() and any(path.samefile(source) for source in sources):
            problem, hint = "what is to be written would take the place of what it is made from", "choose another name"
            raise ScanError(problem, file=path, hint=hint)
        with atomic_file(path) as draft:
            yield draft
    except OSError as error:
        hint = "choose another place, or free space"
        raise ScanError("cannot be written", file=path, got=error.strerror or error, hint=hint) from error
