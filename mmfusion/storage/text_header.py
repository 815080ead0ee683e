"""Text headers of MetaImage and NRRD files: split into fields, with limits on their size.

A header is text from an unknown source. It is therefore split with limits: on the bytes that are read, on the
length of a line, and on the number and size of the numbers in a field.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mmfusion.errors import ScanError, ScanWarning, warn

META_SUFFIXES, NRRD_SUFFIXES = (".mha", ".mhd"), (".nrrd", ".nhdr")
MAX_HEADER = 2**20  # bytes; a list of 10,000 data files needs about 300 kB
MAX_LINE = 2**16  # bytes; 3D Slicer writes lines of some thousand characters
MAX_NUMBER = 1e12  # larger numbers are no mm and no number of bytes
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_MAX_WORD = 40  # characters of one number
_ALIASES = {
    "position": "offset",
    "origin": "offset",
    "rotation": "transformmatrix",
    "orientation": "transformmatrix",
    "elementbyteordermsb": "binarydatabyteordermsb",
    "centerings": "centers",
}
_LIST = re.compile(r"LIST\b", re.IGNORECASE)


@dataclass(frozen=True)
class TextHeader:
    """Fields of a MetaImage or NRRD header.

    Parameters
    ----------
    file : Path
        The header's file.
    fields : dict
        Field -> text. Names of fields are in lower case; those of NRRD are without spaces.
    names : tuple of str
        File names that follow the field with the word LIST.
    end : int
        Byte of the file at which the header ends.
    """

    file: Path
    fields: dict[str, str]
    names: tuple[str, ...]
    end: int

    def error(self, problem: str, field: str | None = None, **more: object) -> ScanError:
        """Return a ScanError that names the file, the field and the text of the field."""
        if field is not None and "got" not in more:
            more["got"] = shortened(self.fields[field]) if field in self.fields else "nothing"
        return ScanError(problem, file=self.file, column=field, **more)

    def warn(self, text: str) -> None:
        """Warn that the header does not state something, with the name of the file."""
        warn(f"{self.file.name}: {text}", ScanWarning, stacklevel=4)

    def number(self, field: str, default: int | None = None) -> int:
        """Return a field that holds one whole number."""
        if field not in self.fields and default is not None:
            return default
        return self.whole(field, 1)[0]

    def whole(self, field: str, count: int) -> list[int]:
        """Return a field that holds `count` whole numbers.

        Raises
        ------
        ScanError
            If there are more or fewer numbers, or something else.
        """
        values = self.numbers(field, count)
        if any(value != int(value) for value in values):
            raise self.error("not a whole number", field)
        return [int(value) for value in values]

    def numbers(self, field: str, count: int) -> list[float]:
        """Return a field that holds `count` numbers.

        Raises
        ------
        ScanError
            If there are more or fewer numbers, or one is not finite or above 1e12.
        """
        text = self.fields.get(field, "")
        # one word more than expected is enough to see that there are too many
        return self.parsed(field, text.split(maxsplit=count), count)

    def parsed(self, field: str, words: list[str], count: int) -> list[float]:
        """Return words of a field as numbers; errors as in `numbers`."""
        expected = f"{count} number{'s' * (count > 1)}"
        if len(words) != count or any(len(word) > _MAX_WORD for word in words):
            raise self.error("not the right number of values", field, expected=expected)
        if not all(_NUMBER.fullmatch(word) for word in words):  # NaN and infinity do not match
            raise self.error("not a number", field, expected=expected)
        values = [float(word) for word in words]
        if not all(abs(value) <= MAX_NUMBER for value in values):
            raise self.error("a number out of range", field, expected=f"{expected} up to {MAX_NUMBER:.0e}")
        return values


def has_header(path: Path) -> bool:
    """Return True if the name of a file is that of a MetaImage or an NRRD.

    Examples
    --------
    >>> has_header(Path("scan.mhd")), has_header(Path("scan.nii"))
    (True, False)
    """
    return path.name.lower().endswith((*META_SUFFIXES, *NRRD_SUFFIXES))


def read_header(path: Path) -> TextHeader:
    r"""Read the header of a MetaImage or NRRD file.

    Raises
    ------
    ScanError
        If the header is not text, is too long, does not end, or states a field twice with two values.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "scan.mha"
    ...     _ = file.write_bytes(b"NDims = 3\nDimSize = 4 3 2\nElementDataFile = LOCAL\n")
    ...     header = read_header(file)
    >>> header.whole("dimsize", 3), header.end
    ([4, 3, 2], 50)
    """
    split = _metaimage if path.name.lower().endswith(META_SUFFIXES) else _nrrd
    with path.open("rb") as stream:
        return split(_Lines(path, stream))


class _Lines:
    """The lines of a header, one after the other."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path, self.stream, self.at = path, stream, 0

    def next(self) -> str | None:
        """Return the next line without its end, or None after the last line."""
        line = self.stream.readline(MAX_LINE + 1)
        self.at += len(line)
        if len(line) > MAX_LINE:
            raise self.error("a longer line", f"lines of {MAX_LINE} bytes at most")
        if self.at > MAX_HEADER:
            raise self.error("more", f"{MAX_HEADER} bytes at most")
        if re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", line):
            raise self.error("bytes that are not text", "lines of text")
        return os.fsdecode(line).strip() if line else None

    def rest(self) -> tuple[str, ...]:
        """Return all other lines that are not empty."""
        return tuple(line for line in iter(self.next, None) if line)

    def error(self, got: str, expected: str) -> ScanError:
        return ScanError("the header cannot be read", file=self.path, expected=expected, got=got)


