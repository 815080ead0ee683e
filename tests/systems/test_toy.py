"""A toy segmentation system uses all interfaces: frame, patches, training, checkpoint, bundle, Volume."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

import mmfusion as mf
from mmfusion.errors import BundleError
from mmfusion.imaging import Volume, write_nifti
from mmfusion.nn.training import TrainingPlan
from tests.systems.toy import SCAN, ToySegmenter

SPACING, SHAPE = (3.0, 1.5, 1.5), (18, 36, 30)
PLAN = TrainingPlan(lr=0.01, max_epochs=12, batch_size=16)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMFUSION_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Five lungs of noise, each with a soft-tissue lesion; its radii and brightness as a vector."""
    folder, rng = tmp_path_factory.mktemp("scans"), np.random.default_rng(0)
    affine = np.diag(
        [-SPACING[2], -SPACING[1], SPACING[0], 1.0]
    )  # x and y turned, as scanners may write them
    affine[:3, 3] = (30.0, 20.0, -80.0)
    rows, values = {}, {}
    for k in range(5):
        radius, hu = rng.uniform(7, 12), rng.uniform(-150, 60)
        centre = np.array([rng.uniform(16, (n - 1) * s - 16) for n, s in zip(SHAPE, SPACING)])
        grid = np.stack(np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING)], indexing="ij"), -1)
        lesion = np.linalg.norm(grid - centre, axis=-1) < radius
        array = np.where(lesion, hu, -820) + rng.normal(0, 40, SHAPE)
        scan, mask = folder / f"{k}.nii.gz", folder / f"{k}_mask.nii.gz"
        write_nifti(Volume(array.astype(np.int16), affine), scan)
        write_nifti(Volume(lesion.astype(np.uint8), affine, unit="mask"), mask)
        rows[f"P{k}"] = {SCAN: str(scan), ("ct", "mask"): str(mask)}
        values[f"P{k}"] = {"radius": radius / 10, "hu": hu / 100}
    X = pd.DataFrame.from_dict(rows, orient="index")
    X.columns = pd.MultiIndex.from_tuples(X.columns)
    return X[[SCAN]], X[("ct", "mask")].rename("lesion"), pd.DataFrame.from_dict(values, orient="index")


@pytest.fixture(scope="module", params=[2, 3])
def fitted(request, scans):
    X, y, _ = scans
    return ToySegmenter(request.param, training=PLAN, random_state=1).fit(X, y)


def dice(masks, y):
    out = []
    for mask, path in zip(masks, y, strict=True):
        truth = mf.imaging.read_mask(path).array
        out.append(2 * (mask.array & truth).sum() / (mask.array.sum() + truth.sum()))
    return out


def test_it_learns_and_predicts_on_the_scanners_grid(fitted, scans):
    X, y, _ = scans
    masks = fitted.predict(X)
    assert min(dice(masks, y)) > 0.8
    for mask, path in zip(masks, X[SCAN], strict=True):
        scan = mf.imaging.read(path)
        assert mask.unit == "mask" and mask.shape == scan.shape
        np.testing.assert_array_equal(mask.affine, scan.affine)
    assert clone(fitted).get_params() == fitted.get_params()
    assert fitted.get_params()["training__lr"] == 0.01


def test_a_killed_fit_goes_on_to_the_same_bits(fitted, scans, tmp_path):
    X, y, _ = scans

    class Cut(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 7:
                raise InterruptedError

    model = clone(fitted).set_params(checkpoint=str(tmp_path))
    with pytest.raises(InterruptedError):
        model.fit(X, y, callbacks=[Cut()])
    model.fit(X, y)
    assert model.history_ == fitted.history_
    for name, value in fitted.module_.state_dict().items():
        assert torch.equal(value, model.module_.state_dict()[name]), name


def test_saved_and_loaded_it_predicts_the_same(fitted, scans, tmp_path):
    X, *_ = scans
    fitted.save(tmp_path / "toy").save(tmp_path / "toy")
    loaded = mf.load(tmp_path / "toy")
    assert loaded.training == PLAN and loaded.get_params() == fitted.get_params()
    for a, b in zip(fitted.predict(X), loaded.predict(X), strict=True):
        np.testing.assert_array_equal(a.array, b.array)


def test_a_class_that_nobody_registered_is_refused(fitted, tmp_path):
    fitted.save(tmp_path / "toy")
    code = "import sys, mmfusion as mf; mf.load(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "toy"], capture_output=True, text=True, check=False
    )
    assert "BundleError" in done.stderr and "unknown kind of model" in done.stderr
    from mmfusion.bundle import register_estimator

    register_estimator("ToySegmenter", "tests.systems.toy")
    with pytest.raises(BundleError, match="two kinds of model"):
        register_estimator("ToySegmenter", "elsewhere")


@pytest.mark.parametrize("dims", [2, 3])
def test_a_mask_and_a_vector_together_where_some_lack_either(scans, dims):
    X, y, panel = scans
    y, panel = y.copy(), panel.copy()
    y.iloc[1] = None
    panel.iloc[2], panel.iloc[3, 0] = np.nan, np.nan
    plan = PLAN.replace(max_epochs=16)
    model = ToySegmenter(dims, training=plan).fit(X, y, panel=panel)
    assert min(dice(model.predict(X), scans[1])) > 0.8
    assert all(np.isfinite(row["train_loss"]) for row in model.history_)
    # every known value counts
    other = panel.copy()
    other.iloc[0] += 1.0
    weights = []
    for values in (panel, other):
        short = ToySegmenter(dims, training=PLAN.replace(max_epochs=1)).fit(X, y, panel=values)
        weights.append(short.module_.state_dict()["values.weight"])
    assert not torch.equal(*weights)
    inputs, labels = model.patches(X, y, panel, seed=0).__getitems__(list(range(40)))
    assert labels["panel"].isnan().any() and (labels["mask"] == 255).any()
    with torch.no_grad():
        error = (model.module_(**inputs)["panel"] - labels["panel"]).square()
    assert error[~error.isnan()].isfinite().all() and error.nanmean() < labels["panel"].square().nanmean()


@pytest.mark.parametrize("dims", [2, 3])
def test_cross_validation_by_the_lesion_target(scans, dims, tmp_path):
    """The same estimator goes through the task of masks: folds, scores per patient, saved models."""
    X, y, _ = scans
    table = pd.concat([X, y.to_frame(("ct", "mask"))], axis=1).rename_axis("patient_id")
    cohort = mf.Cohort("toy", table, pd.DataFrame(index=table.index), "lesion")
    assert cohort.target_spec.kind == "mask" and list(cohort.y) == list(y)
    plan = PLAN.replace(max_epochs=6)
    result = mf.nested_cv(
        ToySegmenter(dims, training=plan), cohort, outer=2, baselines=False, where="serial", progress=False,
        out=tmp_path,
    )  # fmt: skip
    assert result.to_metrics()["primary"]["metric"] == "dice" and result.scores["dice", "mean"].iloc[0] > 0.5
    (place, folder), *others = result.bundles().items()
    assert place == (0, 0) and len(others) == 1
    held_out = result.predictions.query("fold == 0")["patient_id"]
    again = dice(mf.load(folder).predict(X.loc[list(held_out)]), y.loc[list(held_out)])
    np.testing.assert_allclose(again, result.predictions.query("fold == 0")["dice"], atol=1e-6)
