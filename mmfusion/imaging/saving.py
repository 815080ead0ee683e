"""Writing a file in the place that a person named, or saying why it cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmfusion.errors import ScanError
from mmfusion.storage import atomic


@contextmanager
def saved(path: Path, sources: Collection[Path] = ()) -> Iterator[Path]:
    """As `mmfusion.storage.atomic.saved`, beside what it is made from.

    Raises
    ------
    ScanError
        If the file cannot be written, or would take the place of one of `sources`; what was there is untouched.
    """
    if any(_same(path, source) for source in sources):
        problem, hint = (
            "what is to be written would take the place of what it is made from",
            "choose another name",
        )
        raise ScanError(problem, file=path, hint=hint)
    with atomic.saved(path, ScanError) as draft:
        yield draft


def _same(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source)
    except OSError:  # one of them is not there
        return False
