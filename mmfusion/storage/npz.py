"""Read named arrays from an npz file: sizes are checked before memory is taken, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from mmfusion.limits import check_memory


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return some arrays of an npz file; the others are not read.

    Parameters
    ----------
    path : path
        File that `numpy.savez` or `numpy.savez_compressed` wrote.
    names : iterable of str
        Names of the arrays.

    Raises
    ------
    KeyError
        If an array is not in the file.
    ValueError
        If an array holds Python objects, or has more or fewer bytes than it states. If the arrays need more
        memory than allowed, it is a `mmfusion.errors.DataError`.
    zipfile.BadZipFile, zlib.error, EOFError, OSError
        If the file is damaged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez_compressed(Path(folder) / "a.npz", a=np.arange(3), b=np.zeros(10**6))
    ...     read_arrays(Path(folder) / "a.npz", ["a"])
    {'a': array([0, 1, 2])}
    """
    found: dict[str, np.ndarray] = {}
    total = 0
    with zipfile.ZipFile(path) as archive:
        for name in names:
            with archive.open(f"{name}.npy") as member:
                shape, fortran, dtype = _header(member)
                size = math.prod(shape) * dtype.itemsize
                total += size
                check_memory(2.0 * total, "the set of arrays", file=path)
                data = member.read(size)
                if len(data) != size or member.read(1):
                    raise ValueError(f"array {name} does not have the {size} bytes that it states")
            order = "F" if fortran else "C"
            found[name] = np.frombuffer(data, dtype).reshape(shape, order=order).copy(order)
    return found


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise ValueError(f"array of version {version}")
    if dtype.hasobject or (not dtype.itemsize and math.prod(shape)):
        raise ValueError(f"array of {dtype}")
    if any(n < 0 for n in shape):
        raise ValueError(f"array of shape {shape}")
    return shape, fortran, dtype
