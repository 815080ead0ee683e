"""The formats that are fuzzed, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.fuzz import formats
from tests.fuzz.mutate import Change


@dataclass(frozen=True)
class Format:
    """One format.

    Parameters
    ----------
    name : str
        Name in tables and on the command line.
    make : callable
        `make(rng, folder)` writes one sound input into an empty folder and returns the path to read: a file,
        or the folder itself.
    read : callable
        `read(path)` returns content that `digest.digest` can compare: arrays, tables, numbers, text, and
        lists, tuples and dicts of them.
    tells : callable
        `tells(change)` is True if the format can tell that the content was changed, by a checksum, a length
        or its structure. Only such changes count as silent damage.
    text : callable
        `text(name, data)` is the number of bytes at the start of a file that are lines of text; default 0.
    unpack, pack : callable
        Functions of bytes; the changes are made between them. Default: none.
    """

    name: str
    make: Callable[[np.random.Generator, Path], Path]
    read: Callable[[Path], object]
    tells: Callable[[Change], bool]
    text: Callable[[str, bytes], int] = lambda name, data: 0
    unpack: Callable[[bytes], bytes] = bytes
    pack: Callable[[bytes], bytes] = bytes


def load(modules: tuple[str, ...] = ()) -> dict[str, Format]:
    """Return the formats that modules list as `FORMATS`; default, those of all modules of `formats`."""
    if not modules:
        modules = tuple(
            f"{formats.__name__}.{found.name}" for found in pkgutil.iter_modules(formats.__path__)
        )
    found = [one for module in modules for one in importlib.import_module(module).FORMATS]
    by_name = {one.name: one for one in found}
    assert len(by_name) == len(found), "two formats have one name"
    return by_name
