"""Registries of thirty lines: a part registers itself, a table lists what there is, tests iterate it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pandas as pd

from mmfusion.errors import MMFusionError


class Registry:
    """Named classes of one kind, found by importing one package.

    Parameters
    ----------
    kind : str
        What is registered, for messages: "encoder", "fusion".
    package : str
        Importing this package registers its members.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._classes: dict[str, type] = {}
        self._facts: dict[str, dict[str, str]] = {}

    def register(self, name: str, *, modality: str, paper: str) -> Callable[[type], type]:
        """Class decorator: put the class under `name`; its docstring's first line describes it."""

        def add(cls: type) -> type:
            if self._classes.get(name, cls).__qualname__ != cls.__qualname__:
                raise MMFusionError(f"two {self.kind}s are called {name!r}", hint="rename one of them")
            summary = (cls.__doc__ or "").strip().splitlines()[0]
            self._classes[name] = cls
            self._facts[name] = {"modality": modality, "paper": paper, "summary": summary}
            cls.registered_name = name
            return cls

        return add

    def get(self, name: str) -> type:
        """The class called `name`; raises `MMFusionError` that lists the names there are."""
        import_module(self.package)
        if name not in self._classes:
            raise MMFusionError(f"no {self.kind} called {name!r}", expected=", ".join(sorted(self._classes)))
        return self._classes[name]

    def frame(self) -> pd.DataFrame:
        """A row each: modality, paper, one line; indexed by name."""
        import_module(self.package)
        return pd.DataFrame.from_dict(self._facts, orient="index").rename_axis("name").sort_index()


ENCODERS = Registry("encoder", "mmfusion.nn.encoders")
FUSIONS = Registry("fusion", "mmfusion.nn.fusion")
RESTORERS = Registry("restorer", "mmfusion.imaging.restoration")


def list_encoders() -> pd.DataFrame:
    """Registered encoders: modality, paper and one line each, indexed by name."""
    return ENCODERS.frame()


def list_fusions() -> pd.DataFrame:
    """Registered fusions: modality, paper and one line each, indexed by name."""
    return FUSIONS.frame()


def list_restorers() -> pd.DataFrame:
    """Registered restorers of scans: modality, paper and one line each, indexed by name."""
    return RESTORERS.frame()
