"""The account of a scan: how many files were given, how many were used, which were left out, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath

from mmfusion.errors import ScanWarning, warn


@dataclass(frozen=True)
class LeftOut:
    """Files that were left out for one reason.

    Parameters
    ----------
    reason : str
        Why they were left out.
    names : tuple of str
        Their names.
    lost : bool
        True if they may be slices of the scan; False if they are something else, such as another series.

    Examples
    --------
    >>> print(LeftOut("another series", ("a/1.dcm", "a/2.dcm")))
    2 files: another series (1.dcm, 2.dcm)
    """

    reason: str
    names: tuple[str, ...]
    lost: bool = False

    def __str__(self) -> str:
        shown = ", ".join(
            PurePath(name.replace("\\", "/").rpartition(":")[2]).name for name in self.names[:3]
        )
        more = ", …" if len(self.names) > 3 else ""
        return f"{_files(len(self.names))}: {self.reason} ({shown}{more})"


@dataclass(frozen=True)
class Account:
    """Number of files that were given and used, and the files that were left out.

    Parameters
    ----------
    given, used : int
        Number of files at the path, and of files whose slices are in the scan.
    left_out : tuple of LeftOut
        The other files, one entry for each reason.
    remarks : tuple of str
        What else speaks against a complete scan: slices that headers promise, or surplus bytes of pixels.

    Examples
    --------
    >>> lost = LeftOut("cannot be understood as DICOM", ("IM13", "IM14", "IM15"), lost=True)
    >>> account = Account(16, 13, (lost,))
    >>> print(account)
    13 of 16 files used; 3 files: cannot be understood as DICOM (IM13, IM14, IM15)
    >>> account.n_lost
    3
    """

    given: int
    used: int
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @property
    def n_lost(self) -> int:
        """Number of files that may be slices of the scan, but are not used."""
        return sum(len(part.names) for part in self.left_out if part.lost)

    @property
    def losses(self) -> list[str]:
        """One sentence for each reason why the scan may not be complete."""
        return [str(part) for part in self.left_out if part.lost] + list(self.remarks)

    def __str__(self) -> str:
        return "; ".join(
            (f"{self.used} of {_files(self.given)} used", *map(str, self.left_out), *self.remarks)
        )

    def warn(self, path: object) -> None:
        """Give one ScanWarning if the scan may not be complete."""
        if losses := self.losses:
            text = f"{path}: the scan may not be complete: {'; '.join(losses)}"
            warn(text, ScanWarning, stacklevel=2)


def by_reason(found: Iterable[tuple[str, str, bool]]) -> tuple[LeftOut, ...]:
    """Group files, given as (name, reason, lost), by reason.

    Examples
    --------
    >>> [str(part) for part in by_reason([("a.txt", "not DICOM", False), ("b.txt", "not DICOM", False)])]
    ['2 files: not DICOM (a.txt, b.txt)']
    """
    groups: dict[tuple[str, bool], list[str]] = {}
    for name, reason, lost in found:
        groups.setdefault((reason, lost), []).append(name)
    return tuple(LeftOut(reason, tuple(names), lost) for (reason, lost), names in groups.items())


def _files(n: int) -> str:
    return f"{n} file{'s' * (n != 1)}"
