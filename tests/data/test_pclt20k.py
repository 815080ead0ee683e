"""Slices of PCLT20K, from small images in its layout."""

import numpy as np
import pytest
from skimage.io import imsave

from mmfusion.data import read_pclt20k
from mmfusion.errors import DataError, LeakageError
from mmfusion.imaging import read


@pytest.fixture
def pclt(tmp_path):
    rng = np.random.default_rng(0)
    for patient, numbers in {"0001": (9, 10, 11), "0002": (1,)}.items():
        (tmp_path / patient).mkdir()
        for k in numbers:
            mask = np.zeros((12, 14), np.uint8)
            mask[3:6, 4:8] = 255
            for part, image in {"CT": None, "PET": None, "mask": mask}.items():
                image = rng.integers(0, 255, (12, 14), np.uint8) if image is None else image
                imsave(tmp_path / patient / f"{patient}_{k}_{part}.png", image, check_contrast=False)
    (tmp_path / "train.txt").write_text("0001_9\n0001_10\n0001_11\n")
    (tmp_path / "test.txt").write_text("0002_1\n")
    return tmp_path


def test_pclt20k(pclt):
    found = read_pclt20k(pclt)
    assert found.unit == "u8"
    assert list(found.table.index) == ["0001_9", "0001_10", "0001_11", "0002_1"]  # 10 after 9
    assert found.table["split"].tolist() == ["train", "train", "train", "test"]
    slab = found.slab("0001_9", 3)
    assert slab.shape == (3, 2, 12, 14) and slab.dtype == np.uint8
    np.testing.assert_array_equal(slab[0], slab[1])  # the first slice is repeated
    np.testing.assert_array_equal(slab[2], found.slab("0001_10")[0])
    assert found.mask("0001_9").sum() == 12
    assert any("HU and SUV are lost" in note for note in found.provenance["notes"])


def test_grey_levels_are_never_suv(pclt):
    """Nothing reads the images as a scan, and their values are refused as SUV or HU."""
    from mmfusion.errors import ScanError
    from mmfusion.imaging.plausible import check_values

    with pytest.raises(ScanError, match=r"no CT or PET|unknown scan format"):
        read(pclt / "0001" / "0001_9_PET.png", unit="SUVbw")
    for unit in ("SUVbw", "HU"):
        with pytest.raises(ScanError, match="cannot be"):
            check_values(read_pclt20k(pclt).slab("0001_9")[:, 1], unit, "PET.png")


def test_pclt20k_that_cannot_be_read(pclt):
    (pclt / "test.txt").write_text("0001_9\n")
    with pytest.raises(LeakageError, match=r"0001.*one patient in train and test"):
        read_pclt20k(pclt)
    (pclt / "test.txt").write_text("0009_1\n")
    with pytest.raises(DataError, match="a listed slice is absent"):
        read_pclt20k(pclt)
    (pclt / "0001" / "0001_10_PET.png").unlink()
    with pytest.raises(DataError, match="without all of its images"):
        read_pclt20k(pclt)


@pytest.mark.parametrize("part", ["CT", "PET", "mask"])
def test_pclt20k_with_a_slice_that_is_not_whole(pclt, part):
    (pclt / "train.txt").write_text("0001_9\n0001_11\n")
    (pclt / "0001" / f"0001_10_{part}.png").unlink()
    with pytest.raises(DataError, match=rf"0001_10_{part}\.png: a slice without all of its images"):
        read_pclt20k(pclt)


def test_pclt20k_with_other_files(pclt):
    (pclt / "0001" / "notes.txt").touch()
    (pclt / "test.txt").write_text("0002_1\n", encoding="utf-8-sig")
    found = read_pclt20k(pclt)
    assert "1 files in the folders of the patients" in " ".join(found.provenance["notes"])
    assert found.table["split"].tolist()[-1] == "test"
    (pclt / "test.txt").write_bytes("ä".encode("latin-1"))
    with pytest.raises(DataError, match="not a list of slices"):
        read_pclt20k(pclt)


def test_pclt20k_with_damaged_images(pclt):
    found, file = read_pclt20k(pclt), pclt / "0001" / "0001_9_mask.png"
    for image, message in (
        (np.ones((12, 14), np.uint8), "a mask with other grey levels"),  # the lesion would be lost
        (np.full((5, 5), 255, np.uint8), "a mask of another size than its CT"),
    ):
        imsave(file, image, check_contrast=False)
        with pytest.raises(DataError, match=f"0001_9.*{message}"):
            found.mask("0001_9")
    (pclt / "0001" / "0001_9_CT.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="not an image"):
        found.slab("0001_9")
    for n in (2, "3", 2.5, None):
        with pytest.raises(DataError, match="no such slab"):
            found.slab("0001_9", n)
