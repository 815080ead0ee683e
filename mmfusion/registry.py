"""Registries of encoders, fusions, restorers and segmenters: each class registers itself under a name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pandas as pd

from mmfusion.display import FullTable
from mmfusion.errors import MMFusionError, did_you_mean


class Registry:
    """Table of named classes of one kind; importing one package fills it.

    Parameters
    ----------
    kind : str
        What is registered, such as "encoder" or "fusion". Used in messages.
    package : str
        Package that defines the classes. Importing it registers them.

    Examples
    --------
    >>> shapes = Registry("shape", "mmfusion.errors")
    >>> @shapes.register("square", modality="ct", paper="none")
    ... class Square:
    ...     '''Square with four equal sides.'''
    >>> shapes.get("square").__name__
    'Square'
    >>> shapes.frame().loc["square", "summary"]
    'Square with four equal sides.'
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._classes: dict[str, type] = {}
        self._facts: dict[str, dict[str, str]] = {}

    def register(self, name: str, *, modality: str, paper: str, **facts: str) -> Callable[[type], type]:
        """Return a class decorator that registers the class under `name`.

        Parameters
        ----------
        name : str
            Name under which `get` finds the class.
        modality : str
            Modality that the class works on.
        paper : str
            Source of the method.
        **facts : str
            Further columns of `frame`.

        Returns
        -------
        callable
            Class decorator. The first line of the class's docstring becomes its summary in `frame`.

        Raises
        ------
        MMFusionError
            If another class already has this name.
        """

        def add(cls: type) -> type:
            if self._classes.get(name, cls).__qualname__ != cls.__qualname__:  # else: the class was reloaded
                raise MMFusionError(f"two {self.kind}s are called {name!r}", hint="rename one of them")
            summary = (cls.__doc__ or "").strip().splitlines()[0]
            self._classes[name] = cls
            self._facts[name] = {"modality": modality, **facts, "paper": paper, "summary": summary}
            cls.registered_name = name
            return cls

        return add

    def get(self, name: str) -> type:
        """Return the class called `name`.

        Raises
        ------
        MMFusionError
            If no class has this name. The message lists the registered names, and the one most like it.
        """
        import_module(self.package)
        if not isinstance(name, str) or name not in self._classes:
            known, hint = sorted(self._classes), did_you_mean(name, self._classes)
            raise MMFusionError(f"no {self.kind} called {name!r}", expected=", ".join(known), hint=hint)
        return self._classes[name]

    def frame(self) -> pd.DataFrame:
        """Return one row per class, indexed by name, with columns modality, paper and summary."""
        import_module(self.package)
        table = pd.DataFrame.from_dict(self._facts, orient="index").rename_axis("name").sort_index()
        return FullTable(table)


ENCODERS = Registry("encoder", "mmfusion.nn.encoders")
FUSIONS = Registry("fusion", "mmfusion.nn.fusion")
RESTORERS = Registry("restorer", "mmfusion.imaging.restoration")
SEGMENTERS = Registry("segmentation network", "mmfusion.nn.segmenters")


def list_encoders() -> pd.DataFrame:
    """Return the registered encoders: a table with modality, paper and summary, indexed by name.

    Examples
    --------
    >>> list_encoders().loc["gene_gat", "modality"]
    'rna'
    """
    return ENCODERS.frame()


def list_fusions() -> pd.DataFrame:
    """Return the registered fusions: a table with modality, paper and summary, indexed by name.

    Examples
    --------
    >>> list_fusions().index.tolist()
    ['concat', 'crossmodal', 'daft', 'gmu', 'late', 'mlp', 'mod_weighted', 'simple']
    """
    return FUSIONS.frame()


def list_restorers() -> pd.DataFrame:
    """Return the registered restorers of scans: a table with modality, paper and summary, indexed by name.

    Examples
    --------
    >>> "nlm" in list_restorers().index
    True
    """
    return RESTORERS.frame()


def list_segmenters() -> pd.DataFrame:
    """Return the segmentation networks: a table with modality, dims, paper and summary, indexed by name.

    Examples
    --------
    >>> list_segmenters().loc["unet", "dims"]
    '2, 3'
    """
    return SEGMENTERS.frame()
