"""Small lesions for tests of radiomics, the digital phantom of the IBSI, and cohorts of both."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmfusion.data.manifest import write_manifest
from mmfusion.features.radiomics_settings import AGGREGATIONS
from mmfusion.imaging import Volume, write_nifti

needs_mirp = pytest.mark.skipif(
    importlib.util.find_spec("mirp") is None,
    reason="mirp is not installed: pip install 'mmfusion[radiomics]'",
)
# settings of the digital phantom: its values are the grey levels, and its voxels stay as they are
PHANTOM_SETTINGS = {
    "spacing": "none",
    "bin_width": "none",
    "aggregation": ",".join(AGGREGATIONS),
}


def digital_phantom() -> tuple[Volume, Volume]:
    """Return the digital phantom of IBSI 1 and its mask, as grey levels; voxels of 2 mm.

    Zwanenburg et al., reference manual of the IBSI, arXiv 1612.07003, chapter 5 (CC BY 4.0).
    """
    slices = (
        ((1, 4, 4, 1, 1), (1, 4, 6, 1, 1), (4, 1, 6, 4, 1), (4, 4, 6, 4, 1)),
        ((1, 4, 4, 1, 1), (1, 1, 6, 1, 1), (1, 1, 3, 1, 1), (4, 4, 6, 1, 1)),
        ((1, 4, 4, 1, 1), (1, 1, 1, 1, 1), (1, 1, 9, 1, 1), (1, 1, 6, 1, 1)),
        ((1, 4, 4, 1, 1), (1, 1, 1, 1, 1), (1, 1, 1, 1, 1), (1, 1, 6, 1, 1)),
    )
    mask = np.ones((4, 4, 5), np.uint8)
    mask[1, 2, 0] = mask[2, 2, 2] = 0
    mask[2:, 0, 3:] = 0
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    return Volume(np.array(slices, np.int16), affine), Volume(mask, affine, unit="mask")


def lesion(
    seed: int, spacing=(1.5, 0.7, 0.7), shape=(20, 44, 40), radius: float = 5.0, site: float = 0.0
) -> tuple[Volume, Volume]:
    """Return a CT with a lesion of some texture in lung, and its mask; `site` shifts the values, HU."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing)], indexing="ij"), -1)
    centre = (np.array(shape) - 1) * spacing / 2 + rng.uniform(-1, 1, 3)
    distance = np.linalg.norm((grid - centre) / rng.uniform(0.8, 1.2, 3), axis=-1)
    inside = distance < radius
    array = np.where(inside, rng.uniform(-60, 80) + 5 * distance, -830) + rng.normal(0, 35, shape) + site
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = (-20.3, 11.1, -150.7)
    return Volume(array.astype(np.int16), affine), Volume(inside.astype(np.uint8), affine, unit="mask")


def write_cohort(
    folder: Path, cases: dict[str, tuple[Volume | Path | None, Volume | Path | None]], modality: str = "ct"
) -> Path:
    """Write scans and masks as NIfTI, if they are not files, and a manifest; return the manifest."""
    rows = []
    for patient, pair in cases.items():
        for role, one in zip(("volume", "mask"), pair):
            if isinstance(one, Volume):
                one = write_nifti(one, folder / f"{patient}_{modality}_{role}.nii.gz")
            if one is not None:
                rows.append((patient, modality, role, str(one.relative_to(folder))))
    stage = (["IA", "IIIA"] * len(cases))[: len(cases)]
    labels = pd.DataFrame({"patient_id": list(cases), "stage": stage})
    labels.to_csv(folder / "labels.csv", index=False)
    rows.append(("", "", "labels", "labels.csv"))
    frame = pd.DataFrame(rows, columns=["patient_id", "modality", "role", "path"]).assign(dataset="lesions")
    return write_manifest(frame, folder / "manifest.csv")
