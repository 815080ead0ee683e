"""Folders of the published files of known cohorts, for the demonstrations."""

from __future__ import annotations

from pathlib import Path

# known cohort -> names that its folder may have
_FOLDERS = {
    "lung1": ("lung1", "nsclc_radiomics"),
    "radiogenomics": ("radiogenomics", "nsclc_radiogenomics"),
    "r01_egfr": ("r01_egfr",),
}


def folder_of(cohort: str, root: str | Path) -> Path:
    """Return the folder of a known cohort in `root`, or `root` itself if there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     (Path(root) / "nsclc_radiogenomics").mkdir()
    ...     folder_of("radiogenomics", root).name
    'nsclc_radiogenomics'
    """
    below = [Path(root) / name for name in _FOLDERS.get(cohort, (cohort,))]
    return next((folder for folder in below if folder.is_dir()), Path(root))
