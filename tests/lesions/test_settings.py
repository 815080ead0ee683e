"""Parameters of a LesionSegmenter."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

import mmfusion as mf
from mmfusion.errors import DataError, MMFusionError
from mmfusion.lesions.settings import FLAT
from mmfusion.nn.segmenters import get_preset
from mmfusion.nn.training import TrainingPlan, check_device, reproducible
from mmfusion.preprocessing.augmentation import CropAugmentation


def test_the_preset_gives_what_is_not_set():
    preset, settings = get_preset("unet", "full"), mf.LesionSegmenter("unet", "full").settings
    assert (
        settings.plan == preset.plan and settings.size == preset.size and settings.spacing == preset.spacing
    )
    assert settings.modalities == ("ct",) and settings.options == preset.options
    changed = mf.LesionSegmenter("unet", size=24, spacing=3, options={"spatial_dims": 2}).settings
    assert changed.size == (24, 24) and changed.spacing == (3.0, 3.0, 3.0)


def test_flat_values_override_the_nested_plan():
    model = mf.LesionSegmenter("unet", lr=0.1, max_epochs=3, batch_size=4, training={"weight_decay": 0.5})
    plan = model.settings.plan
    assert (plan.lr, plan.max_epochs, plan.batch_size, plan.weight_decay) == (0.1, 3, 4, 0.5)
    assert mf.LesionSegmenter("unet", lr=0.1, training={"lr": 0.1}).settings.plan.lr == 0.1


def test_a_short_training_has_a_short_warm_up():
    usual = mf.LesionSegmenter("cspat").settings.plan
    assert usual.warmup_epochs == 1
    for short in ({"max_epochs": 1}, {"training": {"max_epochs": 1}}):
        assert mf.LesionSegmenter("cspat", **short).settings.plan == usual.replace(
            max_epochs=1, warmup_epochs=0
        )
    with pytest.raises(DataError, match="warm-up takes all epochs"):
        mf.LesionSegmenter("cspat", max_epochs=1, training={"warmup_epochs": 1}).settings  # noqa: B018


@pytest.mark.parametrize("training", [{"lr": 0.2}, TrainingPlan(lr=0.2)])
def test_two_values_for_one_setting_are_refused(training):
    with pytest.raises(DataError, match=r"lr.*two places"):
        mf.LesionSegmenter("unet", lr=0.1, training=training).settings  # noqa: B018


@pytest.mark.parametrize("training", [None, {"schedule": "poly"}, TrainingPlan(schedule="poly")])
def test_nested_values_are_reached_as_in_skorch(training):
    model = mf.LesionSegmenter("unet", lr=0.1, training=training)
    copy = clone(model).set_params(training__lr=0.2, training__weight_decay=0.3, preset="full")
    assert copy.settings.plan.lr == 0.2 and copy.settings.plan.weight_decay == 0.3 and copy.preset == "full"
    assert copy.settings.plan.schedule == ("poly" if training else "cosine")
    assert model.settings.plan.lr == 0.1 and model.training == training
    assert mf.LesionSegmenter().set_params(**model.get_params()).settings.plan == model.settings.plan
    assert set(FLAT) <= set(model.get_params()) and "training__lr" in model.get_params()
    with pytest.raises(DataError, match="speed"):
        model.set_params(training__speed=1)
    with pytest.raises(ValueError, match="speed"):
        model.set_params(speed=1)


def test_what_a_search_starts_from():
    params = mf.LesionSegmenter("unet", training={"lr": 0.5}, modalities=["pet"]).resolved_params()
    assert params["lr"] == params["training__lr"] == 0.5 and params["spacing"] == (2.0, 2.0, 2.0)
    assert mf.LesionSegmenter(modalities=["pet"]).inputs == ("pet",)


def test_augmentation():
    assert mf.LesionSegmenter().settings.augmentation == CropAugmentation()
    assert mf.LesionSegmenter(augment={"flip": "z"}).settings.augmentation == CropAugmentation(flip="z")
    assert mf.LesionSegmenter(augment=False).settings.augmentation is None
    with pytest.raises(DataError, match="augment"):
        mf.LesionSegmenter(augment={"colour": 1}).settings  # noqa: B018


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"network": "nonsense"}, "no segmentation network called"),
        ({"preset": "huge"}, "no preset"),
        ({"modalities": ()}, "modalities"),
        ({"modalities": ("ct", "ct")}, "modalities"),
        ({"modalities": ("rna",)}, "not a modality of scans"),
        ({"size": (8,)}, "size"),
        ({"size": 0}, "size"),
        ({"spacing": -1.0}, "spacing"),
        ({"spacing": (1.0, 1.0)}, "spacing"),
        ({"box_mode": "guess"}, "box_mode"),
        ({"box_mode": "oracle"}, "does not read boxes"),
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": "best"}, "threshold"),
        ({"random_state": -1}, "random_state"),
        ({"training": 3}, "training"),
        ({"training": {"lr": -1}}, "lr"),
        ({"network": ["unet"]}, "no segmentation network called"),
        ({"preset": ["demo"]}, "no preset"),
        ({"modalities": 5}, "modalities: unusable"),
        ({"modalities": [["ct"]]}, "modalities: unusable"),
        ({"spacing": object()}, "spacing: unusable"),
        ({"spacing": True}, "spacing: unusable"),
        ({"box_mode": np.array(["none", "oracle"])}, "box_mode: unusable"),
        ({"threshold": np.array([0.4, 0.5])}, "threshold: unusable"),
        ({"start": 5}, "start: unusable"),
        ({"augment": {"flip": 5}}, "augment: flip: out of range"),
        ({"augment": {"flip": "q"}}, "augment: flip: out of range"),
        ({"augment": {"erase": "often"}}, "augment: erase: out of range"),
        ({"augment": {"scale": float("nan")}}, "augment: scale: out of range"),
    ],
)
def test_what_cannot_be_set(params, match):
    with pytest.raises(MMFusionError, match=match):
        mf.LesionSegmenter(**params).settings  # noqa: B018


def test_what_the_network_does_not_take():
    with pytest.raises(DataError, match="does not take these options"):
        mf.LesionSegmenter(options={"colour": 1}).settings.build()
    with pytest.raises(DataError, match=r"size: .*expected 3 sides"):
        mf.LesionSegmenter(size=(8, 8)).settings.build()
    with pytest.raises(DataError, match="cannot have these options: the length of `channels`"):
        mf.LesionSegmenter(options={"channels": (4,)}).settings.build()


def test_a_device_that_is_none():
    with pytest.raises(DataError, match="device cannot be used"):
        check_device(None)


def test_seeds_of_numpy():
    with reproducible(np.int64(3)):
        one = torch.rand(2)
    with reproducible(3):
        assert torch.equal(one, torch.rand(2))
