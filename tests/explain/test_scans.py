import numpy as np
import pytest
import torch

from mmfusion.errors import DataError
from mmfusion.explain.scans import energy_in_tumour, randomisation_check, scan_gradcam
from tests.explain.models import CLASSES, S, fusion_model, linear_model, rows


@pytest.fixture(scope="module")
def model():
    return fusion_model("concat", members=2)


def test_maps_fit_the_crops(model):
    X = rows(3)
    found = scan_gradcam(model, X)
    assert found.maps.shape == found.crops.shape == (3, S, S, S)
    assert (found.maps >= 0).all()
    peaks = found.maps.max(axis=(1, 2, 3))
    assert np.isin(np.round(peaks, 5), [0, 1]).all() and peaks.any()
    with torch.no_grad():
        arrays = {k: torch.as_tensor(v) for k, v in X.arrays.items()}
        predicted = model.module_(torch.as_tensor(X.present), **arrays).argmax(1).numpy()
    assert found.classes == tuple(CLASSES[predicted])


def test_deterministic_and_independent_of_other_patients(model):
    X = rows(20)  # more than one batch
    found = scan_gradcam(model, X, class_="III")
    last = X.rows([19])
    np.testing.assert_allclose(scan_gradcam(model, last, class_="III").maps[0], found.maps[19], atol=1e-4)
    np.testing.assert_array_equal(scan_gradcam(model, X, class_="III").maps, found.maps)
    assert not any(m._forward_hooks or m._backward_hooks for m in model.module_.modules())


def test_the_map_is_where_the_network_looks(model):
    # an encoder whose layer passes the crop on, and a fusion that reads its sum: Grad-CAM is the crop itself
    class Look(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gradcam_layer = torch.nn.Identity()

        def forward(self, x):
            return self.gradcam_layer(x).mean(dim=(2, 3, 4))[:, :, None]

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoders = torch.nn.ModuleDict({"ct": Look()})

        def encode(self, present, ct, **others):
            return {"ct": self.encoders["ct"](ct)}

        def fuse(self, tokens, present):
            return tokens["ct"][:, 0] * torch.tensor([0.0, 0.0, 5.0])

    X = rows(1)
    X.arrays["ct"][:] = 0
    X.arrays["ct"][0, 0, 4:8, 4:8, 4:8] = 1
    looking = fusion_model("concat")
    looking.module_ = Net()
    found = scan_gradcam(looking, X, class_="III")
    np.testing.assert_allclose(found.maps, found.crops, atol=1e-6)
    energy = energy_in_tumour(found.maps, X.arrays["ct"][:, 0])
    assert energy["energy"][0] == pytest.approx(1) and energy["ratio"][0] == pytest.approx(16**3 / 4**3)


def test_patients_without_a_scan_are_left_out(model):
    X = rows(4)
    X.present[1, 0] = False
    assert scan_gradcam(model, X).patients == ("P0", "P2", "P3")
    X.present[:, 0] = False
    with pytest.raises(DataError, match="a scan"):
        scan_gradcam(model, X)


def test_bad_input(model):
    with pytest.raises(DataError, match="no class 'IV'"):
        scan_gradcam(model, rows(2), class_="IV")
    with pytest.raises(DataError, match="reads no scan"):
        scan_gradcam(linear_model(), rows(2, scan=False))
    with pytest.raises(DataError, match="differ in shape"):
        energy_in_tumour(np.ones((1, 4, 4, 4)), np.ones((1, 4, 4)))
    with pytest.raises(DataError, match="negative"):
        energy_in_tumour(-np.ones((1, 4, 4, 4)), np.ones((1, 4, 4, 4)))


def test_even_map_has_ratio_one():
    masks = np.zeros((2, 4, 4, 4))
    masks[0, :2] = 1
    out = energy_in_tumour(np.stack([np.ones((4, 4, 4)), np.zeros((4, 4, 4))]), masks)
    assert out.loc[0].tolist() == [0.5, 0.5, 1.0]
    assert np.isnan(out.loc[1, "energy"])


def test_randomisation_changes_maps_and_not_the_model(model):
    weights = {k: v.clone() for k, v in model.module_.state_dict().items()}
    out = randomisation_check(model, rows(3))
    assert (out.dropna().abs() < 0.95).all()
    assert all(torch.equal(v, weights[k]) for k, v in model.module_.state_dict().items())
