"""File names from texts such as the ids of patients."""

from __future__ import annotations

import re

from mmfusion.storage.hashing import hash_text

_PLAIN = re.compile(r"\w[\w.+@=-]{0,59}")


def file_name(name: str) -> str:
    """Return a file name without suffix for a text, such as a patient's id; it differs for each text.

    A text that is too long, or has blanks or characters such as "/", is rewritten, and its hash is added.

    Examples
    --------
    >>> file_name("scan_R01-001"), file_name("scan 2020/001")
    ('scan_R01-001', 'scan_2020_001-f4bdbd61')
    """
    if _PLAIN.fullmatch(name):
        return name
    return f"{re.sub(r'[^A-Za-z0-9.+@=-]+', '_', name)[:60]}-{hash_text(name)[:8]}"
