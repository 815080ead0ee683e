"""4D-Lung: CTs of 20 patients in ten phases of breathing, with the tumour drawn in each phase.

Source: TCIA; Hugo et al. 2017, doi:10.1002/mp.12059. CC BY 3.0.
"""

from __future__ import annotations

import re
from collections import defaultdict
from numbers import Integral
from pathlib import Path

import numpy as np

from mmfusion.data.cohort import Cohort
from mmfusion.data.dicom_folders import DicomFolder, dicom_folders
from mmfusion.data.lesion_cohort import lesion_cohort
from mmfusion.data.sources import Folder, register_source
from mmfusion.errors import DataError, MMFusionError
from mmfusion.imaging import Volume, read, read_mask, union_of_masks, write_nifti
from mmfusion.imaging.structures.rtstruct import referenced_series
from mmfusion.imaging.structures.source import read_structure
from mmfusion.storage.atomic import writing
from mmfusion.storage.cache import cache_folder, cached, fingerprint

_PHASE = re.compile(r"(\d+(?:\.\d+)?)\s*[A%]", re.IGNORECASE)  # "Gated 40.0A": percent of a breath
_VERSION = 1  # of the masks in the cache


@register_source("4d_lung")
def four_d_lung(
    root: str | Path | None = None, *, roi: str = "Tumor*", phases: int = 10, out: str | Path | None = None
) -> Cohort:
    """Read the phases of each study, and make the IGTV: the union of the tumour over the phases.

    Parameters
    ----------
    root : path
        Folder of the download, with one folder for each series of CT and each RTSTRUCT.
    roi : str
        Name or pattern of the tumour's region, as `mmfusion.imaging.read_mask` takes it.
    phases : int
        Least number of phases with a tumour. Other studies are left out, with a note.
    out : path, optional
        Folder for the masks (`<row>_igtv.nii.gz`). Default: a folder below the cache.

    Returns
    -------
    Cohort
        Target "lesion". Each row is a study; the studies of a patient are one person. The scan is the first
        phase, and the mask is the IGTV on its grid.

    Raises
    ------
    DataError
        If there is no study with enough phases.
    ScanError
        If a file cannot be read. The error names the patient.
    """
    if isinstance(phases, bool) or not isinstance(phases, Integral) or phases < 0:
        raise DataError(
            "not a number of phases", parameter="phases", expected="a whole number", got=repr(phases)
        )
    folder = Folder(root, "4D-Lung")
    studies: dict[tuple[str, str], list[DicomFolder]] = defaultdict(list)
    for found in dicom_folders(folder.root):
        studies[found.patient, found.study_uid].append(found)
    place = Path(out) if out is not None else cache_folder() / "igtv"
    rows, persons = {}, {}
    for (patient, study), found in sorted(studies.items()):
        row = f"{patient}_{study[-5:]}"
        try:
            pairs = _phases(found)
            if len(pairs) < max(phases, 1):
                folder.note(f"{row}: {len(pairs)} phases with an RTSTRUCT, fewer than {phases}: left out")
                continue
            cts = sum(one.modality == "CT" for one in found)
            if cts > len(pairs):
                folder.note(
                    f"{row}: {cts - len(pairs)} of {cts} CTs have no RTSTRUCT, and are not in the mask"
                )
            mask = _igtv(pairs, roi, place / f"{row}_igtv.nii.gz")
        except MMFusionError as error:
            error.patient = error.patient or patient
            raise
        rows[row] = {("ct", "volume"): str(pairs[0][0].path), ("ct", "mask"): str(mask)}
        persons[row] = patient
    folder.note(f"masks: union of {roi} over the phases of a study, on the grid of its first phase")
    if not rows:
        raise DataError("no study with enough phases", file=folder.root, expected=f"{phases} phases")
    return lesion_cohort("4d_lung", rows, folder.provenance(license="CC BY 3.0 (TCIA)"), persons=persons)


def _phases(found: list[DicomFolder]) -> list[tuple[DicomFolder, Path]]:
    """Return the CT of each phase with the file of its regions, in the order of the phases."""
    regions: dict[str, Path] = {}
    for one in found:
        if one.modality == "RTSTRUCT":
            for series in referenced_series(read_structure(one.path)[1]):
                if series in regions:
                    problem = "two RTSTRUCT of one phase"
                    raise DataError(problem, file=one.path, got=regions[series], hint="keep one of them")
                regions[series] = one.path
    pairs = [(one, regions[one.series_uid]) for one in found if one.series_uid in regions]
    return sorted(pairs, key=lambda pair: (_phase(pair[0]), pair[0].series_uid))


def _phase(one: DicomFolder) -> float:
    found = _PHASE.search(one.description)
    return float(found[1]) if found else np.inf


def _igtv(pairs: list[tuple[DicomFolder, Path]], roi: str, file: Path) -> Path:
    """Write the union over the phases, and return its path."""
    reference = read(pairs[0][0].path, unit="HU")

    def make() -> np.ndarray:
        masks = (read_mask(regions, read(ct.path, unit="HU"), roi) for ct, regions in pairs)
        return union_of_masks(list(masks), reference).array

    scans = [fingerprint(path) for ct, regions in pairs for path in (ct.path, regions)]
    array = cached("igtv", {"phases": scans, "roi": roi, "version": _VERSION}, make)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    return write_nifti(Volume(np.array(array), reference.affine, unit="mask"), file)
