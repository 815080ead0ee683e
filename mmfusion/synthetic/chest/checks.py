"""Checks of the arguments of `lesion_phantom`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from numbers import Real

import numpy as np

from mmfusion.errors import DataError, check_whole
from mmfusion.limits import check_memory
from mmfusion.synthetic.chest import genetics
from mmfusion.synthetic.chest.appearance import HIGH, LOW, TYPES
from mmfusion.synthetic.chest.scans import SHARED_SIDE_MM, Settings

GRIDS = ("cube", "scanner")
_WHOLE_MM = 400.0  # longest side of a whole chest


def check(n: int, seed: int, settings: Settings, genes: Sequence[str], strength: float) -> None:
    """Raise a `DataError` if an argument cannot be used.

    Examples
    --------
    >>> check(0, 0, Settings(), ("EGFR",), 1.0)
    Traceback (most recent call last):
    mmfusion.errors.DataError: parameter n: out of range (expected a whole number, 1 to 100000; got 0)
    """
    check_whole("n", n, 1, 100_000)
    check_whole("seed", seed, 0, 2**63 - 1)
    check_whole("size", settings.size, 16, 256)
    for name in ("pet", "whole", "igtv"):
        if not isinstance(getattr(settings, name), bool):
            raise DataError("neither True nor False", parameter=name, got=repr(getattr(settings, name)))
    if settings.grid not in GRIDS:
        known, got = " or ".join(GRIDS), repr(settings.grid)
        raise DataError("no such grid", parameter="grid", expected=known, got=got)
    _names("types", settings.types, TYPES)
    _names("genes", genes, genetics.GENES)
    _range("diameters", settings.diameters, LOW, HIGH)
    _range("thickness", settings.thickness, 0.6, 8.0)
    _range("lesions", settings.lesions, 1, 8)
    for count in settings.lesions:
        check_whole("lesions", count, 1, 8)
    if settings.spacing is not None:
        _number("spacing", settings.spacing, 0.3, 8.0)
    if settings.pet_spacing is not None:
        _number("pet_spacing", settings.pet_spacing, 1.0, 8.0)
    _number("strength", strength, 0.0, 1.0)
    _check_side(settings)
    voxels = (_WHOLE_MM / (settings.spacing or 2.5)) ** 3 if settings.whole else settings.size**3
    check_memory(60.0 * voxels, "a scan of the lesion phantom")  # with working copies


def listed(name: str, value: object) -> tuple[object, ...]:
    """Return the values of an argument that has several.

    Raises
    ------
    DataError
        If it is one number, or None.

    Examples
    --------
    >>> listed("lesions", [1, 2])
    (1, 2)
    """
    try:
        return tuple(value)
    except TypeError:
        got = repr(value)[:60]
        raise DataError("not a list", parameter=name, expected="several values", got=got) from None


def plain(settings: Settings) -> Settings:
    """Return the same settings with Python's numbers, as JSON needs them.

    Examples
    --------
    >>> plain(Settings(size=np.int64(32), lesions=(np.int64(1), 2))).lesions
    (1, 2)
    """
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return Settings(**{k: tuple(map(_number_of, v)) if isinstance(v, tuple) else _number_of(v)
                       for k, v in values.items()})  # fmt: skip


def _number_of(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _check_side(settings: Settings) -> None:
    """Raise a `DataError` if a PET on the grid of a small crop would show only lung."""
    shared = settings.pet and settings.pet_spacing is None and not settings.whole
    if shared and settings.spacing is not None and settings.size * settings.spacing < SHARED_SIDE_MM:
        raise DataError(
            "the crop is too small for a PET on its grid",
            expected=f"size x spacing of {SHARED_SIDE_MM:g} mm or more",
            got=f"{settings.size * settings.spacing:g} mm",
            hint="give a larger size or spacing, or pet_spacing=4.0",
        )


def _number(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
        raise DataError("out of range", parameter=name, expected=f"{low:g} to {high:g}", got=repr(value)[:60])


def _range(name: str, value: Sequence[float], low: float, high: float) -> None:
    expected = f"(low, high) within {low:g} to {high:g}"
    if len(value) != 2 or not all(isinstance(v, Real) and np.isfinite(v) for v in value):
        raise DataError("not a range", parameter=name, expected=expected, got=repr(value)[:60])
    if not low <= value[0] <= value[1] <= high:
        raise DataError("out of range", parameter=name, expected=expected, got=repr(value)[:60])


def _names(name: str, value: Sequence[str], known: Sequence[str]) -> None:
    wrong = [v for v in value if not isinstance(v, str) or v not in known]
    if not len(value) or wrong or len(set(value)) < len(value):
        expected = f"some of {', '.join(known)}, each once"
        raise DataError("unknown names", parameter=name, expected=expected, got=repr(tuple(value))[:80])
