"""The demo cohort: synthetic patients, with a known best possible result."""

from __future__ import annotations

from pathlib import Path

from mmfusion.data.cohort import Cohort
from mmfusion.data.generated import generate
from mmfusion.data.sources import register_source
from mmfusion.storage.cache import cache_folder

GENERATOR = "mmfusion.synthetic:phantom"  # a name, as `mmfusion.synthetic` imports `mmfusion.data`


@register_source("demo", "phantom")
def demo(root: str | Path | None = None, **parameters: object) -> Cohort:
    """Make the files of the demo cohort, unless they exist, and load them.

    Parameters
    ----------
    root : path, optional
        Folder for the files; by default `demo` below `$MMFUSION_CACHE` or `~/.cache/mmfusion`.
    **parameters
        Parameters of the generator `mmfusion.synthetic.phantom`: `n`, `seed`, `signal`, `missing`, ...

    Returns
    -------
    Cohort
        `provenance["optimum"]` maps subsets of modalities to the best possible macro-AUC.
    """
    return generate(GENERATOR, parameters, Path(root) if root is not None else cache_folder() / "demo")
