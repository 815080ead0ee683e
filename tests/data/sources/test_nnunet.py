"""Folders in the raw data format of nnU-Net: written, and read again."""

import json

import numpy as np
import pytest

from mmfusion.data import write_nnunet
from mmfusion.data.load import load_cohort
from mmfusion.data.scans import open_scan
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError, ScanWarning, TableWarning
from mmfusion.imaging import Volume
from tests.data.lesion_files import AFFINE, SHAPE, ct, lesion, put
from tests.imaging.lidc_files import ball


def test_nnunet_there_and_back(autopet_root, tmp_path):
    cohort = load_cohort("autopet", autopet_root)
    splits = Splits.make(cohort.y, cohort.groups["patient"], n_splits=2)
    folder = write_nnunet(
        cohort, tmp_path / "raw", number=7, name="Pet", modalities=("ct", "pet"), splits=splits
    )
    assert folder.name == "Dataset007_Pet"
    listing = json.loads((folder / "dataset.json").read_text())
    assert listing["channel_names"] == {"0": "CT", "1": "PET"} and listing["numTraining"] == 3
    assert listing["labels"] == {"background": 0, "lesion": 1} and listing["file_ending"] == ".nii.gz"
    assert sorted(p.name for p in (folder / "imagesTr").iterdir())[:2] == [
        "PETCT_0af_10445_0000.nii.gz", "PETCT_0af_10445_0001.nii.gz",
    ]  # fmt: skip
    folds = json.loads((folder / "splits_final.json").read_text())
    both = [
        {c.rsplit("_", 1)[0] for c in f["train"]} & {c.rsplit("_", 1)[0] for c in f["val"]} for f in folds
    ]
    assert both == [set(), set()]
    again = load_cohort("nnunet", folder)
    assert again.name == "Pet" and again.modalities == cohort.select(modalities=["ct", "pet"]).modalities
    assert again.groups["patient"].tolist() == cohort.groups["patient"].tolist()
    for patient in cohort.table.index:
        for modality in ("ct", "pet"):
            one, two = (open_scan(c, patient, modality, marked=False).volume for c in (cohort, again))
            np.testing.assert_array_equal(one.array, two.array)
            assert one.same_grid(two)
        one, two = (open_scan(c, patient).lesion for c in (cohort, again))
        np.testing.assert_array_equal(one.array, two.array)


def test_nnunet_with_a_test_set(autopet_root, tmp_path):
    cohort = load_cohort("autopet", autopet_root)
    folder = write_nnunet(cohort, tmp_path / "raw", number=8, test=["PETCT_1bc_30007"])
    assert [p.name for p in (folder / "imagesTs").iterdir()] == ["PETCT_1bc_30007_0000.nii.gz"]
    assert len(load_cohort("nnunet", folder).y) == 3
    with pytest.raises(DataError, match="one person in training and test"):
        write_nnunet(cohort, tmp_path / "raw", number=9, test=["PETCT_0af_10445"])
    with pytest.raises(DataError, match="unknown patient"):
        write_nnunet(cohort, tmp_path / "raw", number=9, test=["nobody"])
    with pytest.raises(DataError, match="the data set exists"):
        write_nnunet(cohort, tmp_path / "raw", number=8)
    with pytest.raises(DataError, match="not a name"):
        write_nnunet(cohort, tmp_path / "raw", number=8, name="a/b")
    assert [p.name for p in (tmp_path / "raw").iterdir()] == ["Dataset008_Lesions"]


def test_nnunet_names_who_is_left_out(task06, tmp_path):
    with pytest.warns(TableWarning, match="1 patients without a scan or a mask are left out: lung_002"):
        write_nnunet(load_cohort("msd_lung", task06[0]), tmp_path / "raw", number=6)


@pytest.fixture
def dataset(tmp_path):
    root = tmp_path / "Dataset500_Lung"
    listing = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "lung": 1, "tumour": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    for k, case in enumerate(("a_b", "c")):
        put(ct(k), root / "imagesTr" / f"{case}_0000.nii.gz")
        labels = ball(SHAPE, (5, 12, 12), 8, AFFINE).array + lesion().array
        put(Volume(labels, AFFINE, unit="mask"), root / "labelsTr" / f"{case}.nii.gz")
    (root / "dataset.json").write_text(json.dumps(listing))
    return root, listing


