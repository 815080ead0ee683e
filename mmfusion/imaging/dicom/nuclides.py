"""Half-lives of the nuclides of PET, to check what a header says.

Source: Decay Data Evaluation Project, Table of Radionuclides (BIPM Monographie 5).
"""

from __future__ import annotations

import re

_HALF_LIVES_S = {
    ("C", "carbon", 11): 1223,
    ("N", "nitrogen", 13): 598,
    ("O", "oxygen", 15): 122,
    ("F", "fluorine", 18): 6586,
    ("Cu", "copper", 64): 45_720,
    ("Ga", "gallium", 68): 4063,
    ("Rb", "rubidium", 82): 75.5,
    ("Zr", "zirconium", 89): 282_300,
    ("I", "iodine", 124): 360_800,
}
_BETWEEN = r"[\s^\[\]-]*"
_PATTERNS = {
    f"{symbol}-{mass}": re.compile(
        rf"(?<![a-z\d])({symbol}|{name}){_BETWEEN}{mass}(?!\d)|(?<!\d){mass}{_BETWEEN}({symbol}|{name})(?![a-z])",
        re.IGNORECASE,
    )
    for symbol, name, mass in _HALF_LIVES_S
}
_SECONDS = {f"{symbol}-{mass}": seconds for (symbol, _, mass), seconds in _HALF_LIVES_S.items()}


def named_nuclide(text: str) -> tuple[str, float] | None:
    """Return the nuclide that a text names and its half-life in s; None if it names none, or several.

    Examples
    --------
    >>> named_nuclide("^18^Fluorine"), named_nuclide("DOTATOC-68Ga"), named_nuclide("FDG")
    (('F-18', 6586), ('Ga-68', 4063), None)
    """
    found = [name for name, pattern in _PATTERNS.items() if pattern.search(text)]
    return (found[0], _SECONDS[found[0]]) if len(found) == 1 else None
