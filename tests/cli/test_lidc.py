"""From a CT and an LIDC-IDRI XML to the volume of the consensus in mL, by `mmfusion features --measures`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mmfusion.cli import main
from mmfusion.errors import ScanWarning
from mmfusion.imaging import Volume, write_nifti
from tests.imaging.lidc_files import ball, nodule, other, small, write_lidc

SPACING = (1.25, 0.7, 0.7)  # mm
AFFINE = np.diag([*SPACING[::-1], 1.0])
AFFINE[:3, 3] = (-30.0, -40.0, -120.0)
SHAPE = (24, 60, 60)
VOXEL_ML = np.prod(SPACING) / 1000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MMFUSION_OFFLINE", "1")


def box(z: slice, y: slice, x: slice) -> Volume:
    array = np.zeros(SHAPE, np.uint8)
    array[z, y, x] = 1
    return Volume(array, AFFINE, unit="mask")


def measured(folder, series, readers) -> pd.Series:
    """Write a CT and its XML, and return the row that the command computes."""
    shown = sum(np.asarray(mark.array) for marks in readers for mark in marks if isinstance(mark, Volume))
    hu = np.where(shown > 0, 30, -850).astype(np.int16)
    write_nifti(Volume(hu, AFFINE), folder / f"{series}.nii.gz")
    marks = [[nodule(m, str(k)) if isinstance(m, Volume) else m for k, m in enumerate(r)] for r in readers]
    write_lidc(folder / f"{series}.xml", marks, series)
    out = folder / "measures.csv"
    command = ["features", "lidc", "--root", str(folder), "--measures", "--n-jobs", "1", "-o", str(out)]
    assert main(command) == 0
    return pd.read_csv(out, index_col=0, dtype={0: str}).loc[series]


def test_four_readers_who_agree(tmp_path):
    """A box of 8 x 20 x 10 voxels has 1600 voxels of 0.6125 mm3, which is 0.98 mL."""
    one = box(slice(6, 14), slice(20, 40), slice(15, 25))
    found = measured(tmp_path, "1.2.3", [[one]] * 4)
    assert pytest.approx(0.98) == 1600 * VOXEL_ML
    assert found["lesion_volume_ml"] == pytest.approx(0.98, rel=1e-6)
    assert found["lesion_longest_mm"] == pytest.approx(np.hypot(20 * 0.7, 10 * 0.7), abs=1.0)
    assert found["lesion_mean_hu"] == pytest.approx(30)


def test_the_consensus_of_four_readers_who_do_not_agree(tmp_path):
    """Half of the readers count a voxel in: of rows from 14, 16, 20 or 22 up to 39, the rows 16 to 39."""
    starts = (14, 16, 20, 22)
    readers = [[box(slice(6, 14), slice(y, 40), slice(15, 25))] for y in starts]
    found = measured(tmp_path, "1.2.4", readers)
    votes = sum(r[0].array.astype(int) for r in readers)
    assert found["lesion_volume_ml"] == pytest.approx(8 * 24 * 10 * VOXEL_ML, rel=1e-6)
    assert (votes >= 2).sum() == 8 * 24 * 10


def test_what_one_reader_drew_and_what_is_no_nodule_is_not_counted(tmp_path):
    nodules = ball(SHAPE, (10, 20, 20), 6.0, AFFINE), ball(SHAPE, (10, 45, 45), 5.0, AFFINE)
    alone = ball(SHAPE, (18, 20, 50), 3.0, AFFINE)
    readers = [
        [nodules[0], nodules[1], small((3, 3), -115.0)],
        [nodules[0], nodules[1], alone],
        [nodules[0], other((5, 5), -115.0)],
        [],
    ]
    with pytest.warns(ScanWarning, match="1 drawn by fewer than 2 readers"):
        found = measured(tmp_path, "1.2.5", readers)
    both = sum(np.count_nonzero(mask.array) for mask in nodules)
    assert found["lesion_volume_ml"] == pytest.approx(both * VOXEL_ML, rel=1e-6)
