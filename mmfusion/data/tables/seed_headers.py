"""Headers of seed points: the coordinates of a point in the tumour."""

from __future__ import annotations

import re

from mmfusion.data.tables.files import header_key

_SEED = re.compile(
    r"((?P<before>ct|pet) )?(seed|coord)( ?point)?( (?P<after>ct|pet))? ?(?P<axis>[xyz])( (mm|lps|lps mm))?"
    r"|(?P<first>[xyz]) ?(seed|coord)"
)


def seed_header(column: object) -> tuple[str, str] | None:
    """Return the modality that a header of a seed point names ("" if none) and its axis; None for others.

    Parameters
    ----------
    column : object
        Header, such as "seed_x", "coordX" or "pet_seed_z (mm)".

    Examples
    --------
    >>> seed_header("seed_x"), seed_header("PET seed Z (mm)"), seed_header("coordY"), seed_header("age")
    (('', 'x'), ('pet', 'z'), ('', 'y'), None)
    """
    found = _SEED.fullmatch(header_key(column))
    if found is None:
        return None
    return found["before"] or found["after"] or "", found["axis"] or found["first"]
