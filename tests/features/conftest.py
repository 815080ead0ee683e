"""Scans with a bright ball at a known place, and a network small enough for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from mmfusion.data.cohort import Cohort
from mmfusion.features import encoder as module
from mmfusion.features.encoder import FoundationEncoder

SEED = (5.0, -20.0, 110.0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MMFUSION_OFFLINE", "1")
    monkeypatch.delenv("MMFUSION_WEIGHTS", raising=False)
    return tmp_path / "cache"


class Tiny(nn.Module):
    """From a crop to 4096 numbers: pooled to 16^3."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.scale = 1.0 + seed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * nn.functional.adaptive_avg_pool3d(x, 16).flatten(1)


@pytest.fixture
def tiny(monkeypatch):
    """Put the tiny network in place of 184 million weights; gives the list of crops' batches that it read."""
    read = []

    def network(_path, _hash, seed, _device):
        net = Tiny(seed or 0)
        net.register_forward_pre_hook(lambda _net, inputs: read.append(len(inputs[0])))
        return net

    monkeypatch.setattr(module, "_network", network)
    return read


@pytest.fixture
def encoder(tiny) -> FoundationEncoder:
    return FoundationEncoder(random_weights=0)


def write_scan(path, radius: float = 10.0):
    """A ball in air at `SEED`, HU, as NIfTI."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in (30, 64, 64)), indexing="ij")
    mm = np.stack([x * 1.5 - 45, y * 1.5 - 70, z * 3 + 60])
    distance = np.linalg.norm(mm - np.array(SEED)[:, None, None, None], axis=0)
    image = sitk.GetImageFromArray(np.where(distance < radius, 40, -850).astype(np.int16))
    image.SetSpacing((1.5, 1.5, 3.0))
    image.SetOrigin((-45, -70, 60))
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def scans(tmp_path) -> dict[str, str]:
    """Five patients' scans; the third cannot be read."""
    paths = {f"P{k}": str(write_scan(tmp_path / f"scan{k}.nii.gz", 6.0 + 2 * k)) for k in range(5)}
    (tmp_path / "scan2.nii.gz").write_bytes(b"not a scan")
    return paths


@pytest.fixture
def cohort(scans) -> Cohort:
    """With health records; the last patient has no seed."""
    ids = pd.Index(scans, name="patient_id")
    ct = pd.DataFrame({"volume": list(scans.values())}, index=ids)
    ct[["seed_x", "seed_y", "seed_z"]] = SEED
    ct.loc["P4", ["seed_x", "seed_y", "seed_z"]] = np.nan
    ehr = pd.DataFrame({"age": [60.0, 61, 62, 63, 64]}, index=ids)
    table = pd.concat({"ct": ct, "ehr": ehr}, axis=1)
    return Cohort("five", table, pd.DataFrame({"stage": "IA"}, index=ids), "stage3_ajcc7")
