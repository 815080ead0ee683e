"""Hashes of files, folders, text, JSON values and patient ids.

Manifests, saved models, splits and the names of cache entries hold these hashes. A change here makes all of
them invalid, so the tests compare each function with fixed values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from xxhash import xxh3_128

from mmfusion.storage.detached import linked_files

CHECKSUM_SIZE = 16  # bytes of a `checksum`


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 hash of bytes, as 64 hexadecimal digits.

    Examples
    --------
    >>> hash_bytes(b"abc")[:16]
    'ba7816bf8f01cfea'
    """
    return hashlib.sha256(data).hexdigest()


def hash_text(text: str) -> str:
    """Return the SHA-256 hash of a text in UTF-8, as 64 hexadecimal digits.

    A file name that is not valid UTF-8 is hashed by the bytes that it has on disk.

    Examples
    --------
    >>> hash_text("abc") == hash_bytes(b"abc")
    True
    """
    return hash_bytes(text.encode(errors="surrogateescape"))


def hash_json(value: object) -> str:
    """Return the SHA-256 hash of a value as JSON; the order of the keys in its dicts does not matter.

    Raises
    ------
    TypeError
        If the value has no JSON form.

    Examples
    --------
    >>> hash_json({"a": 1, "b": [2]}) == hash_json({"b": [2], "a": 1})
    True
    """
    return hash_text(json.dumps(value, sort_keys=True))


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 hash of a file's content, as the program `sha256sum` prints it.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_file_once(path: str | Path) -> str:
    """Return `hash_file(path)`, computed once per process as long as the file does not change.

    A file counts as changed if its inode number, its size or the time of its last change differs.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    state = Path(path).stat()
    return _hash_file_once(str(path), state.st_ino, state.st_size, state.st_ctime_ns)


@lru_cache
def _hash_file_once(path: str, *_state: int) -> str:
    return hash_file(path)


def hash_path(path: str | Path) -> str:
    """Return the SHA-256 hash of a file with its data files, or of a folder with all files in it.

    The hash of a folder covers the relative names and the contents of its files, in order of name. Hidden
    files count. The hash of a header of MetaImage or NRRD (`.mhd`, `.nhdr`) covers the data files that it
    names, if they lie in its folder or below; a file that is not there counts as absent. A header with its
    data in the same file has the hash of the file.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        return _hash_with_data(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return hash_text("".join(f"{p.relative_to(path).as_posix()}\0{hash_file(p)}\n" for p in files))


def _hash_with_data(header: Path) -> str:
    data = linked_files(header)
    if not data:
        return hash_file(header)
    files = {file.resolve() for file in data.values() if file}  # a list can name one file many times
    hashes = {file: hash_file(file) for file in files}
    parts = [f"{name}\0{hashes[file.resolve()] if file else 'absent'}\n" for name, file in data.items()]
    return hash_text("".join([f"{hash_file(header)}\n", *parts]))


def hash_ids(ids: Iterable[object]) -> str:
    """Return the SHA-256 hash of a set of patient ids; their order does not matter.

    Examples
    --------
    >>> hash_ids(["P1", "P2"]) == hash_ids(["P2", "P1"])
    True
    """
    return hash_text("\x1f".join(sorted(map(str, ids))))


def hash_each_id(ids: Iterable[object]) -> list[str]:
    """Return the SHA-256 hash of each patient id.

    With these hashes, a saved model recognises the patients that it was fitted on, but does not name them.

    Examples
    --------
    >>> [digits[:8] for digits in hash_each_id(["P1", "P2"])]
    ['fbeae7c1', 'acbbb742']
    """
    return [hash_text(str(one)) for one in ids]


def checksum(*parts: bytes | memoryview) -> bytes:
    """Return the XXH3-128 checksum of bytes given in one or several parts, 16 bytes.

    It is much faster than SHA-256 and finds accidental damage. It does not protect against forgery.

    Examples
    --------
    >>> checksum(b"ab", b"c") == checksum(b"abc")
    True
    """
    digest = xxh3_128()
    for part in parts:
        digest.update(part)
    return digest.digest()
