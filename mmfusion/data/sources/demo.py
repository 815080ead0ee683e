"""The demo cohort: synthetic patients whose best possible result is known."""

from __future__ import annotations

from pathlib import Path

from mmfusion.data.cohort import Cohort
from mmfusion.data.generated import generate
from mmfusion.data.sources import register_source
from mmfusion.storage.cache import cache_folder

GENERATOR = "mmfusion.synthetic:phantom"  # by name, since what makes cohorts is built on this room


@register_source("demo", "phantom")
def demo(root: str | Path | None = None, **parameters: object) -> Cohort:
    """Make the demo cohort's files, unless they are there, and load them.

    Parameters
    ----------
    root : path, optional
        Folder for the files; by default `demo` below `$MMFUSION_CACHE` or `~/.cache/mmfusion`.
    **parameters
        Of the generator, see `mmfusion.synthetic.phantom`: `n`, `seed`, `signal`, `missing`, ...

    Returns
    -------
    Cohort
        `provenance["optimum"]` is the best possible macro-AUC by subset of modalities.
    """
    return generate(GENERATOR, parameters, Path(root) if root is not None else cache_folder() / "demo")
