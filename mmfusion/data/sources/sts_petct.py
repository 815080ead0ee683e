"""26 patients with soft-tissue sarcoma: PET, CT on the grid of the PET, and the tumour. They are not lungs.

Source: the phase-3 data of the Image Biomarker Standardisation Initiative, cut to 5 cm around the tumour;
Zwanenburg et al. 2020, doi:10.1148/radiol.2020191145; scans by Vallieres et al. 2015 (TCIA).
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion import __version__
from mmfusion.data.cohort import Cohort
from mmfusion.data.sources import Folder, register_source
from mmfusion.errors import DataError
from mmfusion.imaging import Volume, write_nifti
from mmfusion.storage.atomic import atomic_folder
from mmfusion.storage.cache import cache_folder
from mmfusion.storage.hashing import hash_json, hash_path
from mmfusion.storage.npz import read_arrays

# array of the file -> block, column, modality and unit of the scan
_PARTS = {
    "pet_suv": ("pet", "volume", "PT", "SUVbw", np.float32),
    "ct_hu": ("ct", "volume", "CT", "HU", np.int16),
    "mask": ("ct", "mask", "CT", "mask", np.uint8),
}
_DAMAGED = (KeyError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError)


@register_source("sts_petct")
def sts_petct(root: str | Path | None = None) -> Cohort:
    """Read one npz file per patient, and write its scans as NIfTI below the cache folder.

    Parameters
    ----------
    root : path
        Folder with the files `STS_*.npz`, or one up to three levels above it. A file has the arrays pet_suv
        (SUVbw), ct_hu (HU), mask (0 or 1), each of shape (z, y, x), and spacing_zyx (mm).

    Returns
    -------
    Cohort
        The target is the mask, "lesion". The files have no position in the patient: the first voxel is at
        (0, 0, 0) mm. There are no seeds, as a seed made from the mask would say where the tumour is.

    Raises
    ------
    DataError
        If there is no such file, or a file is damaged or has other arrays.
    """
    folder = Folder(root, "sts_petct")
    files = [file for depth in range(4) for file in sorted(folder.root.glob("*/" * depth + "STS_*.npz"))]
    if not files:
        raise DataError("no PET/CT found", file=folder.root / "STS_*.npz", hint="give root=, their folder")
    ids = pd.Index([file.stem for file in files], name="patient_id")
    if ids.has_duplicates:
        twice = ids[ids.duplicated()][0]
        raise DataError("two files of one patient", patient=twice, file=folder.root, hint="keep one of them")
    folder.hashes.update({f.relative_to(folder.root).as_posix(): hash_path(f) for f in files})
    contents = dict(zip(ids, folder.hashes.values(), strict=True))
    home = cache_folder() / "sts_petct" / hash_json([__version__, contents])[:12]
    if not home.exists():
        with atomic_folder(home, replace=True) as draft:
            for patient, file in zip(ids, files, strict=True):
                _write(patient, file, draft)
    table = pd.DataFrame(
        {part[:2]: [str(home / f"{p}_{name}.nii") for p in ids] for name, part in _PARTS.items()}, index=ids
    )
    folder.note("the tumours are soft-tissue sarcomas of the limbs, not of the lung")
    return Cohort(
        name="sts_petct",
        table=table,
        outcomes=pd.DataFrame(index=ids),
        target="lesion",
        provenance=folder.provenance(license="CC BY 3.0 (IBSI, TCIA)"),
    )


def _write(patient: str, file: Path, folder: Path) -> None:
    """Write the three scans of a patient as NIfTI."""
    try:
        arrays = read_arrays(file, [*_PARTS, "spacing_zyx"])
    except _DAMAGED as error:
        expected = ", ".join([*_PARTS, "spacing_zyx"])
        raise DataError(
            "a PET/CT cannot be read", patient=patient, file=file, expected=expected, got=error
        ) from error
    numbers = all(a.dtype.kind in "biuf" for a in arrays.values())
    spacing = arrays.pop("spacing_zyx")
    shapes = {name: a.shape for name, a in arrays.items()}
    volumes = len(set(shapes.values())) == 1 and all(a.ndim == 3 and a.size for a in arrays.values())
    lengths = numbers and spacing.shape == (3,) and bool((np.isfinite(spacing) & (spacing > 0)).all())
    if not (volumes and lengths):
        expected = "three arrays of numbers of one shape (z, y, x), and a spacing of three numbers above 0"
        raise DataError(
            "a PET/CT has other arrays", patient=patient, file=file, expected=expected, got=shapes
        )
    for name, unit, most in (("pet_suv", "SUVbw", np.finfo(np.float32).max), ("ct_hu", "HU", 32767)):
        if not (np.abs(arrays[name].astype(float)) <= most).all():  # NaN is refused as well
            got = f"{arrays[name].min():.4g} to {arrays[name].max():.4g}"
            raise DataError("values that cannot be", patient=patient, file=file, column=name, expected=unit,
                            got=got)  # fmt: skip
    if not np.isin(arrays["mask"], (0, 1)).all():
        got = np.unique(arrays["mask"])[:5].tolist()
        raise DataError(
            "not a mask", patient=patient, file=file, column="mask", expected="values 0 and 1", got=got
        )
    affine = np.diag([*spacing[::-1].astype(float), 1.0])
    for name, (_, _, modality, unit, dtype) in _PARTS.items():
        volume = Volume(arrays[name].astype(dtype), affine, modality, unit)
        write_nifti(volume, folder / f"{patient}_{name}.nii")
