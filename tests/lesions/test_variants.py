"""Variants of a segmenter: other networks, single scans, box modes, any settings."""

import pytest
from sklearn.base import clone

import mmfusion as mf
from mmfusion.errors import DataError, MMFusionError

BOTH = ("ct", "pet")


def changed(model, **options):
    """The settings of each variant."""
    found = model.variants(BOTH, **options)
    return {
        name: clone(model).set_params(**changes).settings.check() or clone(model).set_params(**changes)
        for name, (changes, _) in found.items()
    }


def test_other_networks_read_the_same_scans_with_settings_that_fit():
    model = mf.LesionSegmenter(
        "raseg", modalities=BOTH, options={"hidden": 32}, size=48, lr=0.01, box_mode="detector", max_epochs=3
    )
    found = changed(model, networks=["unet", "raseg", "cipa", "slicenet"])
    assert list(found) == ["unet", "cipa", "slicenet"]
    for name, other in found.items():
        assert (other.network, other.options, other.box_mode) == (name, None, "none")
        assert other.settings.modalities == BOTH and other.settings.plan.max_epochs == 3
    assert found["unet"].settings.size == (48, 48, 48)
    assert len(found["cipa"].settings.size) == 2  # a cube has three sides, a slice two
    with pytest.raises(MMFusionError, match="nothing"):
        model.variants(BOTH, networks=["nothing"])


def test_frozen_parts_belong_to_the_models_own_network():
    plan = {"freeze": {"encoder": 2}, "lr_groups": {"encoder": 0.1}, "weight_decay": 0.5}
    model = mf.LesionSegmenter("cipa", modalities=BOTH, lr=0.01, training=plan)
    other = changed(model, networks=["unet"])["unet"].settings.plan
    assert not other.freeze and not other.lr_groups and (other.weight_decay, other.lr) == (0.5, 0.01)
    assert changed(model, singles=True)["ct only"].settings.plan.freeze == {"encoder": 2}


def test_a_model_on_each_of_its_scans():
    found = mf.LesionSegmenter("unet", modalities=BOTH).variants(BOTH, singles=True)
    assert {name: inputs for name, (_, inputs) in found.items()} == {
        "ct only": ("ct",),
        "pet only": ("pet",),
    }
    assert not mf.LesionSegmenter("unet").variants(BOTH, singles=True)  # it reads one already


def test_box_modes_are_in_the_names():
    model = mf.LesionSegmenter("raseg", box_mode="detector")
    found = model.variants(("ct",), box_modes=["oracle", "detector"])
    assert found == {"raseg (oracle boxes)": ({"box_mode": "oracle"}, ("ct",))}
    assert clone(model).set_params(box_mode="oracle").reads_masks


def test_any_settings():
    model = mf.LesionSegmenter("unet", modalities=BOTH)
    found = model.variants(BOTH, settings={"one": {"modalities": ("pet",)}, "two": {"augment": False}})
    assert found["one"][1] == ("pet",) and found["two"] == ({"augment": False}, BOTH)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"networks": "unet"}, r"parameter networks: not a list .*networks=\['unet'\]"),
        ({"box_modes": "oracle"}, "parameter box_modes: not a list"),
        ({"settings": ["augment"]}, "parameter settings: not a mapping"),
        ({"settings": {"unet": {"augment": False}}}, "two models of one name .*got unet"),
        ({"networks": ["cipa"], "settings": {"cipa": {}}}, "two models of one name"),
        ({"settings": {"mine": {"speed": 1}}}, "'mine' changes what is no parameter .*got speed"),
        ({"settings": {"mine": "augment"}}, "'mine' changes what is no parameter"),
    ],
)
def test_variants_that_cannot_be_judged(options, match):
    """One of two models of one name would be lost without a word."""
    with pytest.raises(DataError, match=match):
        mf.LesionSegmenter("unet", modalities=BOTH).variants(BOTH, **options)
