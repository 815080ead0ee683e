"""Six patients with one ball each in a lung of noise, a small fitted segmenter, and networks for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.imaging import Volume, write_nifti
from mmfusion.registry import SEGMENTERS
from tests.lesions.networks import Cued, Slab

SPACING, SHAPE = (2.5, 1.5, 1.5), (20, 36, 34)
# a network with one level learns such lesions in few steps
TINY = {
    "options": {"channels": (6, 12)},
    "size": 12,
    "spacing": 3.0,
    "lr": 0.03,
    "max_epochs": 8,
    "batch_size": 16,
}


def patient(seed: int, *, pet: bool = False) -> dict[tuple[str, str], Volume]:
    """Return a CT and its mask, and a PET on a coarser grid; x and y are turned, as some scanners do."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING)], indexing="ij"), -1)
    centre = np.array([rng.uniform(14, (n - 1) * s - 14) for n, s in zip(SHAPE, SPACING)])
    lesion = np.linalg.norm(grid - centre, axis=-1) < rng.uniform(7, 10)
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])
    affine[:3, 3] = (30.0, 20.0, -80.0)
    array = np.where(lesion, rng.uniform(-50, 60), -820) + rng.normal(0, 40, SHAPE)
    out = {
        ("ct", "volume"): Volume(array.astype(np.int16), affine),
        ("ct", "mask"): Volume(lesion.astype(np.uint8), affine, unit="mask"),
    }
    if pet:
        suv = Volume((lesion * 8 + rng.uniform(0.5, 1.5, SHAPE)).astype(np.float32), affine, "PT", "SUVbw")
        out["pet", "volume"] = suv.resample(4.0)
    return out


def table(rows: dict[str, dict]) -> pd.DataFrame:
    X = pd.DataFrame.from_dict(rows, orient="index").rename_axis("patient_id")
    X.columns = pd.MultiIndex.from_tuples(X.columns)
    return X


def dice(masks, true) -> list[float]:
    found = []
    for mask, one in zip(masks, true, strict=True):
        one = one if isinstance(one, Volume) else mf.imaging.read_mask(one)
        found.append(2 * (mask.array & one.array).sum() / max(mask.array.sum() + one.array.sum(), 1))
    return found


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMFUSION_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def X(tmp_path_factory) -> pd.DataFrame:
    folder, rows = tmp_path_factory.mktemp("scans"), {}
    for k in range(6):
        made = patient(k)
        paths = {key: str(folder / f"{k}_{key[1]}.nii.gz") for key in made}
        for key, path in paths.items():
            write_nifti(made[key], path)
        rows[f"P{k}"] = paths
    return table(rows)


@pytest.fixture(scope="session")
def model(X) -> mf.LesionSegmenter:
    return mf.LesionSegmenter("unet", **TINY).fit(X)


@pytest.fixture
def test_networks(monkeypatch):
    """Register two small networks, and forget them after the test."""
    for name, cls, dims in (("cued", Cued, "3"), ("slab", Slab, "2.5")):
        facts = {"modality": "ct", "dims": dims, "paper": "none", "summary": "For tests."}
        monkeypatch.setitem(SEGMENTERS._classes, name, cls)
        monkeypatch.setitem(SEGMENTERS._facts, name, facts)
