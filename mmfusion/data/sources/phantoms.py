"""The phantoms of lesions and of radiomics: synthetic cohorts whose best possible result is known."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pathlib import Path

from mmfusion.data.cohort import Cohort
from mmfusion.data.sources import register_source
from mmfusion.errors import DataError

GENERATORS = "mmfusion.synthetic"  # a name, as `mmfusion.synthetic` imports `mmfusion.data`


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
    return _made("lesion_phantom", parameters, root=root)


@register_source("radiomics_phantom")
def radiomics_phantom(root: None = None, **parameters: object) -> Cohort:
    """Make the phantom of radiomics, which has no files.

    Parameters
    ----------
    root : None
        Not used.
    **parameters
        Parameters of the generator `mmfusion.radiomics_phantom`: `n`, `seed`, `signal`, `auc`, ...

    Raises
    ------
    DataError
        If the generator does not take a parameter, or a value is out of range.
    """
    return _made("radiomics_phantom", parameters)


def _made(name: str, parameters: dict[str, object], **own: object) -> Cohort:
    make = getattr(import_module(GENERATORS), name)
    known = [parameter for parameter in signature(make).parameters if parameter != "root"]
    if unknown := sorted(set(parameters) - set(known)):
        problem = f"the {name.replace('_', ' ')} does not take this"
        raise DataError(problem, got=", ".join(unknown), expected=", ".join(known))
    return make(**own, **parameters)
