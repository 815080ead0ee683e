"""Readers that do what no reader may do, to test that the harness notices."""

from __future__ import annotations

import os
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np

from mmfusion.errors import ScanError, ScanWarning
from tests.fuzz.registry import Format


def make(rng: np.random.Generator, folder: Path) -> Path:
    path = folder / "input.txt"
    path.write_bytes(b"12 " * 30)
    return path


def refuse(data: bytes) -> str:
    raise ScanError("refused")


def warn(data: bytes) -> str:
    warnings.warn("a part is not used", ScanWarning, stacklevel=2)
    return "another content"


def die(data: bytes) -> str:
    os.abort()


def hang(data: bytes) -> str:
    time.sleep(60)
    return ""


def fill_memory(data: bytes) -> str:
    return str(np.ones(2**25).sum())  # 0.25 GiB


def overflow(data: bytes) -> str:
    return str(np.float32(1e38) * np.float32(1e38))


def forget(data: bytes) -> int:
    return data[99999]


READERS = {
    "our error": refuse,
    "equal": lambda data: "12",
    "warning": warn,
    "silent damage": lambda data: "another content",
    "cannot tell": lambda data: "another content",
    "other exception": forget,
    "foreign warning": overflow,
    "death": die,
    "hang": hang,
    "memory": fill_memory,
}


def read(name: str, path: Path) -> object:
    data = path.read_bytes()
    return "12" if data == b"12 " * 30 else READERS[name](data)


FORMATS = [
    Format(name, make, partial(read, name), lambda change, name=name: name != "cannot tell")
    for name in READERS
]
