"""4D-Lung: the mask is the union of the tumour over the phases of breathing."""

import shutil

import numpy as np
import pytest

from mmfusion.data.load import load_cohort
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError
from mmfusion.imaging import read_mask, union_of_masks, write_rtstruct
from tests.data.lesion_files import ct, lesion
from tests.imaging.lidc_files import ball
from tests.imaging.structure_sets import scan


def test_union_of_masks():
    one, two = lesion(10), lesion(14)
    both = union_of_masks([one, two])
    np.testing.assert_array_equal(both.array, one.array | two.array)
    finer = two.resample(1.5)
    assert union_of_masks([one, finer]).volume_ml() == pytest.approx(both.volume_ml(), rel=0.05)
    np.testing.assert_array_equal(union_of_masks([two, one], reference=ct()).array, both.array)


def test_igtv_of_phases(tmp_path):
    """The tumour moves along z from phase to phase; the mask is where it is in any of them."""
    expected = 0
    for k, x in enumerate((9, 11, 13)):
        source, volume = scan(tmp_path / "4D" / f"phase{k}", (8, 24, 26), (3.0, 1.0, 1.0), series=f"1.2.{k}")
        mask = ball(volume.shape, (4, 12, x), 3.5, volume.affine)
        (tmp_path / "4D" / f"rs{k}").mkdir()
        write_rtstruct({f"Tumor_c{k}0": mask}, source, tmp_path / "4D" / f"rs{k}" / "rs.dcm")
        expected = expected | mask.array
    cohort = load_cohort("4d_lung", tmp_path / "4D", phases=3, out=tmp_path / "masks")
    [row] = cohort.table.index
    np.testing.assert_array_equal(open_scan(cohort, row).lesion.array, expected)
    with pytest.raises(DataError, match="no study with enough phases"):
        load_cohort("4d_lung", tmp_path / "4D")
    for phases in ("ten", 2.5, -1):
        with pytest.raises(DataError, match="not a number of phases"):
            load_cohort("4d_lung", tmp_path / "4D", phases=phases)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="could not be written"):
        load_cohort("4d_lung", tmp_path / "4D", phases=3, out=tmp_path / "file")
    shutil.rmtree(tmp_path / "4D" / "rs1")
    fewer = load_cohort("4d_lung", tmp_path / "4D", phases=2, out=tmp_path / "masks")
    assert "1 of 3 CTs have no RTSTRUCT, and are not in the mask" in " ".join(fewer.provenance["notes"])


def test_a_real_phase(shared_data, tmp_path):
    import zipfile

    folder = shared_data / "rtstruct"
    with zipfile.ZipFile(folder / "4D-Lung-113_ct.zip") as archive:
        archive.extractall(tmp_path / "4D" / "ct")
    (tmp_path / "4D" / "rs").mkdir()
    shutil.copy(folder / "4D-Lung-113_rtstruct.dcm", tmp_path / "4D" / "rs" / "1-1.dcm")
    cohort = load_cohort("4d_lung", tmp_path / "4D", phases=1, out=tmp_path / "masks")
    [row] = cohort.table.index
    assert read_mask(cohort.table.loc[row, ("ct", "mask")]).volume_ml() == pytest.approx(67.6, abs=1.0)
