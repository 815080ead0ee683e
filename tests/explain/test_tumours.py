"""A known point of a scan is found again at the same place: crops, masks, maps and figures."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion import figures
from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.explain import energy_in_tumour, pointing_game, scan_gradcam, scan_occlusion, tumour_masks
from mmfusion.imaging import Volume, write_nifti
from mmfusion.preprocessing.scans import ScanTransformer
from mmfusion.streams import StreamInputs, StreamSpec
from tests.explain.models import Look, linear_model, looking

S, MM = 24, 3.0  # voxels and mm of the crop


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def scan(tmp_path):
    """Lung with a bright ball of 14 mm, off the seed, on a grid with other steps along each axis."""
    spacing, shape = np.array([5.0, 2.0, 1.5]), (20, 44, 56)  # (z, y, x)
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = [-40.0, 25.0, -300.0]
    seed = affine[:3, 3] + np.array([42.0, 44.0, 50.0])
    ball = seed + np.array([9.0, -6.0, 12.0])  # (x, y, z)
    z, y, x = (np.arange(n) * s for n, s in zip(shape, spacing, strict=True))
    offset = (ball - affine[:3, 3])[::-1]
    r2 = (z[:, None, None] - offset[0]) ** 2 + (y[:, None] - offset[1]) ** 2 + (x - offset[2]) ** 2
    mask = (r2 < 49).astype(np.uint8)
    noise = np.random.default_rng(0).integers(-20, 20, shape)
    hu = (np.where(mask, 100, -850) + noise).astype(np.int16)
    write_nifti(Volume(hu, affine), tmp_path / "ct.nii.gz")
    write_nifti(Volume(mask, affine, unit="mask"), tmp_path / "mask.nii.gz")
    return {
        "volume": str(tmp_path / "ct.nii.gz"),
        "mask": str(tmp_path / "mask.nii.gz"),
        "seed": seed,
        "ball": ball,
    }


def cohort_of(scan, **changes):
    cells = {"volume": scan["volume"], "mask": scan["mask"]}
    cells |= dict(zip(("seed_x", "seed_y", "seed_z"), scan["seed"], strict=True))
    table = pd.DataFrame([cells | changes, cells], index=pd.Index(["P0", "P1"], name="patient_id"))
    table.columns = pd.MultiIndex.from_product([["ct"], table.columns], names=["modality", "feature"])
    stages = pd.DataFrame({"stage": ["I", "III"]}, index=table.index)
    return Cohort("two", table, stages, "stage3_ajcc7", provenance={"ajcc_edition": 7})


def model_on(cohort, stride=None):
    """A model that looks for bright voxels, and the crops that it reads."""
    reader = ScanTransformer(side=S, spacing=MM).fit(cohort.table["ct"])
    model = looking(50.0, Look(stride))
    model.transformer_ = SimpleNamespace(
        specs_=[StreamSpec("ct", "ct", (1, S, S, S))], transformers_={"ct": reader}, transform=lambda X: X
    )
    crops = reader.transform(cohort.table["ct"])
    return model, StreamInputs({"ct": crops}, np.ones((len(crops), 1), bool), list(cohort.table.index))


def middle_mm(weights, seed):
    """Centre of mass of a map of the crop, LPS mm (x, y, z)."""
    at = [(weights.sum(axis=tuple({0, 1, 2} - {a})) * np.arange(S)).sum() / weights.sum() for a in range(3)]
    return np.array(seed) + (np.array(at[::-1]) - (S - 1) / 2) * MM


@pytest.mark.parametrize("stride", [None, 2, 4])
def test_the_hot_spot_is_at_the_point_that_the_network_looks_at(scan, stride):
    cohort = cohort_of(scan)
    model, X = model_on(cohort, stride)
    X.arrays["ct"] = np.where(X.arrays["ct"] > 0.3, X.arrays["ct"], 0).astype(
        np.float32
    )  # lung does not count
    masks = tumour_masks(model, cohort, ["P0", "P1"])
    found = scan_gradcam(model, X)
    np.testing.assert_allclose(middle_mm(masks[0], scan["seed"]), scan["ball"], atol=1.0)
    np.testing.assert_allclose(middle_mm(found.maps[0], scan["seed"]), scan["ball"], atol=1.5)
    assert pointing_game(found.maps, masks).tolist() == [1, 1]


def test_occlusion_finds_it_too(scan):
    cohort = cohort_of(scan)
    model, X = model_on(cohort)
    found = scan_occlusion(model, X, window=4, step=2)
    np.testing.assert_allclose(middle_mm(found.maps[0], scan["seed"]), scan["ball"], atol=1.5)


def test_figures_show_map_mask_and_scan_at_the_same_place(scan):
    cohort = cohort_of(scan)
    model, X = model_on(cohort)
    found, masks = scan_gradcam(model, X), tumour_masks(model, cohort, ["P0", "P1"])
    for figure in (
        figures.scan_maps({"HiResCAM": found, "again": found}, masks=masks),
        figures.gradcam_montage(found, masks=masks),
    ):
        for ax in figure.axes:
            origins = {image.origin for image in ax.images}
            peaks = {int(np.asarray(image.get_array()).argmax()) for image in ax.images}
            assert len(origins) == len(peaks) == 1
            assert len({tuple(image.get_extent()) for image in ax.images}) == 1
    assert figures.scan_maps({"a": found}).axes[0].images[0].origin == "upper"  # front of the patient on top


def test_the_mask_keeps_its_volume(scan):
    cohort = cohort_of(scan)
    model, _ = model_on(cohort)
    ml = tumour_masks(model, cohort, ["P1"]).sum() * MM**3 / 1000
    assert ml == pytest.approx(4 / 3 * np.pi * 7**3 / 1000, rel=0.1)


def test_masks_lie_on_the_crops_of_a_classifier(tmp_path):
    cohort, _ = mf.phantom(6, modalities=("ct",), missing=0.0, root=tmp_path / "scans")
    model = mf.StageClassifier(preprocessing={"crop_side": 16, "crop_spacing": 6.0})
    model.transformer_ = model.settings.preprocessing.fit(cohort.X)
    model.module_, model.classes_ = None, ("I", "II", "III")  # masks do not need the networks
    crops = model.transformer_.transform(cohort.X).arrays["ct"][:, 0]
    masks = tumour_masks(model, cohort, list(cohort.X.index)) > 0
    assert masks.shape == crops.shape and masks.any(axis=(1, 2, 3)).all()
    assert (crops[masks].mean() - crops[~masks].mean()) > 0.1  # a tumour is denser than lung


def test_a_patient_without_a_mask(scan):
    cohort = cohort_of(scan, mask=np.nan)
    model, _ = model_on(cohort)
    none, some = tumour_masks(model, cohort, ["P0", "P1"])
    assert not none.any() and some.any()


def test_bad_patients_and_models(scan):
    cohort = cohort_of(scan)
    model, _ = model_on(cohort)
    with pytest.raises(DataError, match=r"P9.*no such patient"):
        tumour_masks(model, cohort, ["P9"])
    with pytest.raises(DataError, match=r"P0.*no scan"):
        tumour_masks(model, cohort_of(scan, volume=np.nan), ["P0"])
    with pytest.raises(DataError, match="reads no scan"):
        tumour_masks(linear_model(), cohort, ["P0"])


def test_pointing_game():
    maps, masks = np.zeros((4, 2, 2, 2)), np.zeros((4, 2, 2, 2))
    maps[:3, 1, 0, 1], masks[0, 1, 0, 1], masks[1, 0, 0, 0] = 1, 1, 1
    np.testing.assert_array_equal(pointing_game(maps, masks), [1, 0, np.nan, np.nan])
    maps[0, 1] = 1  # four voxels have the largest value, one of them in the tumour
    assert pointing_game(maps, masks)[0] == 0.25
    with pytest.raises(DataError, match="differ in shape"):
        pointing_game(maps, masks[:2])


@pytest.mark.parametrize("judge", [pointing_game, energy_in_tumour])
def test_maps_and_masks_that_are_no_numbers_are_refused(judge):
    maps = np.ones((1, 2, 2, 2))
    with pytest.raises(DataError, match=r"parameter masks: not numbers .*got object"):
        judge(maps, None)
    with pytest.raises(DataError, match=r"parameter maps: not numbers .*got NaN"):
        judge(np.full_like(maps, np.nan), maps)
    with pytest.raises(DataError, match=r"parameter masks: not numbers .*got NaN"):
        judge(maps, np.full_like(maps, np.nan))
    assert len(judge(maps[:0], maps[:0])) == 0
