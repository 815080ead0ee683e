"""Write the masks of one or several lesions of a scan, and their measurements as a structured report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmfusion.errors import ScanError
from mmfusion.imaging import write_measurements, write_nifti, write_rtstruct, write_seg
from mmfusion.imaging.dicom.choose import SeriesRules
from mmfusion.imaging.saving import check_not_source
from mmfusion.imaging.structures.source import Source
from mmfusion.lesions.click.result import LesionMask
from mmfusion.lesions.writing import NIFTI, files_of, form_of


def write_lesions(
    lesions: Sequence[LesionMask],
    path: str | Path,
    scan: Source | None = None,
    *,
    form: str | None = None,
    report: str | Path | None = None,
    series: SeriesRules = None,
) -> list[Path]:
    """Write the masks of lesions of one scan.

    DICOM-SEG and RTSTRUCT hold all lesions in one file, as "Lesion 1", "Lesion 2", ... NIfTI has one file for
    each lesion: `mask.nii.gz` for a single one, else `mask_1.nii.gz`, `mask_2.nii.gz`, ...

    Parameters
    ----------
    lesions : sequence of LesionMask
        Results of `segment_lesion` or `segment_lesions`.
    path : path
        Name of the file. Existing files are replaced.
    scan : path or sequence of paths, optional
        DICOM files of the scan, which DICOM-SEG, RTSTRUCT and the report refer to.
    form : {"nifti", "seg", "rtstruct"}, optional
        Default: by the name, DICOM-SEG for .dcm.
    report : path, optional
        Also write the measurements as a DICOM structured report; it refers to a DICOM-SEG.
    series : str or sequence of str, optional
        Rules that choose a series of `scan`; see `mmfusion.imaging.read`.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    ScanError
        If the format is unknown or not that of the name, if a report is wanted without a DICOM-SEG, or if a
        file cannot be read or written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mmfusion.imaging import Volume
    >>> mask = Volume(np.ones((2, 3, 4), np.uint8), np.eye(4), unit="mask")
    >>> one = LesionMask(mask, np.zeros(3), "growcut", "tight", (), {})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [file.name for file in write_lesions([one, one], f"{folder}/mask.nii.gz")]
    ['mask_1.nii.gz', 'mask_2.nii.gz']
    """
    path = Path(path)
    form = form_of(path, form)
    check_report(form, report)
    if form == "nifti":
        names = _numbered(path, len(lesions))
        for name in names:
            check_not_source(name, files_of(scan))
        return [write_nifti(one.mask, name) for one, name in zip(lesions, names, strict=True)]
    masks = {f"Lesion {number}": one.mask for number, one in enumerate(lesions, 1)}
    if form == "rtstruct":
        return [write_rtstruct(masks, scan, path, series=series)]
    made = {"algorithm": lesions[0].algorithm, "series": series}
    files = [write_seg(masks, scan, path, kind="Nodule", **made)]
    if report is not None:
        measures = [one.measures for one in lesions]
        files.append(write_measurements(measures, path, scan, report, **made))
    return files


def check_report(form: str, report: str | Path | None) -> None:
    """Raise a `ScanError` if a structured report is wanted beside another format than DICOM-SEG.

    Examples
    --------
    >>> check_report("seg", "measures.dcm")
    """
    if report is not None and form != "seg":
        hint = "write the mask as DICOM-SEG: mask.dcm"
        raise ScanError("a structured report refers to a DICOM-SEG", got=form, hint=hint)


def _numbered(path: Path, n: int) -> list[Path]:
    """Return one path for each lesion."""
    if n == 1:
        return [path]
    end = next((end for end in sorted(NIFTI, key=len)[::-1] if path.name.lower().endswith(end)), "")
    stem = path.name[: len(path.name) - len(end)]
    return [path.with_name(f"{stem}_{number}{path.name[len(stem) :]}") for number in range(1, n + 1)]
