import numpy as np
import pytest
import torch

from mmfusion.errors import DataError
from mmfusion.explain.scan_target import WithSeverity, scan_target
from mmfusion.explain.scans import _signed, energy_in_tumour, randomisation_check, scan_gradcam, shuffled
from tests.explain.models import CLASSES, Ensemble, S, fusion_model, linear_model, looking, rows


@pytest.fixture(scope="module")
def model():
    return fusion_model("concat", members=2)


def test_maps_fit_the_crops(model):
    X = rows(3)
    assert scan_gradcam(model, X).classes == ("severity",) * 3
    found = scan_gradcam(model, X, class_="predicted")
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
    # an encoder whose layer passes the crop on, and a fusion that reads its mean: the map is the crop itself
    X = rows(1)
    X.arrays["ct"][:] = 0
    X.arrays["ct"][0, 0, 4:8, 4:8, 4:8] = 1
    found = scan_gradcam(looking(5.0), X, class_="III")
    np.testing.assert_allclose(found.maps, found.crops, atol=1e-6)
    energy = energy_in_tumour(found.maps, X.arrays["ct"][:, 0])
    assert energy["energy"][0] == pytest.approx(1) and energy["ratio"][0] == pytest.approx(16**3 / 4**3)


def test_severity_is_the_expected_number_of_the_class():
    p = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(
        WithSeverity(torch.nn.Identity())(p), torch.cat([p, torch.tensor([[1.3], [0]])], 1)
    )


def test_a_map_of_severity_weights_the_maps_of_the_classes(model):
    X = rows(2)
    by_class = [_signed(model, scan_target(model, X, c, None)) for c in CLASSES]
    severity = _signed(model, scan_target(model, X, None, None))
    torch.testing.assert_close(severity, by_class[1] + 2 * by_class[2], rtol=1e-3, atol=1e-7)


def test_networks_that_disagree_about_a_place_cancel_there():
    # the map of the mean probability is the mean of the maps with their signs, not of their positive parts
    up, down = looking(3.0), looking(-3.0)
    both = looking(3.0)
    both.module_ = Ensemble([up.module_, down.module_])
    X = rows(2)
    signed = _signed(both, scan_target(both, X, "III", None))
    parts = [_signed(m, scan_target(m, X, "III", None)) for m in (up, down)]
    torch.testing.assert_close(signed, (parts[0] + parts[1]) / 2)


def test_an_encoder_without_a_layer_for_maps(model):
    blind = looking(1.0)
    encoder = blind.module_.encoders["ct"]
    encoder.forward, encoder.gradcam_layer = lambda x: x.mean(dim=(2, 3, 4))[:, :, None], None
    with pytest.raises(DataError, match=r"Look has no layer for maps.*scan_occlusion"):
        scan_gradcam(blind, rows(1))


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
    twin = shuffled(model)
    for a, b in zip(model.module_.parameters(), twin.module_.parameters(), strict=True):
        assert torch.equal(a.flatten().sort()[0], b.flatten().sort()[0])
    assert all(torch.equal(v, weights[k]) for k, v in model.module_.state_dict().items())


def test_a_seed_that_is_no_number(model):
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        randomisation_check(model, rows(2), random_state="a")
