"""Data files that the header of a MetaImage or NRRD file names; only files below the header's folder."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from mmfusion.errors import ScanError
from mmfusion.storage.text_header import META_SUFFIXES, TextHeader, has_header, read_header, shortened

MAX_FILES = 50_000
_NUMBER = re.compile(r"%(0?)(\d?)d")  # such as %03d


def data_files(header: TextHeader) -> list[str]:
    """Return the names of the data files of a header, in order; none if the data follow the header.

    A header names one file, a list of files, or a pattern with a range of numbers, such as
    "slice%03d.raw 1 40 1".

    Raises
    ------
    ScanError
        If the names cannot be understood.

    Examples
    --------
    >>> fields = {"elementdatafile": "slice%02d.raw 1 3 1", "ndims": "3", "dimsize": "64 64 3"}
    >>> data_files(TextHeader(Path("scan.mhd"), fields, (), 0))
    ['slice01.raw', 'slice02.raw', 'slice03.raw']
    """
    meta = header.file.name.lower().endswith(META_SUFFIXES)
    field = "elementdatafile" if meta else "datafile"
    value = header.fields.get(field, "" if meta else "LOCAL")
    if not value:
        raise header.error("no data file is named", field)
    if value.upper() == "LOCAL":
        return []
    if re.match(r"LIST\b", value, re.IGNORECASE):
        if not 0 < len(header.names) <= MAX_FILES:
            expected, got = f"1 to {MAX_FILES} names", f"{len(header.names)} names"
            raise header.error("a list of data files", field, expected=expected, got=got)
        return list(header.names)
    if _NUMBER.search(value):
        return _numbered(header, field, value, meta=meta)
    return [value]


def _numbered(header: TextHeader, field: str, value: str, *, meta: bool) -> list[str]:
    pattern, *words = value.split()
    if not _NUMBER.search(pattern) or pattern.replace("%%", "").count("%") != 1:
        raise header.error("not a pattern of data files", field, expected="one number such as %03d")
    numbers = [int(number) for number in header.parsed(field, words, len(words))] if len(words) <= 4 else []
    if meta and len(numbers) < 3:
        count = header.whole("dimsize", header.number("ndims"))[-1]
        first = numbers[0] if numbers else 1
        last = numbers[1] if len(numbers) > 1 else first + count - 1
        step = max((last - first + 1) // max(count, 1), 1)
    elif len(numbers) in (3, 4):
        first, last, step = numbers[:3]
    else:
        raise header.error("not a pattern of data files", field, expected="first, last and step")
    if step == 0 or not 0 <= (last - first) // step < MAX_FILES:
        raise header.error("not a range of data files", field, expected=f"at most {MAX_FILES} files")
    span = range(first, last + (1 if step > 0 else -1), step)
    return [_NUMBER.sub(lambda found, k=k: f"{k:{found[1]}{found[2]}d}", pattern, count=1) for k in span]


def below(folder: Path, name: str, header: Path) -> Path:
    """Return the path of a data file that a header names.

    Raises
    ------
    ScanError
        If the file is outside the folder of the header, also by a link, or is not there.

    Examples
    --------
    >>> below(Path("study"), "../other.raw", Path("study/scan.mhd"))
    Traceback (most recent call last):
    mmfusion.errors.ScanError: file study/scan.mhd: the data file lies outside the header's folder ...
    """
    plain = PurePosixPath(name.replace("\\", "/"))
    path = folder / plain
    outside = plain.is_absolute() or ".." in plain.parts or re.match(r"[A-Za-z]:", name)
    try:
        outside = outside or not path.resolve().is_relative_to(folder.resolve())
        there = outside or path.is_file()
    except (OSError, RuntimeError):  # a name that is too long, or links in a circle
        there = False
    if outside:
        problem, hint = "the data file lies outside the header's folder", "move or copy it beside the header"
        raise ScanError(
            problem, file=header, expected=f"a file below {folder}", got=shortened(name), hint=hint
        )
    if not there:
        hint = "copy the data files together with the header"
        raise ScanError("the data file is not there", file=header, got=shortened(name), hint=hint)
    return path


def linked_files(path: Path) -> dict[str, Path | None]:
    """Return the data files of a header for a hash: name -> path, or None if absent or outside the folder.

    Other files, and headers that cannot be understood, have no data files.

    Raises
    ------
    OSError
        If the header cannot be read.

    Examples
    --------
    >>> linked_files(Path("scan.nii.gz"))
    {}
    """
    if not has_header(path):
        return {}
    try:
        names = data_files(read_header(path))
    except ScanError:
        return {}
    return {name: _found(path.parent, name, path) for name in names}


def _found(folder: Path, name: str, header: Path) -> Path | None:
    try:
        return below(folder, name, header)
    except ScanError:
        return None
