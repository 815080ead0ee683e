"""Files that are there twice: exported again, or copied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfusion.errors import ScanWarning, warn
from mmfusion.imaging.dicom.header import Header
from mmfusion.imaging.dicom.pixels import check_pixels, stored_values
from mmfusion.modalities import BY_DICOM


def without_copies(found: Sequence[Header]) -> list[Header]:
    """Return one header per SOPInstanceUID if the files with it have the same values and pixels."""
    first: dict[str, Header] = {}
    kept, copies = [], []
    for header in found:
        uid = header.text("SOPInstanceUID")
        twin = first.setdefault(uid, header) if uid else header
        copy = twin is not header and _alike(twin, header)
        (copies if copy else kept).append(header)
    if copies:
        more = f" and {len(copies) - 1} more" if len(copies) > 1 else ""
        text = f"{copies[0].name}{more}: passed over, the same file as another"
        warn(text, ScanWarning, stacklevel=2)
    return kept


def _alike(one: Header, other: Header) -> bool:
    """Return whether files have the same bytes, or the same values and pixels (exported twice)."""
    if one.frame is None and one.member.read() == other.member.read():
        return True
    if one.length is None or one.values != other.values or one.text("Modality") not in BY_DICOM:
        return False
    check_pixels(one)
    check_pixels(other)
    return np.array_equal(stored_values(one), stored_values(other))
