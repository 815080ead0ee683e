"""The crop is fmcib's own, voxel for voxel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from monai.data import NibabelReader

from mmfusion.errors import ScanError
from mmfusion.features.crop import foundation_crop
from mmfusion.imaging import Volume, read
from tests.features.fmcib import fmcib_module

TURN = np.array([[np.cos(0.1), -np.sin(0.1), 0], [np.sin(0.1), np.cos(0.1), 0], [0, 0, 1]])


def volume(shape=(40, 60, 70), spacing=(2.5, 0.8, 0.7), direction=None, origin=(-33.3, 12.1, -200.7)):
    """Noise on a ramp, in HU; directions in LPS."""
    rng = np.random.default_rng(0)
    z = np.arange(shape[0])[:, None, None]
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if direction is None else direction) * spacing[::-1]
    affine[:3, 3] = origin
    return Volume((rng.integers(-1000, 900, shape) + 3 * z).astype(np.int16), affine)


def theirs(scan: Volume, seed, folder, monkeypatch) -> np.ndarray:
    """fmcib's transforms, on the scan written as NIfTI."""
    image = sitk.GetImageFromArray(scan.array)
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((scan.affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(scan.affine[:3, 3].tolist())
    sitk.WriteImage(image, str(folder / "scan.nii.gz"))
    monkeypatch.setattr("monai.data.ITKReader", NibabelReader)  # the same for NIfTI, and installed
    preprocess = fmcib_module("preprocessing/__init__.py", monkeypatch).preprocess
    row = {
        "image_path": str(folder / "scan.nii.gz"),
        **dict(zip(("coordX", "coordY", "coordZ"), map(float, seed))),
    }
    return np.asarray(preprocess(row))[0]


CASES = {
    "middle": (volume(), (0.3, 0.3, 0.3)),
    "near an edge": (volume(), (0.05, 0.5, 0.95)),
    "smaller than the cube": (volume((10, 30, 30), (2.0, 1.1, 1.2)), (0.5, 0.4, 0.6)),
    "nearly 1 mm": (volume((60, 60, 60), (1.0005, 1.0, 0.9995)), (0.5, 0.5, 0.5)),
    "turned over": (volume(direction=np.diag([-1.0, 1.0, -1.0])), (0.4, 0.6, 0.5)),
    "sagittal": (volume(direction=np.array([[0, 0, 1.0], [1.0, 0, 0], [0, -1.0, 0]])), (0.4, 0.6, 0.5)),
    "oblique": (volume(direction=TURN), (0.5, 0.5, 0.5)),
}


@pytest.mark.filterwarnings(
    "ignore:required package for reader", "ignore:NvImgCodec"
)  # NIfTI is read by nibabel instead
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("case", CASES)
def test_equal_to_fmcib(case, tmp_path, monkeypatch):
    scan, where = CASES[case]
    seed = scan.voxel_to_mm(np.array(where) * (np.array(scan.shape[::-1]) - 1))
    expected = theirs(scan, seed, tmp_path, monkeypatch)
    got = foundation_crop(scan, seed)
    assert got.shape == expected.shape == (50, 50, 50)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-4)  # NIfTI holds its affine in float32


@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_equal_to_fmcib_on_a_real_scan(shared_data, tmp_path, monkeypatch):
    """R01-001 at the seed that fmcib publishes for it."""
    scan = read(shared_data / "nsclc_radiogenomics" / "ct" / "R01-001.zip")
    seeds = pd.read_csv(shared_data / "nsclc_radiogenomics" / "fmcib_seeds.csv", index_col="Case ID")
    seed = seeds.loc["R01-001", ["coordX", "coordY", "coordZ"]].to_numpy(dtype=float)
    got, expected = foundation_crop(scan, seed), theirs(scan, seed, tmp_path, monkeypatch)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-4)
    assert got[23:27, 23:27, 23:27].mean() > 0.25  # soft tissue, where the tumour is


def test_intensities():
    """-1024 HU is 0, 2048 is 1, and nothing is clipped; beyond the scan is air."""
    scan = Volume(np.full((60, 60, 60), 3000, np.int16), np.eye(4))
    np.testing.assert_allclose(foundation_crop(scan, (30, 30, 30)), 4024 / 3072, rtol=1e-6)
    near = foundation_crop(
        scan, (30, 30, 5)
    )  # 20 voxels below it are not there: cut off, and moved to the middle
    assert (near.reshape(50, -1).max(axis=1) == 0).tolist() == [True] * 10 + [False] * 30 + [True] * 10


def test_bad_input():
    scan = volume()
    with pytest.raises(ScanError, match=r"a point outside the scan.*LPS"):
        foundation_crop(scan, (1e4, 0, 0))
    with pytest.raises(ScanError, match="a point outside the scan"):
        foundation_crop(scan, (np.nan, 0, 0))
    with pytest.raises(ScanError, match="not a CT"):
        foundation_crop(Volume(scan.array, scan.affine, "PT", "SUVbw"), scan.center_mm)
