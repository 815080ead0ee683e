"""Writing a file in the place that a person named, or saying why it cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmfusion.atomic import atomic_file
from mmfusion.errors import ScanError


@contextmanager
def saved(path: Path) -> Iterator[Path]:
    """As `atomic_file`, with one kind of error.

    Raises
    ------
    ScanError
        If the file cannot be written; what was there before is untouched.
    """
    try:
        with atomic_file(path) as draft:
            yield draft
    except OSError as error:
        hint = "choose another place, or free space"
        raise ScanError("cannot be written", file=path, got=error.strerror or error, hint=hint) from error