def _metaimage(lines: _Lines) -> TextHeader:
    fields: dict[str, str] = {}
    while (line := lines.next()) is not None:
        if not line:
            continue
        name, found, value = re.match(r"([^=:]*)([=:]?)(.*)", line, re.DOTALL).groups()
        if not found or not name.strip():
            raise lines.error(shortened(line), "lines such as 'DimSize = 512 512 100'")
        key = _add(lines, fields, name.strip().lower(), value.strip())
        if key == "elementdatafile":
            names = lines.rest() if _LIST.match(value.strip()) else ()
            return TextHeader(lines.path, fields, names, lines.at)
    raise lines.error("none", "the field ElementDataFile at the end")


def _nrrd(lines: _Lines) -> TextHeader:
    fields: dict[str, str] = {}
    names: tuple[str, ...] = ()
    if not re.fullmatch(r"NRRD00(0[1-6]|\.01)", lines.next() or ""):
        raise lines.error("something else", "NRRD0001 to NRRD0006 in the first line")
    while line := lines.next():
        if line.startswith("#"):
            continue
        name, found, value = line.partition(":")
        if not found:
            raise lines.error(shortened(line), "lines such as 'sizes: 512 512 100'")
        if not value.startswith("="):  # else a text of the user, which does not describe the voxels
            key = _add(lines, fields, name.replace(" ", "").lower(), value.strip())
            if key == "datafile" and _LIST.match(value.strip()):
                names = lines.rest()
    if line is None and "datafile" not in fields:
        raise lines.error("none", "an empty line after the header")
    return TextHeader(lines.path, fields, names, lines.at)


def _add(lines: _Lines, fields: dict[str, str], key: str, value: str) -> str:
    key = _ALIASES.get(key, key)
    if key in fields and _comparable(fields[key]) != _comparable(value):
        got = f"{key}: {shortened(fields[key])} and {shortened(value)}"
        problem = "a field is stated twice, with two values"
        raise ScanError(problem, file=lines.path, got=got, hint="export or convert the scan again")
    fields[key] = value
    return key


def _comparable(text: str) -> object:
    words = text.split()
    try:
        return [float(word) for word in words]
    except ValueError:
        return [word.lower() for word in words]


def shortened(text: str) -> str:
    """Return a text in quotes for a message; the end of a long text is left out.

    Examples
    --------
    >>> shortened("a" * 100)[-9:], shortened("LOCAL")
    ("aaaaa...'", "'LOCAL'")
    """
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
