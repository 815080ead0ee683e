"""The phantom's scans on disk: one NIfTI volume and mask per patient, made once and found again by their parameters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import SEED
from mmfusion.errors import DataError
from mmfusion.imaging import Volume, write_nifti
from mmfusion.storage.atomic import atomic_folder, cache_folder
from mmfusion.storage.hashing import hash_json
from mmfusion.synthetic.anatomy import SCANNERS, render

COMPLETE = "complete.json"  # written last: a folder without it is not a phantom's


def ensure_scans(
    root: Path | None, key: Mapping[str, object], patients: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """Render the patients' scans unless they are there already.

    Parameters
    ----------
    root : Path or None
        Folder of this phantom's files; None: below `cache_folder`, named by the hash of `key`.
    key : mapping
        What determines the scans (JSON-able), the generator's version among it.
    patients : DataFrame, shape (n, >= 6)
        Index patient_id; the lesion's appearance, `site` (number of the scanner) and `right`.
    seed : int
        A scan is a function of (seed, row number) and its row.

    Returns
    -------
    DataFrame, shape (n, 5)
        volume, mask (paths), seed_x, seed_y, seed_z (LPS mm, within some 2 mm of the lesion's centre).

    Raises
    ------
    DataError
        If `root` holds something else.
    """
    digest = hash_json(key)
    folder = root or cache_folder() / "phantom" / digest[:16]
    occupied = folder.exists() and any(folder.iterdir())  # asked first: another process may be just finishing
    if not _is_complete(folder, digest):
        if occupied and root is not None:
            raise DataError(
                "the folder holds something else", file=folder, hint="give an empty or a new folder"
            )
        if occupied:  # our own cache, damaged
            shutil.rmtree(folder)
        try:
            with atomic_folder(folder) as draft:
                _fill(draft, patients, seed)
                (draft / COMPLETE).write_text(
                    json.dumps({"digest": digest, **key}, indent=1), encoding="utf-8"
                )
        except OSError:
            if not _is_complete(folder, digest):  # if it is, another process was faster
                raise
    seeds = pd.read_csv(folder / "seeds.csv", index_col="patient_id")
    paths = {
        kind: [str(folder / "scans" / p / f"{kind}.nii.gz") for p in patients.index]
        for kind in ("volume", "mask")
    }
    return pd.concat([pd.DataFrame(paths, index=patients.index), seeds], axis=1)


def _is_complete(folder: Path, digest: str) -> bool:
    marker = folder / COMPLETE
    return marker.is_file() and json.loads(marker.read_text(encoding="utf-8")).get("digest") == digest


def _fill(root: Path, patients: pd.DataFrame, seed: int) -> None:
    seeds = {}
    for number, (patient, row) in enumerate(patients.iterrows()):
        rng = np.random.default_rng([seed, number, 7])
        scanner = SCANNERS[int(row["site"])]
        scan = render(row, scanner, rng, right=bool(row["right"]))
        place = root / "scans" / str(patient)
        place.mkdir(parents=True)
        affine = np.diag([*scanner.spacing[::-1], 1.0])
        affine[:3, 3] = scan.origin
        write_nifti(Volume(scan.hu, affine), place / "volume.nii.gz")
        write_nifti(Volume(scan.mask, affine, unit="mask"), place / "mask.nii.gz")
        seeds[patient] = np.round(scan.centre + rng.normal(0, 1.0, 3), 2)
    table = pd.DataFrame.from_dict(seeds, orient="index", columns=SEED)
    table.rename_axis("patient_id").to_csv(root / "seeds.csv")
