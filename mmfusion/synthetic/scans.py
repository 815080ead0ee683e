"""Scans of the phantom on disk: one NIfTI volume and mask per patient, made once per set of parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.imaging import Volume, write_nifti
from mmfusion.modalities import SEED
from mmfusion.synthetic.anatomy import SCANNERS, render
from mmfusion.synthetic.folder import COMPLETE, ensure_folder
from mmfusion.synthetic.pet import SPACING_MM, render_pet

__all__ = ["COMPLETE", "ensure_scans"]


def ensure_scans(
    root: Path | None, key: Mapping[str, object], patients: pd.DataFrame, seed: int, *, pet: bool = False
) -> pd.DataFrame:
    """Render the CT or PET scans of the patients, if they do not exist yet, and return their paths.

    Parameters
    ----------
    root : Path or None
        Folder for the files. None: a folder below `cache_folder`, named by the hash of `key`.
    key : mapping
        Everything that determines the scans, as JSON types, including the version of the generator.
    patients : DataFrame, shape (n, >= 6)
        One row per patient, index patient_id. Columns: the appearance of the lesion, `site` (number of the
        scanner) and `right` (True for the right lung).
    seed : int
        Seed. A scan depends on the seed, the row number and the row.
    pet : bool
        Render the PET of the same lesions. `patients` must have the column `suv`, their uptake in SUVbw.

    Returns
    -------
    DataFrame, shape (n, 5)
        One row per patient. Columns: `volume` and `mask` (paths), and `seed_x`, `seed_y`, `seed_z` (LPS mm,
        about 2 mm or less from the centre of the lesion).

    Raises
    ------
    DataError
        If `root` contains other files.
    """
    folder = ensure_folder(
        root, key, lambda draft: _fill(draft, _pets(patients, seed) if pet else _cts(patients, seed))
    )
    seeds = pd.read_csv(folder / "seeds.csv", index_col="patient_id")
    paths = {
        kind: [str(folder / "scans" / p / f"{kind}.nii.gz") for p in patients.index]
        for kind in ("volume", "mask")
    }
    return pd.concat([pd.DataFrame(paths, index=patients.index), seeds], axis=1)


def _fill(root: Path, scans: Iterator[tuple[str, Volume, np.ndarray, np.ndarray]]) -> None:
    """Write the volume and the mask of each scan, and the table of the points in the lesions."""
    seeds = {}
    for patient, volume, mask, point in scans:
        place = root / "scans" / patient
        place.mkdir(parents=True)
        write_nifti(volume, place / "volume.nii.gz")
        write_nifti(Volume(mask, volume.affine, unit="mask"), place / "mask.nii.gz")
        seeds[patient] = np.round(point, 2)
    table = pd.DataFrame.from_dict(seeds, orient="index", columns=SEED)
    table.rename_axis("patient_id").to_csv(root / "seeds.csv")


def _cts(patients: pd.DataFrame, seed: int) -> Iterator[tuple[str, Volume, np.ndarray, np.ndarray]]:
    for number, (patient, row) in enumerate(patients.iterrows()):
        rng = np.random.default_rng([seed, number, 7])
        scanner = SCANNERS[int(row["site"])]
        scan = render(row, scanner, rng, right=bool(row["right"]))
        volume = Volume(scan.hu, _affine(scanner.spacing, scan.origin))
        yield str(patient), volume, scan.mask, scan.centre + rng.normal(0, 1.0, 3)


def _pets(patients: pd.DataFrame, seed: int) -> Iterator[tuple[str, Volume, np.ndarray, np.ndarray]]:
    for number, (patient, row) in enumerate(patients.iterrows()):
        scanner, right = SCANNERS[int(row["site"])], bool(row["right"])
        ct = render(row, scanner, np.random.default_rng([seed, number, 7]), right=right)  # for the positions
        rng = np.random.default_rng([seed, number, 8])
        scan = render_pet(row, ct, scanner.spacing, rng, right=right)
        affine = _affine((SPACING_MM,) * 3, scan.origin)
        volume = Volume(scan.suv, affine, "PT", "SUVbw")
        yield str(patient), volume, scan.mask, scan.centre + rng.normal(0, 1.0, 3)


def _affine(spacing: tuple[float, float, float], origin: np.ndarray) -> np.ndarray:
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = origin
    return affine
