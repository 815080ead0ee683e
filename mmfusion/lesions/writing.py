"""Write a predicted mask to a file: NIfTI, DICOM-SEG or RTSTRUCT."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume, write_nifti, write_rtstruct, write_seg
from mmfusion.imaging.saving import check_not_source
from mmfusion.imaging.structures.source import Source

FORMS = ("nifti", "seg", "rtstruct")
NIFTI = (".nii", ".nii.gz")


def write_mask(
    mask: Volume,
    path: str | Path,
    scan: Source | None = None,
    *,
    form: str | None = None,
    label: str = "Tumour",
    algorithm: str | None = "mmfusion LesionSegmenter",
) -> Path:
    """Write a mask as NIfTI, DICOM-SEG or RTSTRUCT.

    Parameters
    ----------
    mask : Volume
        The mask. If it has a `provenance`, the label in the file states it too.
    path : path
        Name of the new file. An existing file is replaced, but not the scan.
    scan : path or sequence of paths, optional
        Files of the scan. DICOM-SEG and RTSTRUCT refer to them.
    form : {"nifti", "seg", "rtstruct"}, optional
        Format of the file. Default: by the name, NIfTI for .nii and .nii.gz, and DICOM-SEG for .dcm.
    label : str
        Name of the region in DICOM.
    algorithm : str, optional
        Name of the algorithm in DICOM-SEG; None if the mask was drawn by hand.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ScanError
        If the mask has other values than 0 and 1, if the format is unknown or not that of the name, if the
        scan is missing or does not fit the mask, if the file cannot be written, or if it would replace the
        scan.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> mask = Volume(np.ones((2, 3, 4), np.uint8), np.eye(4), unit="mask")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_mask(mask, f"{folder}/mask.nii.gz").name
    'mask.nii.gz'
    """
    _check(mask)
    path = Path(path)
    form = form_of(path, form)
    if form == "nifti":
        check_not_source(path, files_of(scan))
        return write_nifti(mask, path)
    if scan is None:
        hint = "give the DICOM files of the scan, or write .nii.gz"
        raise ScanError("DICOM masks refer to the slices of a scan", file=path, expected="scan", hint=hint)
    if isinstance(scan, Volume):
        hint = "give their folder, or write .nii.gz"
        raise ScanError("not the files of a scan", parameter="scan", expected="paths of DICOM files",
                        got="Volume", hint=hint)  # fmt: skip
    label = f"{label} ({mask.provenance})" if mask.provenance else label
    if form == "seg":
        return write_seg(mask, scan, path, label=label, algorithm=algorithm)
    return write_rtstruct(mask, scan, path, name=label)


def files_of(scan: Source | None) -> list[Path]:
    """Return the paths of a scan.

    Raises
    ------
    ScanError
        If there is no such file: the two paths may be in the wrong order.

    Examples
    --------
    >>> files_of(None)
    []
    """
    paths = [scan] if isinstance(scan, str | Path) else [] if isinstance(scan, Volume) else list(scan or ())
    for path in map(Path, paths):
        if not path.exists():
            hint = "the path of the new file comes first, that of the scan second"
            raise ScanError("no such scan", file=path, hint=hint)
    return [Path(path) for path in paths]


def _check(mask: object) -> None:
    """Raise a ScanError unless this is a mask whose values are 0 and 1."""
    if not isinstance(mask, Volume):
        expected = "a Volume of unit mask"
        raise ScanError("not a mask", parameter="mask", expected=expected, got=type(mask).__name__)
    mask.expect("mask", parameter="mask")
    if not np.isin(mask.array, (0, 1)).all():
        got = ", ".join(map(str, np.unique(mask.array)[:6]))
        raise ScanError("a mask with other values than 0 and 1", parameter="mask",
                        expected="0 outside, 1 inside", got=got)  # fmt: skip


def form_of(path: Path, form: str | None = None) -> str:
    """Return the format of a file of masks: `form`, or the one that the name of the file means.

    Raises
    ------
    ScanError
        If there is no such format, or it is not one of the name.

    Examples
    --------
    >>> form_of(Path("mask.nii.gz")), form_of(Path("mask.dcm")), form_of(Path("mask.dcm"), "rtstruct")
    ('nifti', 'seg', 'rtstruct')
    """
    nifti, dicom = path.name.lower().endswith(NIFTI), path.name.lower().endswith(".dcm")
    if form not in (None, *FORMS):
        raise ScanError("unknown format of masks", parameter="form", expected=", ".join(FORMS), got=form)
    if form == "nifti" and dicom:
        raise ScanError("not a name of a NIfTI file", file=path, expected=" or ".join(NIFTI), got=path.suffix)
    if form in ("seg", "rtstruct") and nifti:
        raise ScanError("not a name of a DICOM file", file=path, expected=".dcm", got=path.suffix)
    if form is not None or nifti or dicom:
        return form or ("nifti" if nifti else "seg")
    raise ScanError("unknown format of masks", file=path, expected=".nii, .nii.gz or .dcm", got=path.suffix)
