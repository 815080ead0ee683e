"""Data sets that the tests of several readers use."""

import json

import pytest

from tests.data.lesion_files import ct, lesion, pet, put


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
