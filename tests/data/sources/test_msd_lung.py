"""Medical Segmentation Decathlon, Task06 Lung, from small files in its layout."""

import json

import pytest

from mmfusion.data.load import load_cohort
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError
from tests.data.lesion_files import ct, lesion, put


def test_msd_lung(task06, tmp_path):
    cohort = load_cohort("msd_lung", tmp_path)
    assert list(cohort.table.index) == ["lung_001", "lung_002"]
    assert list(cohort.X.index) == ["lung_001"]
    assert open_scan(cohort, "lung_001").lesion.volume_ml() == pytest.approx(lesion().volume_ml())
    assert any("NSCLC-Radiogenomics" in note for note in cohort.provenance["notes"])


def test_msd_lung_that_cannot_be_read(task06):
    root, listing = task06
    file = root / "dataset.json"
    file.write_text(json.dumps(listing | {"test": ["../../etc/passwd"]}))
    with pytest.raises(DataError, match="outside the data set"):
        load_cohort("msd_lung", root)
    file.write_text(json.dumps(listing | {"test": ["./imagesTs/lung_009.nii.gz"]}))
    with pytest.raises(DataError, match="a listed file is absent"):
        load_cohort("msd_lung", root)
    file.write_text(json.dumps(listing | {"training": [3]}))
    with pytest.raises(DataError, match="damaged list"):
        load_cohort("msd_lung", root)
    file.write_text("{")
    with pytest.raises(DataError, match="not a list of a data set"):
        load_cohort("msd_lung", root)


def test_msd_lung_names_files_that_are_not_listed(task06):
    root, listing = task06
    put(ct(3), root / "imagesTr" / "lung 003ä.nii.gz")
    notes = " ".join(load_cohort("msd_lung", root).provenance["notes"])
    assert "1 files are not in dataset.json, and are left out: imagesTr/lung 003ä.nii.gz" in notes
    (root / "dataset.json").write_text(json.dumps(listing | {"test": ["a\0b"]}))
    with pytest.raises(DataError, match="not a name of a file"):
        load_cohort("msd_lung", root)
