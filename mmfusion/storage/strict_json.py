"""Parse JSON that may come from anybody: bounded depth and numbers, and one kind of error."""

from __future__ import annotations

import json
import math

DEPTH = 100  # levels of lists and objects within each other
_DIGITS = 20


def parse_json(text: str | bytes, *, depth: int = DEPTH, nan: bool = False) -> object:
    """Return the value of a JSON text.

    Parameters
    ----------
    text : str or bytes
        The text, UTF-8.
    depth : int
        Largest number of lists and objects within each other.
    nan : bool
        Accept NaN and Infinity, which Python writes but JSON does not have.

    Raises
    ------
    ValueError
        If the text is not JSON, is nested too deeply, or has a number that is too large. The message is short
        and says which.

    Examples
    --------
    >>> parse_json('{"n": 400, "modalities": ["ct", "rna"]}')
    {'n': 400, 'modalities': ['ct', 'rna']}
    >>> parse_json("[" * 5000 + "]" * 5000)
    Traceback (most recent call last):
    ValueError: nested too deeply
    """
    constant = float if nan else _no_constant
    try:
        value = json.loads(text, parse_constant=constant, parse_float=_number, parse_int=_integer)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [value]
    for _ in range(depth + 1):
        level = [part for item in level if isinstance(item, list | dict) for part in _parts(item)]
        if not level:
            return value
    raise ValueError("nested too deeply")


def _parts(item: list | dict) -> list:
    return item if isinstance(item, list) else list(item.values())


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON: write null for a value that is not known")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"a number out of range: {text[:_DIGITS]}")
    return value


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
