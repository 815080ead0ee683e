"""Which code this is: what other code made, a fold or a report, is not taken for what this code would make."""

from __future__ import annotations

import hashlib
from pathlib import Path


def code_hash() -> str:
    """SHA-256 over the package's Python files, committed or not."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(
            file.relative_to(root).as_posix().encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest()
        )
    return digest.hexdigest()
