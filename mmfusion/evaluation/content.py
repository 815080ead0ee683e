"""Describe the content of a value as nested tuples of text, which are equal in every process."""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import uuid
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import joblib

from mmfusion.storage.fingerprint import fingerprint


def content(value: object) -> object:
    """Return the content of a value: the parameters of a model, the values of a table, the bytes of a file.

    Parameters
    ----------
    value : object
        Any value, such as an estimator, a path or a container of them.

    Returns
    -------
    object
        Nested tuples of text, which can be hashed. If the content of a value cannot be determined, every call
        gives another result, so that two such values are never equal.

    Examples
    --------
    >>> content({"widths": [32, 64]})
    ('dict', (("'widths'", ('list', ('32', '64'))),))
    """
    if isinstance(value, str | Path):
        return _of_path(value)
    if inspect.isclass(value) or inspect.isroutine(value):
        owner = getattr(value, "__self__", None)
        bound = () if owner is None or inspect.ismodule(owner) else (content(owner),)
        return (f"{value.__module__}.{value.__qualname__}", *bound)
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if hasattr(value, "get_params"):
        return kind, content(value.get_params(deep=False))
    if isinstance(value, functools.partial):
        return kind, content(value.func), content(value.args), content(value.keywords)
    if isinstance(value, Mapping):
        return kind, tuple(sorted((repr(k), content(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return kind, tuple(content(v) for v in value)
    if isinstance(value, set | frozenset):
        return kind, tuple(sorted(map(repr, value)))
    if is_dataclass(value):
        return kind, tuple((f.name, content(getattr(value, f.name))) for f in fields(value))
    return kind if value is None else _of_other(value, kind)


def _of_path(value: str | Path) -> object:
    """Return the text itself; if it is the path of a file or folder, its name and its fingerprint."""
    text, path = str(value), Path(value)
    may_be_folder = isinstance(value, Path) or os.sep in text
    try:
        there = path.is_file() or (may_be_folder and path.is_dir())
    except (OSError, ValueError):  # too long for a name, or a null character
        there = False
    return ("file", path.name, fingerprint(path)) if text and there else repr(text)


def _of_other(value: object, kind: str) -> object:
    if isinstance(value, bool | int | float | complex | bytes):
        return repr(value)
    text = repr(value)
    if not hasattr(value, "__array__") and " at 0x" not in text and "..." not in text:
        return kind, text
    try:
        return kind, joblib.hash(value)
    except (pickle.PicklingError, TypeError, AttributeError):
        return kind, uuid.uuid4().hex
