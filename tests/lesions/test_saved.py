"""Saved segmenters whose files were changed, and networks that predict no numbers."""

from copy import deepcopy

import numpy as np
import pytest
import torch

import mmfusion as mf
from mmfusion.errors import BundleError, DataError
from mmfusion.lesions import persistence


def restored(model, *, tensors=None, settings=None, **state):
    saved = deepcopy(persistence.state_of(model)) | state
    saved["settings"] |= settings or {}
    return mf.LesionSegmenter.from_bundle(saved, persistence.tensors_of(model) | (tensors or {}))


def first(model):
    return next(iter(model.module_.state_dict().items()))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"settings": {"size": [0, 0, 0]}}, "size"),
        ({"settings": {"size": "abc"}}, "size"),
        ({"settings": {"size": [10**6] * 3}}, "a patch of 1000000 x 1000000 x 1000000 voxels is too large"),
        ({"settings": {"spacing": ["a"] * 3}}, "spacing"),
        ({"settings": {"spacing": [3, 3]}}, "spacing"),
        ({"settings": {"modalities": ["rna"]}}, "not a modality of scans"),
        ({"threshold": 2.0}, "threshold out of range"),
        ({"threshold": float("nan")}, "threshold out of range"),
        ({"patients": "abc"}, "not a list of hashes"),
    ],
)
def test_states_that_do_not_fit(model, changes, match):
    with pytest.raises(BundleError, match=match):
        restored(model, **changes)


def test_weights_that_are_not_numbers(model):
    name, tensor = first(model)
    with pytest.raises(BundleError, match=rf"weights that are not numbers .*got {name}"):
        restored(model, tensors={name: torch.full_like(tensor, float("nan"))})
    with pytest.raises(BundleError, match=r"weights of another network .*of whole numbers"):
        restored(model, tensors={name: tensor.to(torch.int32)})
    assert restored(model).threshold_ == model.threshold_


def test_a_network_that_predicts_no_numbers(model, X):
    """The mask would be empty without a word."""
    broken = deepcopy(model)
    next(broken.module_.parameters()).data.fill_(float("nan"))
    for predict in (broken.predict, broken.probabilities):
        with pytest.raises(DataError, match="patient P0: the network predicts values that are not numbers"):
            next(predict(X))


def test_patches_that_no_memory_holds(X):
    with pytest.raises(DataError, match="a patch of 100000 x 100000 x 100000 voxels is too large"):
        mf.LesionSegmenter("unet", size=100_000).fit(X)


def test_values_of_numpy_are_saved(X, tmp_path):
    short = {"options": {"channels": (4, 6)}, "max_epochs": 1, "threshold": 0.5}
    numbers = {"lr": np.float32(0.03), "spacing": np.array([3.0, 3, 3]), "size": np.int64(12)}
    model = mf.LesionSegmenter("unet", **short, **numbers, random_state=np.int64(3), batch_size=np.int32(4))
    model.fit(X[:2]).save(tmp_path / "model")
    assert mf.load(tmp_path / "model").fitted_.spacing == (3.0, 3.0, 3.0)
