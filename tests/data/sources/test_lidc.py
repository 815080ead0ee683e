"""LIDC-IDRI, from small files in its layout."""

import shutil

import numpy as np
import pytest

from mmfusion.data.load import load_cohort
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError
from mmfusion.imaging import Volume, read
from tests.data.lesion_files import put
from tests.imaging.lidc_files import ball, nodule, write_lidc
from tests.imaging.structure_sets import scan


@pytest.fixture(scope="module")
def lidc_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("LIDC-IDRI")
    folder, volume = scan(root / "LIDC-IDRI-0001" / "study" / "series", shape=(8, 24, 26))
    mask = ball(volume.shape, (4, 12, 12), 4, volume.affine)
    write_lidc(folder / "069.xml", [[nodule(mask)]] * 4, series=volume.series_uid)
    write_lidc(root / "000.xml", [[nodule(mask)]] * 4, series="9.9.9")
    (root / "radiograph.xml").write_text("<IdriReadMessage/>")
    return root, mask


def test_lidc(lidc_root):
    root, mask = lidc_root
    cohort = load_cohort("lidc", root)
    [patient] = cohort.table.index
    np.testing.assert_array_equal(open_scan(cohort, patient).lesion.array, mask.array)
    assert len(cohort.y) == 1 and cohort.target == "lesion"
    notes = " ".join(cohort.provenance["notes"])
    assert "1 XML files without their CT" in notes and "1 XML files are no readings" in notes


def test_lidc_from_files_of_luna16(lidc_root, tmp_path):
    root, mask = lidc_root
    volume = read(root / "LIDC-IDRI-0001" / "study" / "series")
    put(Volume(volume.array, volume.affine), tmp_path / "subset0" / f"{volume.series_uid}.nii.gz")
    (tmp_path / "157").mkdir()
    write_lidc(tmp_path / "157" / "158.xml", [[nodule(mask)]] * 4, series=volume.series_uid)
    cohort = load_cohort("lidc", tmp_path)
    np.testing.assert_array_equal(open_scan(cohort, volume.series_uid).lesion.array, mask.array)


def test_lidc_that_cannot_be_read(lidc_root, tmp_path):
    with pytest.raises(DataError, match="no XML of a CT"):
        load_cohort("lidc", tmp_path)
    write_lidc(tmp_path / "a.xml", [[]], series="1.2")
    with pytest.raises(DataError, match="no CT with its XML"):
        load_cohort("lidc", tmp_path)
    write_lidc(tmp_path / "b.xml", [[], []], series="1.2")
    with pytest.raises(DataError, match="two readings of one series"):
        load_cohort("lidc", tmp_path)
    (tmp_path / "a.xml").write_text("<LidcReadMessage>")
    with pytest.raises(DataError, match=r"a\.xml: not a LIDC-IDRI file"):
        load_cohort("lidc", tmp_path)


def test_lidc_with_copies(lidc_root, tmp_path):
    """Two CTs of one series may differ; upper case is read too."""
    root, _ = lidc_root
    source = root / "LIDC-IDRI-0001" / "study" / "series"
    shutil.copytree(source, tmp_path / "one")
    (tmp_path / "one" / "069.xml").rename(tmp_path / "one" / "069.XML")
    volume = read(source)
    for place in ("a", "b"):
        file = put(Volume(volume.array, volume.affine), tmp_path / place / f"{volume.series_uid}.nii.gz")
        file.rename(file.with_name(file.name.upper()))
        cohort = load_cohort("lidc", tmp_path) if place == "a" else None
        if cohort is not None:
            assert len(cohort.y) == 1 and "the DICOM is used" in " ".join(cohort.provenance["notes"])
    with pytest.raises(DataError, match="two CTs of one series"):
        load_cohort("lidc", tmp_path)
    shutil.rmtree(tmp_path / "a")
    shutil.rmtree(tmp_path / "b")
    shutil.copytree(source, tmp_path / "two")
    (tmp_path / "two" / "069.xml").unlink()
    with pytest.raises(DataError, match="two CTs of one series"):
        load_cohort("lidc", tmp_path)
