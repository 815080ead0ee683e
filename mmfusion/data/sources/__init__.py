"""Readers of known cohorts, one module per cohort; they read the official files as published."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.storage.hashing import hash_path

_LOG = logging.getLogger(__name__)
_READERS: dict[str, Callable[..., Cohort]] = {}


def register_source(*names: str) -> Callable[[Callable[..., Cohort]], Callable[..., Cohort]]:
    """Return a decorator that registers a reader `(root, **options) -> Cohort` under these names."""

    def add(reader: Callable[..., Cohort]) -> Callable[..., Cohort]:
        _READERS.update(dict.fromkeys(names, reader))
        return reader

    return add


def sources() -> dict[str, Callable[..., Cohort]]:
    """Return the readers of the known cohorts, by name.

    Examples
    --------
    >>> "tcga_luad" in sources()
    True
    """
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(sorted(_READERS.items()))


class Folder:
    """The folder of a published data set, which finds files by pattern and records those that are read.

    Parameters
    ----------
    root : path
        The folder, or a parent folder.
    cohort : str
        Name of the cohort, for error messages.

    Raises
    ------
    DataError
        If `root` is None or no folder.
    """

    def __init__(self, root: str | Path | None, cohort: str) -> None:
        if root is None:
            raise DataError(
                f"{cohort} needs the folder of its files",
                hint="give root=, the folder with the downloaded files",
            )
        self.root, self.cohort = Path(root).absolute(), cohort
        if not self.root.is_dir():
            raise DataError(f"no such folder for {cohort}", file=self.root)
        self.hashes: dict[str, str] = {}
        self.notes: list[str] = []

    def find(self, pattern: str, what: str, *, required: bool = False) -> Path | None:
        """Return the file that matches `pattern`, in the folder or up to three levels below it.

        If no file matches, return None and add a note.

        Raises
        ------
        DataError
            If the file is required and absent, or two different files match.
        """
        for depth in range(4):
            if found := sorted(self.root.glob("*/" * depth + pattern)):
                break
        else:
            if required:
                raise DataError(
                    f"{what} not found", file=self.root / pattern, hint=f"download it with {self.cohort}"
                )
            self.note(f"{what} ({pattern}) not found: left out")
            return None
        digests = {hash_path(file) for file in found}
        if len(digests) > 1:
            names = ", ".join(str(file.relative_to(self.root)) for file in found)
            raise DataError(
                f"several files could be the {what}", file=self.root / pattern, got=names, hint="keep one"
            )
        self.hashes[found[0].relative_to(self.root).as_posix()] = digests.pop()
        return found[0]

    def note(self, text: str) -> None:
        """Add a note, which a report must print."""
        _LOG.info("%s: %s", self.cohort, text)
        self.notes.append(text)

    def provenance(self, **facts: object) -> dict[str, object]:
        """Return source, hashes and notes, for `Cohort.provenance`."""
        return {"source": self.cohort, "files": dict(self.hashes), "notes": tuple(self.notes), **facts}
