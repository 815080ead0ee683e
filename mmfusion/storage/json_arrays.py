"""Nested values as JSON, with their arrays set aside."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmfusion.errors import BundleError


def split(value: object, arrays: dict[str, np.ndarray]) -> object:
    """Return a value as JSON: arrays are moved to `arrays`, tuples marked, numpy scalars made numbers.

    Raises
    ------
    BundleError
        If a value has no JSON form.

    Examples
    --------
    >>> arrays = {}
    >>> split((1, np.zeros(2)), arrays), list(arrays)
    ({'__tuple__': [1, {'__array__': 'a0'}]}, ['a0'])
    """
    if isinstance(value, np.ndarray):
        key = f"a{len(arrays)}"
        arrays[key] = value.astype(str) if value.dtype == object else value
        return {"__array__": key}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"__dict__": [[split(k, arrays), split(v, arrays)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"__tuple__": [split(v, arrays) for v in value]}
    if isinstance(value, list):
        return [split(v, arrays) for v in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise BundleError("cannot be saved: a value has no JSON form", got=type(value).__name__)


def array_names(value: object) -> list[str]:
    """Return the names of the arrays that a value of `split` refers to, each once.

    Examples
    --------
    >>> array_names({"__tuple__": [1, {"__array__": "a0"}]})
    ['a0']
    """
    names, parts = {}, [value]
    while parts:
        part = parts.pop()
        if isinstance(part, dict) and "__array__" in part:
            names[str(part["__array__"])] = None
        elif isinstance(part, dict | list):
            parts += part.values() if isinstance(part, dict) else part
    return list(names)


def join(value: object, arrays: Mapping[str, np.ndarray]) -> object:
    """Return the value that `split` turned into JSON.

    Raises
    ------
    LookupError, TypeError, ValueError
        If it was edited.

    Examples
    --------
    >>> join({"__tuple__": [1, {"__array__": "a0"}]}, {"a0": np.zeros(2)})
    (1, array([0., 0.]))
    """
    if isinstance(value, list):
        return [join(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        return arrays[value["__array__"]]
    if "__tuple__" in value:
        return tuple(join(v, arrays) for v in value["__tuple__"])
    return {join(k, arrays): join(v, arrays) for k, v in value["__dict__"]}
