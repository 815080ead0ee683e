"""A scan is recognised after all that a conversion does to it, and no other patient is taken for it."""

from itertools import combinations

import numpy as np
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume, read
from mmfusion.imaging.signature import SAME, ScanFingerprint, scan_fingerprint, similarities, similarity
from mmfusion.synthetic import phantom

OTHERS = {
    "LUNG1-002": "lesions/LUNG1-002/ct_crop_native.nii.gz",
    "LIDC-IDRI-0314": "lesions/LIDC-IDRI-0314/ct_crop_native.nii.gz",
    "pat 2": "lesions/cancerdata_pat_2/ct.nii.gz",
    "pat 4": "lesions/cancerdata_pat_4/ct.nii.gz",
    "R01-001": "nsclc_radiogenomics/ct/R01-001.zip",
    "4D-Lung-113": "rtstruct/4D-Lung-113_ct.zip",
}


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    cohort, _ = phantom(
        4, seed=3, missing=0.0, n_genes=30, n_planted=3, root=tmp_path_factory.mktemp("phantom") / "files"
    )
    return [read(path) for path in cohort.table["ct", "volume"].dropna()]


@pytest.fixture(scope="module")
def prints(scans):
    return [scan_fingerprint(scan) for scan in scans]


def moved(scan, by=(37.3, -12.1, 55.7)):
    affine = scan.affine.copy()
    affine[:3, 3] += by
    return Volume(scan.array, affine)


def cropped(scan):
    return scan.crop_box([slice(n // 5, n) for n in scan.shape])


def noisy(scan):
    noise = np.random.default_rng(0).normal(0, 40, scan.shape)
    return Volume((scan.array + noise).astype(np.float32), scan.affine)


def rescaled(scan):
    return Volume((0.85 * scan.array + 40).astype(np.float32), scan.affine)


CHANGES = {
    "resampled": lambda scan: scan.resample((5.0, 2.3, 2.3)),
    "cropped": cropped,
    "moved": moved,
    "noisy": noisy,
    "rescaled": rescaled,
    "all": lambda scan: moved(rescaled(noisy(cropped(scan)).resample((4.0, 2.5, 2.5)))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_recognised(scans, prints, change):
    for scan, own in zip(scans, prints):
        assert similarity(own, scan_fingerprint(CHANGES[change](scan))) >= SAME


def test_phantoms_of_one_generator_are_told_apart(prints):
    found = similarities(prints, prints)
    assert found[~np.eye(len(prints), dtype=bool)].max() < SAME - 0.02
    np.testing.assert_allclose(found, found.T, atol=1e-3)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-5)


def test_equal_coordinates_are_enough_where_they_are_kept(scans, prints):
    assert similarity(prints[0], scan_fingerprint(cropped(scans[0])), moved=False) >= SAME
    assert similarity(prints[0], scan_fingerprint(moved(scans[0])), moved=False) < SAME


def test_modalities_are_not_compared(scans, prints):
    pet = Volume(np.abs(scans[0].array / 200).astype(np.float32), scans[0].affine, "PT", "SUVbw")
    found = scan_fingerprint(pet)
    assert found.modality == "pet"
    assert similarity(prints[0], found) == -1
    assert similarity(found, found) == pytest.approx(1)


def test_stored_as_an_array(prints):
    again = ScanFingerprint.from_array(prints[1].to_array())
    assert (again.modality, again.first) == (prints[1].modality, prints[1].first)
    np.testing.assert_array_equal(again.details, prints[1].details)
    np.testing.assert_array_equal(again.inside, prints[1].inside)


def test_what_has_no_fingerprint(scans):
    with pytest.raises(ScanError, match="too small"):
        scan_fingerprint(scans[0].around(scans[0].center_mm, 40))
    with pytest.raises(ScanError, match="not a scan"):
        scan_fingerprint(Volume(np.ones((40, 40, 40), np.uint8), np.diag([3.0, 3, 3, 1]), unit="mask"))
    air = scan_fingerprint(Volume(np.full((40, 40, 40), -1000, np.int16), np.diag([3.0, 3, 3, 1])))
    assert similarity(air, air) == -1


def test_real_crops_are_of_their_scans(shared_data):
    folder = shared_data / "lesions"
    prints = {name: scan_fingerprint(read(shared_data / path)) for name, path in OTHERS.items()}
    whole = {
        "LUNG1-002": scan_fingerprint(read(folder / "LUNG1-002" / "ct_2mm_thorax.nii.gz")),
        "LIDC-IDRI-0314": scan_fingerprint(read(folder / "LIDC-IDRI-0314" / "ct_1p5mm.nii.gz")),
    }
    for name, scan in whole.items():
        assert similarity(scan, prints[name]) > 0.98
        assert similarity(scan, prints[name], moved=False) > 0.98
    found = {pair: similarity(prints[pair[0]], prints[pair[1]]) for pair in combinations(prints, 2)}
    assert max(found.values()) < 0.8, found


@pytest.mark.slow
def test_real_scans_of_different_patients(shared_data):
    folder = shared_data / "lesions"
    one = scan_fingerprint(read(folder / "LUNG1-001" / "ct_native.nii.gz"))
    for path in (*OTHERS.values(), "lesions/LUNG1-002/ct_2mm_thorax.nii.gz"):
        assert similarity(one, scan_fingerprint(read(shared_data / path))) < 0.8
