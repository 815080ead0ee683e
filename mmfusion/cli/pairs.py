"""Settings on the command line, `-p KEY=VALUE`."""

from __future__ import annotations

from collections.abc import Sequence

from mmfusion.errors import MMFusionError


def pairs(texts: Sequence[str], error: type[MMFusionError]) -> dict[str, str]:
    """Return the values of `-p KEY=VALUE` by key.

    Raises
    ------
    error
        If a text has no "=", or a key is given twice.

    Examples
    --------
    >>> pairs(["spacing=2", "families=glcm,statistics"], MMFusionError)
    {'spacing': '2', 'families': 'glcm,statistics'}
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise error("a parameter has no value", expected="-p key=value", got=text)
        if key.strip() in found:
            raise error("given twice", parameter=key.strip())
        found[key.strip()] = value
    return found
