"""Thresholds as segmenters: what they mark, with and without a seed, and where a scan is absent."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from mmfusion.errors import DataError, ScanError
from mmfusion.evaluation.mask_baselines import DenseInLungs, FixedUptake, ShareOfMaximum, mask_baselines
from mmfusion.evaluation.tasks import SegmentationTask
from mmfusion.imaging import Volume, write_nifti
from mmfusion.metrics.segmentation import mask_scores
from tests.imaging.test_lungs import chest

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def pet():
    """A tumour of SUV 8 at (20, 20, 30) mm, and a hotter organ of SUV 20 at (60, 60, 30) mm."""
    z, y, x = np.indices((20, 40, 40)) * np.array([3.0, 2.0, 2.0])[:, None, None, None]
    tumour, organ = ((x - c) ** 2 + (y - c) ** 2 + (z - 30) ** 2 <= 100 for c in (20, 60))
    suv = np.full(x.shape, 0.8, np.float32)
    suv[tumour], suv[organ] = 8, 20
    suv[10, 10, 10] = 8.5
    return Volume(suv, AFFINE, "PT", "SUVbw"), tumour, organ


def table(**cells):
    return pd.DataFrame(
        [list(cells.values())],
        index=pd.Index(["P1"], name="patient_id"),
        columns=pd.MultiIndex.from_tuples([tuple(name.split("_", 1)) for name in cells]),
    )


def masks(rule, X):
    return [mask.array > 0 for mask in rule.fit(X).predict(X)]


def test_without_a_seed_the_hottest_organ_decides():
    volume, tumour, organ = pet()
    X = table(pet_volume=volume)
    np.testing.assert_array_equal(masks(FixedUptake(), X)[0], tumour | organ)
    np.testing.assert_array_equal(masks(ShareOfMaximum(), X)[0], (tumour & (volume.array > 8.2)) | organ)
    assert masks(FixedUptake(suv=10.0), X)[0].sum() == organ.sum()


def test_with_a_seed_only_what_is_near_counts(tmp_path):
    volume, tumour, _ = pet()
    file = str(write_nifti(volume, tmp_path / "pet.nii.gz"))
    X = table(pet_volume=file, pet_seed_x=22.0, pet_seed_y=20.0, pet_seed_z=30.0)
    for rule in (FixedUptake(), ShareOfMaximum(), ShareOfMaximum(share=0.9)):
        np.testing.assert_array_equal(masks(rule, X)[0], tumour)
    assert not masks(ShareOfMaximum(share=0.97), X)[0][10, 10, 11]  # 8 of 8.5
    with pytest.raises(ScanError, match="outside"):
        masks(FixedUptake(), table(pet_volume=file, pet_seed_x=999.0, pet_seed_y=20.0, pet_seed_z=30.0))


def test_a_nodule_in_the_lung():
    volume, _ = chest((40, 96, 128), (4.0, 2.5, 2.5))
    z, y, x = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(volume.shape, volume.spacing)], indexing="ij"
    )
    nodule = (x - 60) ** 2 + (y + 10) ** 2 + z**2 < 15**2
    hu = volume.array.copy()
    hu[:, 40, 35] = 50  # a vessel of 2.5 mm
    X = table(ct_volume=Volume(hu, volume.affine))
    (found,) = masks(DenseInLungs(), X)
    assert mask_scores(nodule, found, volume.spacing, distances=False)["dice"] > 0.8
    assert not found[:, 40, 35].any()
    far = table(ct_volume=Volume(hu, volume.affine), ct_seed_x=40.0, ct_seed_y=40.0, ct_seed_z=-300.0)
    assert not masks(DenseInLungs(), far)[0].any()  # the nodule is 100 mm away
    assert not masks(DenseInLungs(least_mm3=1e6), X)[0].any()


def test_a_patient_without_the_scan_gets_an_empty_mask():
    volume, _, _ = pet()
    X = table(pet_volume=volume, ct_volume=None)
    (found,) = DenseInLungs().fit(X).predict(X)
    assert found.shape == volume.shape and found.unit == "mask" and not found.array.any()
    X = table(pet_volume=volume)
    assert not next(DenseInLungs().fit(X).predict(X)).array.any()  # no CT in the cohort
    X = table(pet_volume=None)
    with pytest.raises(DataError, match=r"patient P1.*no scan"):
        list(FixedUptake().fit(X).predict(X))


def test_a_ct_in_the_place_of_the_pet():
    ct = Volume(np.zeros((4, 4, 4), np.int16), AFFINE)
    with pytest.raises(ScanError, match=r"not a PET"):
        masks(FixedUptake(), table(pet_volume=ct))


def test_they_are_the_baselines_of_the_task():
    assert list(SegmentationTask().baselines(["ct", "pet"])) == [
        "SUV >= 2.5",
        "41 % of SUVmax",
        "dense in the lungs",
    ]
    assert list(mask_baselines(["ct", "ehr"])) == ["dense in the lungs"] and not mask_baselines(["ehr"])
    for rule in mask_baselines(["ct", "pet"]).values():
        assert clone(rule).get_params() == rule.get_params()
