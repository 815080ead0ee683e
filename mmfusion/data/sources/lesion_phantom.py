"""The lesion phantom: synthetic scans of lung lesions of all types, with their masks."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pathlib import Path

from mmfusion.data.cohort import Cohort
from mmfusion.data.sources import register_source
from mmfusion.errors import DataError

GENERATOR = "mmfusion.synthetic.chest"  # a name, as `mmfusion.synthetic` imports `mmfusion.data`


@register_source("lesion_phantom")
def lesion_phantom(root: str | Path | None = None, **parameters: object) -> Cohort:
    """Make the files of the lesion phantom, unless they exist, and return the cohort.

    Parameters
    ----------
    root : path, optional
        Folder for the files; by default a folder below `$MMFUSION_CACHE` or `~/.cache/mmfusion`.
    **parameters
        Parameters of the generator `mmfusion.lesion_phantom`: `n`, `seed`, `pet`, `igtv`, `types`, ...

    Raises
    ------
    DataError
        If the generator does not take a parameter, or a value is out of range.
    """
    make = import_module(GENERATOR).lesion_phantom
    known = [name for name in signature(make).parameters if name != "root"]
    if unknown := sorted(set(parameters) - set(known)):
        raise DataError(
            "the lesion phantom does not take this", got=", ".join(unknown), expected=", ".join(known)
        )
    return make(root=root, **parameters)
