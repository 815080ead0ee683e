"""Lazy imports: a package lists all its names at once and loads each module on first use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazy(
    package: str, home: Mapping[str, str], modules: Sequence[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package whose names are loaded on first use.

    Importing the package stays fast, and tab completion still shows every name.

    Parameters
    ----------
    package : str
        The package's `__name__`.
    home : mapping of str to str
        Public name -> module below the package that defines it.
    modules : sequence of str
        Modules of the package that are public names themselves.

    Returns
    -------
    tuple of two callables
        `__getattr__` and `__dir__`.

    Examples
    --------
    >>> get, names = lazy("mmfusion", {"MMFusionError": "errors"})
    >>> get("MMFusionError").__name__
    'MMFusionError'
    """

    def get(name: str) -> object:
        if name in home:
            return getattr(import_module(f"{package}.{home[name]}"), name)
        if name in modules:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted({*sys.modules[package].__all__, *home, *modules})

    return get, names
