"""Changes of files, made from a seed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

HOSTILE = (
    "9" * 5000,
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "-1e308",
    "nan",
    "inf",
    "abc",
    "1,5",
    "x" * 5000,
    "",
)  # no header can mean these
POSSIBLE = ("0", "-1", "1", "3.5", "1e-308", "4294967296", "2", "65536", "1000")
_NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
_WORDS = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\x01\0\0\0",
    b"\0\0\xc0\x7f",
)


@dataclass(frozen=True)
class Change:
    """One change of one file.

    Parameters
    ----------
    kind : str
        Name of the change.
    file : str
        Name of the file.
    start : int
        First byte that differs.
    in_text : bool
        It lies in the lines of text at the start of the file.
    resized : bool
        It changed the length of the file, and no other change restored it.
    impossible : bool
        A number of the text was replaced by one that no header can mean.
    """

    kind: str
    file: str
    start: int = 0
    in_text: bool = False
    resized: bool = False
    impossible: bool = False


Maker = Callable[[bytes, np.random.Generator], tuple[bytes, int]]


def mutate(
    files: dict[str, bytes], text: Callable[[str, bytes], int], rng: np.random.Generator
) -> tuple[dict[str, bytes], list[Change]]:
    """Return changed files with the list of changes; most often there is one."""
    whole, changes = files, []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        names = [name for name, data in files.items() if data]
        if not names:
            break
        name = names[rng.integers(len(names))]
        if len(files) > 1 and rng.random() < 0.05:
            files = {key: data for key, data in files.items() if key != name}
            changes.append(Change("file gone", name, resized=True))
            continue
        size = min(text(name, files[name]), len(files[name]))
        if size and rng.random() < 0.5:
            data, change = _in_text(files[name], size, name, rng)
        else:
            kind = list(_BYTES)[rng.integers(len(_BYTES))]
            data, start = _BYTES[kind](files[name], rng)
            change = Change(kind, name, start, start < size, len(data) != len(files[name]))
        if data != files[name]:
            changes.append(change)
        files = {**files, name: data}
    return files, settled(whole, files, changes)


def settled(whole: dict[str, bytes], files: dict[str, bytes], changes: list[Change]) -> list[Change]:
    """Return the changes, `resized` only if the file has another length at the end: two can cancel."""
    same = {name for name, data in whole.items() if len(files.get(name, b"")) == len(data)}
    return [replace(change, resized=change.resized and change.file not in same) for change in changes]


def _in_text(data: bytes, size: int, name: str, rng: np.random.Generator) -> tuple[bytes, Change]:
    head, rest = data[:size], data[size:]
    lines = head.splitlines(keepends=True)
    k = int(rng.integers(len(lines)))
    start, kind = sum(map(len, lines[:k])), str(rng.choice(["number", "number", "drop", "twice", "swap"]))
    impossible = False
    if kind == "drop":
        lines[k] = b""
    elif kind == "twice":
        lines.insert(k + 1, _other_number(lines[k], rng, POSSIBLE))
    elif kind == "swap":
        other = int(rng.integers(len(lines)))
        lines[k], lines[other] = lines[other], lines[k]
        start = 0
    else:
        impossible = bool(rng.random() < 0.6)
        lines[k] = _other_number(lines[k], rng, HOSTILE if impossible else POSSIBLE)
    changed = b"".join(lines)
    return changed + rest, Change(kind, name, start, True, len(changed) != len(head), impossible)


def _other_number(line: bytes, rng: np.random.Generator, numbers: tuple[str, ...]) -> bytes:
    found = list(_NUMBER.finditer(line))
    if not found:
        return line
    one = found[rng.integers(len(found))]
    return line[: one.start()] + numbers[rng.integers(len(numbers))].encode() + line[one.end() :]


def _flip(data: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    out, at = bytearray(data), np.sort(rng.integers(8 * len(data), size=int(rng.choice([1, 1, 2, 8]))))
    for k in at:
        out[k // 8] ^= 1 << (k % 8)
    return bytes(out), int(at[0] // 8)


def _first_bytes(data: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    out, at = bytearray(data), int(rng.integers(min(len(data), 400)))
    out[at] = rng.integers(256)
    return bytes(out), at


def _word(data: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    """Replace two or four bytes, such as a length, by a number at the end of its range."""
    at, word = int(rng.integers(min(len(data), 600))), _WORDS[rng.integers(len(_WORDS))]
    word = word[: int(rng.choice([2, 4]))]
    return (data[:at] + word + data[at + len(word) :])[: len(data)], at


def _range(data: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, start + int(rng.integers(1, max(len(data) // 4, 2)))


def _truncate(data: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    at = (
        len(data) - 1 - int(rng.integers(min(9, len(data))))
        if rng.random() < 0.3
        else rng.integers(len(data))
    )
    return data[: int(at)], int(at)


def _zero(data: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    start, stop = _range(data, rng)
    return data[:start] + bytes(len(data[start:stop])) + data[stop:], start


def _double(data: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    start, stop = _range(data, rng)
    return data[:stop] + data[start:stop] + data[stop:], start


def _remove(data: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    start, stop = _range(data, rng)
    return data[:start] + data[stop:], start


def _insert(data: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + rng.bytes(int(rng.choice([1, 2, 7, 64, 1000]))) + data[at:], at


def _append(data: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    more = bytes(int(rng.integers(1, 600))) if rng.random() < 0.3 else rng.bytes(int(rng.integers(1, 600)))
    return data + more, len(data)


_BYTES: dict[str, Maker] = {
    "flip": _flip,
    "first bytes": _first_bytes,
    "word": _word,
    "truncate": _truncate,
    "zero": _zero,
    "double": _double,
    "remove": _remove,
    "insert": _insert,
    "append": _append,
}
