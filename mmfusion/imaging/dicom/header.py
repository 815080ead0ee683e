"""The values in the header of one slice, each checked when it is used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmfusion.errors import COPY_AGAIN, ScanError
from mmfusion.imaging.dicom.archive import Member
from mmfusion.imaging.dicom.encoded import EncodedFrames


@dataclass(frozen=True, eq=False)
class Header:
    """The header of one file.

    Parameters
    ----------
    member : Member
        The file.
    values : mapping
        Keyword (for a private element, its tag) to value, for the elements that this package reads. The value
        of a damaged element is the exception that it caused.
    syntax : str
        Transfer syntax UID.
    offset : int or None
        Byte at which the pixels begin if they are not compressed; else None.
    length : int or None
        Bytes of pixels; None if the file has none.
    begin : int or None
        Byte at which the pixels begin, compressed or not; None if the file has none.
    encoded : EncodedFrames or None
        The compressed pixels; None if they are not compressed.
    frame : int or None
        Number of the frame, from 0 on, if the file has many; None if it has one.

    Examples
    --------
    >>> from pathlib import Path
    >>> member = Member("slice.dcm", 0, lambda start, size: b"", Path("slice.dcm"))
    >>> header = Header(member, {"Rows": "512", "PixelSpacing": ["0.7", "0.7"]}, "", None, None)
    >>> header.number("Rows"), header.numbers("PixelSpacing", 2), header.number("Columns")
    (512.0, (0.7, 0.7), None)
    """

    member: Member
    values: Mapping[str | int, object]
    syntax: str
    offset: int | None
    length: int | None
    begin: int | None = None
    encoded: EncodedFrames | None = None
    frame: int | None = None

    @property
    def name(self) -> str:
        """Name of the file, and number of the frame if the file has many."""
        return self.member.name if self.frame is None else f"{self.member.name}, frame {self.frame + 1}"

    def value(self, tag: str | int) -> object:
        """Return the value of an element; None if it is absent or empty.

        Raises
        ------
        ScanError
            If the element is damaged.
        """
        value = self.values.get(tag)
        if isinstance(value, Exception):
            raise self.error("a damaged header", tag, got=value)
        return value

    def text(self, tag: str | int) -> str:
        r"""Return the value as text, several values joined by `\`; "" if it is absent."""
        value = self.value(tag)
        return (
            ""
            if value is None
            else "\\".join(map(str, value if isinstance(value, list) else [value])).strip()
        )

    def number(self, tag: str | int) -> float | None:
        """Return the value as a finite number; None if it is absent.

        Raises
        ------
        ScanError
            If it is not one finite number.
        """
        numbers = self.numbers(tag, 1)
        return None if numbers is None else numbers[0]

    def numbers(self, tag: str | int, count: int) -> tuple[float, ...] | None:
        """Return the value as `count` finite numbers; None if it is absent.

        Raises
        ------
        ScanError
            If there are more or fewer numbers, or one is not finite.
        """
        value = self.value(tag)
        if value is None:
            return None
        try:
            numbers = tuple(float(v) for v in (value if isinstance(value, list) else [value]))
        except (TypeError, ValueError, OverflowError):
            numbers = ()
        if len(numbers) != count or not all(math.isfinite(v) for v in numbers):
            expected = "a number" if count == 1 else f"{count} numbers"
            raise self.error("a damaged header", tag, expected=expected, got=str(value)[:80])
        return numbers

    def error(self, problem: str, tag: str | int, **details: object) -> ScanError:
        """Make the error that says what is wrong with one element of this file."""
        column = tag if isinstance(tag, str) else f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
        return ScanError(problem, file=self.name, column=column, **details)

    def expect(self, tags: Iterable[str]) -> None:
        """Raise a ScanError that names the absent ones of `tags`; nothing happens if none is absent."""
        missing = [tag for tag in tags if self.value(tag) is None]
        if missing:
            raise ScanError(
                "not a usable slice", file=self.name, expected=", ".join(missing), got="not in its header"
            )


def unreadable(name: str, got: object = None) -> ScanError:
    """Make the error for a file that is truncated or damaged.

    Examples
    --------
    >>> unreadable("slice.dcm", "12 of 524288 bytes of pixels").problem
    'truncated or damaged DICOM'
    """
    hint = f"{COPY_AGAIN}, or take it out if it is not part of the scan"
    return ScanError("truncated or damaged DICOM", file=name, got=got, hint=hint)


def not_understood(name: str, got: object = None) -> ScanError:
    """Make the error for a file of which it is not known whether it is damaged.

    Examples
    --------
    >>> not_understood("slice.dcm").problem
    'cannot be understood as DICOM'
    """
    hint = "take it out if it is not part of the scan, or export it again"
    return ScanError("cannot be understood as DICOM", file=name, got=got, hint=hint)
