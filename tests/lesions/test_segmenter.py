"""LesionSegmenter: fit, predict, threshold, saving, fine-tuning, who was learned from."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import mmfusion as mf
from mmfusion.errors import DataError, ScanError
from mmfusion.evaluation.tasks import SegmentationTask
from mmfusion.imaging import Volume
from tests.lesions.conftest import TINY, dice, patient, table

MASK = ("ct", "mask")


def test_it_learns_and_marks_lesions_on_the_scanners_grid(model, X):
    masks = list(model.predict(X))
    assert min(dice(masks, X[MASK])) > 0.6
    for mask, path in zip(masks, X["ct", "volume"], strict=True):
        scan = mf.imaging.read(path)
        assert mask.unit == "mask" and mask.shape == scan.shape and mask.provenance is None
        np.testing.assert_array_equal(mask.affine, scan.affine)
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]


def test_scans_in_memory_give_the_same_as_files(model, X):
    rows = table({f"P{k}": {("ct", "volume"): patient(k)["ct", "volume"]} for k in range(2)})
    for a, b in zip(model.predict(rows), model.predict(X[:2]), strict=True):
        np.testing.assert_array_equal(a.to_lps().array, b.array)
    one = model.segment(X["ct", "volume"].iloc[1])
    np.testing.assert_array_equal(one.array, b.array)
    turned = model.segment(rows["ct", "volume"].iloc[1])  # on its own grid, not in LPS
    np.testing.assert_array_equal(turned.affine, rows["ct", "volume"].iloc[1].affine)


def test_company_and_order_do_not_matter(model, X):
    together = [mask.array for mask in model.predict(X)]
    backwards = [mask.array for mask in model.predict(X[::-1])][::-1]
    alone = [next(model.predict(X.iloc[[k]])).array for k in range(len(X))]
    assert all(np.array_equal(a, b) and np.array_equal(a, c) for a, b, c in zip(together, backwards, alone))


def test_the_masks_of_held_out_patients_cannot_change_anything(model, X):
    """Neither those in X, nor those that an evaluation judges by."""
    other = X.copy()
    other[MASK] = [X[MASK].iloc[0]] * len(X)
    for a, b in zip(model.predict(X), model.predict(other), strict=True):
        np.testing.assert_array_equal(a.array, b.array)
    seen = []

    class Watched:
        reads_masks = model.reads_masks

        def predict(self, given):
            seen.append(given[MASK].notna().sum())
            return model.predict(given)

    SegmentationTask().predict(Watched(), X[:1], X[MASK][:1])
    assert seen == [0]


def test_rows_outside_the_fit_cannot_change_it(X):
    short = {**TINY, "max_epochs": 1}
    one = mf.LesionSegmenter(**short).fit(X[:5])
    poisoned = X.copy()
    poisoned.iloc[5] = "a file that does not exist"
    two = mf.LesionSegmenter(**short).fit(poisoned[:5])
    assert one.threshold_ == two.threshold_
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.module_.state_dict().values(), two.module_.state_dict().values())
    )


def test_the_threshold_is_the_best_one_on_the_held_out_training_patients(model, X):
    from mmfusion.lesions.cases import inner_split, training_cases
    from mmfusion.lesions.thresholds import best_threshold

    cases = training_cases(X, None, model.reader)
    learned, held_out = inner_split(cases, 0.2, model.random_state)
    assert len(held_out) == 1 and len(learned) == 5
    names = [case.patient for case in held_out]
    maps = [volume.array for volume in model.probabilities(X.loc[names])]
    assert model.threshold_ == best_threshold(zip(maps, [case.mask for case in held_out]))
    fixed = clone(model).set_params(threshold=0.3, max_epochs=1).fit(X)
    assert fixed.threshold_ == 0.3


def test_probabilities_are_on_the_grid_of_the_network(model, X):
    (found,) = model.probabilities(X[:1])
    assert found.unit == "probability" and found.spacing == (3.0, 3.0, 3.0)
    assert 0 <= found.array.min() < 0.2 and 0.8 < found.array.max() <= 1


def test_saved_and_loaded_it_is_the_same(model, X, tmp_path):
    assert model.save(tmp_path / "model") is model
    loaded = mf.load(tmp_path / "model")
    assert loaded.get_params() == model.get_params() and loaded.threshold_ == model.threshold_
    for a, b in zip(model.predict(X[:3]), loaded.predict(X[:3]), strict=True):
        np.testing.assert_array_equal(a.array, b.array)
    assert loaded.saw(X) == list(X.index) and loaded.history_ == model.history_
    text = "".join(p.read_text() for p in (tmp_path / "model").glob("*.json"))
    assert "P3" not in text and str(X.iloc[0, 0]) not in text  # no id and no path


def test_it_knows_whom_it_learned_from(model, X):
    new = patient(17)
    copy = patient(3)["ct", "volume"]
    moved = Volume(copy.array, copy.affine + np.diag([0, 0, 0, 0.0]) + np.eye(4)[3] * 0)
    others = table({
        "P0": {("ct", "volume"): new["ct", "volume"]},
        "new": {("ct", "volume"): new["ct", "volume"]},
        "renamed": {("ct", "volume"): moved},
    })  # fmt: skip
    assert model.saw(others) == ["P0", "renamed"]


def test_one_seed_gives_one_result_and_random_state_stays(X):
    state = torch.get_rng_state()
    short = {**TINY, "max_epochs": 1, "threshold": 0.5}
    one, two, three = (
        mf.LesionSegmenter(**short, random_state=s).fit(X).module_.state_dict() for s in (0, 0, 1)
    )
    assert all(torch.equal(one[k], two[k]) for k in one) and not all(
        torch.equal(one[k], three[k]) for k in one
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_a_seed_keeps_the_lesion_there(model, X):
    path = X["ct", "volume"].iloc[2]
    centre = mf.imaging.read_mask(X[MASK].iloc[2]).centroid_mm
    mask = model.segment(path, seed=centre)
    assert dice([mask], [X[MASK].iloc[2]])[0] > 0.6
    corner = mf.imaging.read(path).voxel_to_mm([1, 1, 1])
    if np.linalg.norm(corner - centre) > 35:
        with pytest.warns(Warning, match="no lesion found within 15 mm"):
            assert not model.segment(path, seed=corner).array.any()
    with pytest.raises(ScanError, match="outside the scan"):
        model.segment(path, seed=(1e4, 0, 0))


def test_flips_are_averaged(model, X):
    plain = next(model.probabilities(X[:1])).array
    flips = clone(model).set_params(test_time_flips=True)
    flips.__dict__.update({k: v for k, v in vars(model).items() if k.endswith("_")})
    found = next(flips.probabilities(X[:1])).array
    assert not np.array_equal(found, plain) and np.abs(found - plain).mean() < 0.1


def test_fine_tuning_changes_what_is_not_frozen(model, X):
    from copy import deepcopy

    tuned = deepcopy(model)
    names = [name for name, _ in model.module_.named_parameters()]
    part = names[0].rpartition(".")[0]
    tuned.fine_tune(X[:3], freeze={part: None}, lr_groups={names[-1]: 0.5}, max_epochs=1, lr=1e-3)
    before, after = model.module_.state_dict(), tuned.module_.state_dict()
    assert torch.equal(before[names[0]], after[names[0]]) and not torch.equal(
        before[names[-1]], after[names[-1]]
    )
    assert len(tuned.history_) == len(model.history_) + 1 and tuned.threshold_ == model.threshold_
    assert tuned.get_params() == model.get_params()
    new = table({"new": patient(30)})
    tuned.fine_tune(new, max_epochs=1)
    assert tuned.saw(new) == ["new"] and tuned.saw(X) == list(X.index)


def test_slices_and_slabs(test_networks, X):
    flat = mf.LesionSegmenter(
        "unet", **{**TINY, "options": {**TINY["options"], "spatial_dims": 2}, "size": (16, 16)}
    )
    for segmenter in (flat, mf.LesionSegmenter("slab", max_epochs=8)):
        segmenter.fit(X)
        masks = list(segmenter.predict(X[:3]))
        assert min(dice(masks, X[MASK][:3])) > 0.4
        assert segmenter.module_.spatial_dims == 2


def test_pet_beside_ct_on_another_grid():
    rows = table({f"P{k}": patient(k, pet=True) for k in range(3)})
    model = mf.LesionSegmenter("unet", modalities=("ct", "pet"), **TINY).fit(rows)
    assert model.module_.in_channels == 2
    scans = model.reader.prepare(rows.iloc[0])
    mask = model.reader.mask(rows.iloc[0], rows.iloc[0][MASK], scans).astype(bool)
    assert scans.image[1][mask].mean() > 3 * scans.image[1][~mask].mean()
    first = rows.iloc[0]
    one = model.segment(first["ct", "volume"], first["pet", "volume"])
    np.testing.assert_array_equal(one.array, next(model.predict(rows)).array)
    pet_only = mf.LesionSegmenter("unet", modalities=("pet",), **{**TINY, "max_epochs": 1})
    pet_only.fit(rows, rows[MASK])
    assert next(pet_only.predict(rows)).shape == first["pet", "volume"].shape


def test_cross_validation_by_the_lesion_target(X, tmp_path):
    cohort = mf.Cohort("balls", X, pd.DataFrame(index=X.index), "lesion")
    short = mf.LesionSegmenter("unet", **{**TINY, "max_epochs": 12, "threshold": 0.5})
    result = mf.nested_cv(
        short, cohort, outer=2, baselines=False, where="serial", progress=False, out=tmp_path
    )
    assert result.main == "unet" and result.scores["dice", "mean"].iloc[0] > 0.3
    assert len(result.bundles()) == 2 and result.inputs()["unet"] == ("ct",)
    losses = result.histories()
    assert len(losses) == 2 * 12 and losses["train_loss"].notna().all()


def test_a_patient_without_a_scan_stops_before_anything_is_trained(X, monkeypatch):
    rows = X.copy()
    rows["pet", "volume"] = pd.Series([None, *X.index[1:]], index=X.index, dtype=object)
    cohort = mf.Cohort("balls", rows, pd.DataFrame(index=X.index), "lesion")
    model = mf.LesionSegmenter("unet", modalities=("ct", "pet"), **TINY)
    monkeypatch.setattr(mf.LesionSegmenter, "fit", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(DataError, match=f"patient {X.index[0]}, column pet volume: no PET scan"):
        mf.nested_cv(model, cohort, outer=2, baselines=False, where="serial", progress=False)


def test_before_the_fit():
    model = mf.LesionSegmenter("unet")
    for call in (lambda: model.predict(None), lambda: model.segment("x"), lambda: model.save("x")):
        with pytest.raises(NotFittedError):
            call()
