"""One hash for the content that a reader returns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.storage.hashing import hash_text


def digest(content: object) -> str:
    """Return a hash of arrays, tables, numbers and text, and of lists, tuples, dicts and dataclasses."""
    if isinstance(content, np.ndarray) and content.dtype != object:
        data = np.ascontiguousarray(content).tobytes().hex()
        return hash_text(f"array {content.dtype.str} {content.shape} {data}")
    if isinstance(content, pd.DataFrame | pd.Series):
        parts = [content.to_csv(), *map(str, np.atleast_1d(content.dtypes))]
        return hash_text("table " + "\n".join(parts))
    if dataclasses.is_dataclass(content):
        content = {f.name: getattr(content, f.name) for f in dataclasses.fields(content)}
    if isinstance(content, dict):
        pairs = sorted((str(key), digest(value)) for key, value in content.items())
        return hash_text("dict " + "\n".join(f"{key} {value}" for key, value in pairs))
    if isinstance(content, list | tuple | np.ndarray):
        return hash_text("list " + "\n".join(map(digest, content)))
    assert content is None or isinstance(content, str | bytes | int | float | np.generic | Path), type(
        content
    )
    return hash_text(f"{type(content).__name__} {content!r}")
