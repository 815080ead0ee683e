"""Limit of the memory that one input may take, checked before the memory is taken."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import IO

from mmfusion.errors import DataError, MMFusionError

VARIABLE = "MMFUSION_MAX_GIB"
_RAISE_IT = f"if the size is right, raise the limit: set the environment variable {VARIABLE}"
DEFAULT_GIB = 2.0  # a CT of 512 x 512 x 1000 voxels needs 1.5 GiB: int16 as stored and float32 as read


def memory_limit() -> int:
    """Return the most bytes that one input may need: $MMFUSION_MAX_GIB, default 2 GiB.

    Raises
    ------
    DataError
        If the variable is not a positive number.

    Examples
    --------
    >>> memory_limit() / 2**30
    2.0
    """
    text = os.environ.get(VARIABLE, "").strip()
    try:
        gib = float(text) if text else DEFAULT_GIB
    except ValueError:
        gib = 0.0
    if not 0 < gib < 2**20:
        raise DataError(f"{VARIABLE} is not a size", expected="a number of GiB above 0", got=repr(text))
    return int(gib * 2**30)


def check_memory(
    n_bytes: float, what: str, *, file: object = None, error: type[MMFusionError] = DataError
) -> None:
    """Raise an error if an input needs more memory than `memory_limit`.

    Call it with the size that a header promises, before anything of this size is allocated.

    Parameters
    ----------
    n_bytes : float
        Memory that reading the input takes at its peak, including working copies.
    what : str
        What needs the memory, such as "the scan".
    file : path, optional
        File for the message.
    error : type
        Class of the error.

    Examples
    --------
    >>> check_memory(2**20, "the scan")
    >>> check_memory(2**40, "the scan", file="ct.nrrd")
    Traceback (most recent call last):
    mmfusion.errors.DataError: file ct.nrrd: the scan is too large (expected 2 GiB at most; got 1024 GiB) ...
    """
    limit = memory_limit()
    if not n_bytes <= limit:  # NaN is refused as well
        # A header can promise more bytes than a float can hold.
        exact = Decimal(n_bytes if isinstance(n_bytes, float) else int(n_bytes))
        expected, got = f"{limit / 2**30:.3g} GiB at most", f"{exact / 2**30:.4g} GiB"
        raise error(f"{what} is too large", file=file, expected=expected, got=got, hint=_RAISE_IT)


def read_at_most(
    stream: IO[bytes],
    n_bytes: int,
    what: str,
    *,
    file: object = None,
    error: type[MMFusionError] = DataError,
) -> bytes:
    """Read a stream to its end, but no more than `n_bytes`; a longer stream is an error.

    Use it for streams that unpack data, because a small file can unpack to any size.

    Examples
    --------
    >>> import io
    >>> read_at_most(io.BytesIO(b"abc"), 3, "the table")
    b'abc'
    """
    data = stream.read(n_bytes + 1)
    if len(data) > n_bytes:
        expected = f"{n_bytes} bytes at most"
        raise error(f"{what} is too large", file=file, expected=expected, got="more", hint=_RAISE_IT)
    return data
