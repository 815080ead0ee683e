"""26 real PET/CT of soft-tissue sarcomas: networks against thresholds of uptake, in five folds."""

from __future__ import annotations

from pathlib import Path

import mmfusion as mf
from mmfusion.evaluation.mask_baselines import mask_baselines

SPACING = (3.3, 4.5, 4.5)  # mm, about that of the PET
THRESHOLDS = mask_baselines(["pet"])
_MODELS = {
    "cipa": ("cipa", ("ct", "pet"), 48),
    "slicenet": ("slicenet", ("ct", "pet"), 48),
    "petct_unet": ("petct_unet", ("ct", "pet"), 32),
    "resenc_unet": ("resenc_unet", ("ct", "pet"), 32),
    "cipa, CT only": ("cipa", ("ct",), 48),
    "cipa, PET only": ("cipa", ("pet",), 48),
    "resenc_unet, CT only": ("resenc_unet", ("ct",), 32),
    "resenc_unet, PET only": ("resenc_unet", ("pet",), 32),
}


def models(names: list[str], epochs: int, seed: int) -> dict[str, mf.LesionSegmenter]:
    """Return the segmenters by the name of their row."""
    plan = {"patience": None, "max_epochs": epochs}
    return {
        row: mf.LesionSegmenter(
            network, modalities=modalities, spacing=SPACING, size=size, training=plan, random_state=seed
        )
        for row, (network, modalities, size) in _MODELS.items()
        if network in (names or [network])
    }


def cross_validate(
    root: Path, names: list[str], epochs: int, seed: int, *, out: Path, jobs: int
) -> mf.evaluation.NestedResult:
    """Judge networks and thresholds on the same five folds; finished folds are kept in `out`."""
    cohort = mf.load_cohort("sts_petct", root)
    (first, model), *others = models(names, epochs, seed).items()
    beside = {**dict(others), **THRESHOLDS}
    return mf.nested_cv(
        model, cohort, name=first, baselines=beside, random_state=seed, out=out, n_jobs=jobs, progress=False
    )
