"""Data sets for segmentation, from small files in the published layouts."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from skimage.io import imsave

from mmfusion.data import read_luna16, read_pclt20k, write_nnunet
from mmfusion.data.load import load_cohort
from mmfusion.data.scans import open_scan
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError, LeakageError, ScanWarning, TableWarning
from mmfusion.imaging import Volume, read, read_mask, union_of_masks, write_nifti, write_rtstruct
from tests.imaging.lidc_files import ball, nodule, write_lidc
from tests.imaging.structure_sets import scan

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
SHAPE = (10, 24, 26)


def ct(seed=0, affine=AFFINE, shape=SHAPE):
    hu = np.random.default_rng(seed).normal(-500, 300, shape)
    return Volume(np.clip(hu, -1000, 1000).astype(np.int16), affine)


def pet(seed=0):
    suv = np.random.default_rng(seed).gamma(2.0, 1.5, SHAPE).astype(np.float32)
    return Volume(suv, AFFINE, "PT", "SUVbw")


def lesion(x=12, radius=4.0):
    return ball(SHAPE, (5, 12, x), radius, AFFINE)


def put(volume, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_nifti(volume, path)


# --- LIDC-IDRI ------------------------------------------------------------------------------------------


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


# --- LUNA16 ---------------------------------------------------------------------------------------------


def test_luna16(tmp_path):
    (tmp_path / "subset3").mkdir()
    (tmp_path / "subset3" / "1.3.6.mhd").touch()
    (tmp_path / "annotations.csv").write_text(
        "seriesuid,coordX,coordY,coordZ,diameter_mm\n"
        "1.3.6,-128.7,-175.3,-298.4,5.65\n1.3.6,103.8,-211.9,-227.1,4.22\n1.3.7,69.6,-140.9,876.4,5.79\n"
    )
    found = read_luna16(tmp_path)
    np.testing.assert_allclose(
        found.of("1.3.6"), [[-128.7, -175.3, -298.4, 5.65], [103.8, -211.9, -227.1, 4.22]]
    )
    assert found.scans.loc["1.3.6", "subset"] == 3
    assert pd.isna(found.scans.loc["1.3.7", "volume"])
    assert any("masks" in note for note in found.provenance["notes"])
    with pytest.raises(DataError, match="no such scan"):
        found.of("2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seriesuid,coordX\n1,2", "not the table of nodules"),
        ("seriesuid,coordX,coordY,coordZ,diameter_mm\n1.3,1,2,3,-5", r"1\.3.*impossible nodule"),
        ("seriesuid,coordX,coordY,coordZ,diameter_mm\n1.3,1,2,here,5", "impossible nodule"),
    ],
)
def test_luna16_that_cannot_be_read(tmp_path, text, message):
    (tmp_path / "annotations.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_luna16(tmp_path)


# --- MSD ------------------------------------------------------------------------------------------------


@pytest.fixture
def task06(tmp_path):
    root = tmp_path / "Task06_Lung"
    listing = {
        "name": "Lung",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "cancer"},
        "numTraining": 1,
        "training": [{"image": "./imagesTr/lung_001.nii.gz", "label": "./labelsTr/lung_001.nii.gz"}],
        "test": ["./imagesTs/lung_002.nii.gz"],
    }
    put(ct(1), root / "imagesTr" / "lung_001.nii.gz")
    put(lesion(), root / "labelsTr" / "lung_001.nii.gz")
    put(ct(2), root / "imagesTs" / "lung_002.nii.gz")
    (root / "imagesTr" / "._lung_001.nii.gz").touch()
    (root / "dataset.json").write_text(json.dumps(listing))
    return root, listing


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


# --- nnU-Net --------------------------------------------------------------------------------------------


@pytest.fixture
def autopet_root(tmp_path):
    root = tmp_path / "FDG-PET-CT-Lesions"
    studies = {
        "PETCT_0af": ["03-23-2003-NA-PET-CT Ganzkoerper-10445", "05-01-2004-NA-PET-CT-20001"],
        "PETCT_1bc": ["01-01-2002-NA-PET-CT-30007"],
    }
    for patient, names in studies.items():
        for k, name in enumerate(names):
            put(ct(k), root / patient / name / "CTres.nii.gz")
            put(pet(k), root / patient / name / "SUV.nii.gz")
            put(lesion(8 + k), root / patient / name / "SEG.nii.gz")
    (root / "Clinical Metadata FDG PET_CT Lesions.csv").write_text(
        "Series UID,Subject ID,Study UID,Modality,diagnosis,age,sex\n"
        "1,PETCT_0af,1.3.6.10445,CT,LUNG_CANCER,061Y,M\n2,PETCT_0af,1.3.6.10445,PT,LUNG_CANCER,061Y,M\n"
        "3,PETCT_0af,1.3.6.20001,PT,NEGATIVE,062Y,M\n4,PETCT_1bc,1.3.6.30007,PT,MELANOMA,044Y,F\n"
    )
    return root


def test_autopet(autopet_root):
    cohort = load_cohort("autopet", autopet_root)
    assert list(cohort.table.index) == ["PETCT_0af_10445", "PETCT_0af_20001", "PETCT_1bc_30007"]
    assert cohort.groups["patient"].tolist() == ["PETCT_0af", "PETCT_0af", "PETCT_1bc"]
    assert cohort.table["ehr"].loc["PETCT_0af_20001"].to_dict() == {"age": 62, "sex": "male"}
    assert open_scan(cohort, "PETCT_1bc_30007", "pet").volume.unit == "SUVbw"
    lung = load_cohort("autopet", autopet_root, diagnosis="LUNG_CANCER")
    assert list(lung.table.index) == ["PETCT_0af_10445"]
    assert any("2 studies of another diagnosis" in note for note in lung.provenance["notes"])
    with pytest.raises(DataError, match="cannot choose the diagnosis"):
        load_cohort("autopet", autopet_root, diagnosis="lung")


@pytest.mark.parametrize("name", ["SUV", "SEG", "CTres"])
def test_autopet_with_a_study_that_is_not_whole(autopet_root, name):
    next(autopet_root.rglob(f"{name}.nii.gz")).unlink()
    with pytest.raises(DataError, match=f"{name}.nii.gz: a study without a file"):
        load_cohort("autopet", autopet_root)


def test_autopet_with_another_clinical_table(autopet_root):
    file = next(autopet_root.glob("*.csv"))
    head, first, *_ = file.read_text().splitlines(keepends=True)
    file.write_text(head + first)
    notes = " ".join(load_cohort("autopet", autopet_root).provenance["notes"])
    assert "2 studies are not in the clinical table" in notes
    file.write_text(head + first + first.replace("LUNG_CANCER", "MELANOMA"))
    with pytest.raises(DataError, match=r"PETCT_0af.*a study whose rows differ"):
        load_cohort("autopet", autopet_root)


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


# --- PCLT20K --------------------------------------------------------------------------------------------


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


# --- 4D-Lung --------------------------------------------------------------------------------------------


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


def test_empty_masks_are_patients_without_a_lesion(dataset):
    root, listing = dataset
    (root / "dataset.json").write_text(json.dumps(listing | {"labels": {"background": 0, "tumour": 1}}))
    put(Volume(np.zeros(SHAPE, np.uint8), AFFINE, unit="mask"), root / "labelsTr" / "c.nii.gz")
    with pytest.warns(ScanWarning, match="the mask is empty"):
        found = open_scan(load_cohort("nnunet", root), "c")
    assert not found.lesion.array.any()