def test_nnunet_with_several_labels(dataset):
    root, _ = dataset
    with pytest.raises(DataError, match=r"several labels .*got lung, tumour"):
        load_cohort("nnunet", root)
    cohort = load_cohort("nnunet", root, label="tumour")
    assert list(cohort.table.index) == ["a_b", "c"]
    np.testing.assert_array_equal(open_scan(cohort, "a_b").lesion.array, lesion().array)
    with pytest.raises(DataError, match="no such label"):
        load_cohort("nnunet", root, label="node")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numTraining": 3}, r"expected 3 training cases; got 2"),
        ({"channel_names": {"0": "T1"}}, "unclear channels"),
        ({"channel_names": {"0": "CT", "1": "PET"}}, "a_b.*channels of a case are missing"),
        ({"channel_names": ["CT"]}, "damaged list"),
        ({"labels": {"background": 0, "whole": [1, 2]}}, "labels that are regions"),
        ({"file_ending": ".png"}, "unknown file ending"),
        ({"labels": {"background": 0, "tumour": -1}}, "labels that are regions"),
        ({"labels": {"background": 1, "tumour": 0}}, "the background is not 0"),
    ],
)
def test_nnunet_that_cannot_be_read(dataset, changes, message):
    root, listing = dataset
    (root / "dataset.json").write_text(json.dumps(listing | changes))
    with pytest.raises(DataError, match=message):
        load_cohort("nnunet", root, label="tumour")


def test_nnunet_names_what_it_leaves_out(dataset):
    root, listing = dataset
    put(ct(4), root / "imagesTs" / "d_0000.nii")  # another ending than that of the data set
    put(lesion(), root / "labelsTr" / "zz.nii.gz")
    (root / "imagesTr" / "a_b_0000.raw").touch()  # the voxels of a header would lie beside it
    (root / "dataset.json").write_text(json.dumps(listing | {"persons": {"a_b": "A"}}))
    cohort = load_cohort("nnunet", root, label="tumour")
    notes = " ".join(cohort.provenance["notes"])
    assert "2 files belong to no case, and are left out: imagesTs/d_0000.nii, labelsTr/zz.nii.gz" in notes
    assert "persons of 1 cases are not stated: each counts as one: c" in notes
    assert cohort.groups["patient"].tolist() == ["A", "c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": 5}, "parameter label: not a label"),
        ({"channels": ["rna"]}, "not a modality of scans"),
        ({"channels": 5}, "no such modality"),
        ({"channels": ["ct", "pet"]}, "wrong number of channels"),
    ],
)
def test_nnunet_with_options_that_do_not_fit(dataset, options, message):
    with pytest.raises(DataError, match=message):
        load_cohort("nnunet", dataset[0], **{"label": "tumour", **options})


def test_nnunet_with_one_modality_twice(dataset):
    root, listing = dataset
    (root / "dataset.json").write_text(json.dumps(listing | {"channel_names": {"0": "CT", "1": "PET"}}))
    with pytest.raises(DataError, match="two channels of one modality"):
        load_cohort("nnunet", root, label="tumour", channels=["ct", "ct"])


def test_nnunet_of_version_1(dataset):
    root, _ = dataset
    (root / "dataset.json").write_text(json.dumps({"modality": {"0": "CT"}, "labels": {"0": "a"}}))
    with pytest.raises(DataError, match="not version 2"):
        load_cohort("nnunet", root)


def test_empty_masks_are_patients_without_a_lesion(dataset):
    root, listing = dataset
    (root / "dataset.json").write_text(json.dumps(listing | {"labels": {"background": 0, "tumour": 1}}))
    put(Volume(np.zeros(SHAPE, np.uint8), AFFINE, unit="mask"), root / "labelsTr" / "c.nii.gz")
    with pytest.warns(ScanWarning, match="the mask is empty"):
        found = open_scan(load_cohort("nnunet", root), "c")
    assert not found.lesion.array.any()
