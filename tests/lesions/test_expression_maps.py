"""Grad-CAM of predicted expression: it is where the network reads the expression, in slices and volumes."""

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.explain import energy_in_tumour
from mmfusion.lesions.expression_maps import expression_gradcam
from mmfusion.registry import SEGMENTERS
from tests.lesions.balls import MASK, balls
from tests.lesions.networks import Both

TINY = {"max_epochs": 10, "lr": 0.03, "batch_size": 16, "threshold": 0.5, "augment": False}


class Shown(Both):
    """`Both` with a layer for Grad-CAM."""

    @property
    def gradcam_layer(self):
        return self.trunk


@pytest.fixture(scope="module", autouse=True)
def networks():
    facts = {"modality": "ct", "dims": "3", "paper": "none", "summary": "For tests."}
    with pytest.MonkeyPatch.context() as patch:
        for name, one in (("both", Both), ("shown", Shown)):
            patch.setitem(SEGMENTERS._classes, name, one)
            patch.setitem(SEGMENTERS._facts, name, facts)
        yield


@pytest.fixture(scope="module")
def data():
    return balls(10)


@pytest.fixture(scope="module")
def model(data):
    return mf.ExpressionSegmenter("shown", **TINY).fit(*data)


def test_maps_lie_in_the_lesion_and_are_deterministic(model, data):
    X, _ = balls(4, first=50)
    maps, masks = expression_gradcam(model, X, "UP")
    assert maps.maps.shape == maps.crops.shape == masks.shape == (4, 12, 12, 12)
    assert maps.patients == tuple(X.index) and set(maps.classes) == {"UP"}
    assert (maps.maps >= 0).all() and maps.maps.max() == 1 and masks.any()
    assert energy_in_tumour(maps.maps, masks)["ratio"].max() > 1.5  # dense voxels raise UP
    again, _ = expression_gradcam(model, X.iloc[[2]], "UP")
    np.testing.assert_allclose(again.maps[0], maps.maps[2], atol=1e-5)
    assert not any(m._forward_hooks or m._backward_hooks for m in model.module_.modules())


def test_masks_are_not_read_for_the_maps(model, data):
    X, _ = balls(2, first=60)
    maps, _ = expression_gradcam(model, X, "UP")
    without, masks = expression_gradcam(model, X.drop(columns=[MASK]), "UP")
    np.testing.assert_array_equal(without.maps, maps.maps)
    assert not masks.any()


@pytest.mark.parametrize("tasks", [("mask", "expression"), ("expression",)])
def test_a_network_of_slices_is_explained_slice_by_slice(data, tasks):
    options = {"embed_dim": 12, "depths": (1, 1, 1), "heads": (3, 3, 6), "width": 8, "tasks": tasks}
    small = {"preset": "demo2d", "size": 32, "spacing": 3.0, "max_epochs": 1, "threshold": 0.5}
    model = mf.ExpressionSegmenter(**small, options=options).fit(*data)
    maps, masks = expression_gradcam(model, data[0].iloc[:2], "DOWN")
    assert maps.maps.shape == masks.shape == (2, 32, 32, 32)  # larger than the scans: padded
    assert np.isfinite(maps.maps).all() and np.isin(maps.maps.max(axis=(1, 2, 3)), [0, 1]).all()


def test_what_cannot_be_explained_is_an_error(model, data):
    X, expression = data
    with pytest.raises(DataError, match="has not learned this gene"):
        expression_gradcam(model, X, "EGFR")
    plain = mf.ExpressionSegmenter("both", **TINY | {"max_epochs": 1}).fit(X, expression)
    with pytest.raises(DataError, match="no layer for Grad-CAM"):
        expression_gradcam(plain, X, "UP")
    masks_only = mf.LesionSegmenter("both", **TINY | {"max_epochs": 1}).fit(X)
    with pytest.raises(DataError, match="expected none"):
        expression_gradcam(masks_only, X, "UP")
