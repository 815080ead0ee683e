import numpy as np
import pytest
import torch

from mmfusion.errors import DataError
from mmfusion.explain import scan_occlusion
from tests.explain.models import S, fusion_model, linear_model, looking, rows


def with_a_cube(n=1, at=(2, 8, 10), edge=4):
    """Crops of 0.2 with a bright cube, off centre."""
    X = rows(n)
    X.arrays["ct"][:] = 0.2
    X.arrays["ct"][(slice(None), 0, *[slice(a, a + edge) for a in at])] = 1
    return X


def test_hiding_the_bright_cube_lowers_the_severity_there_and_nowhere_else():
    X = with_a_cube()
    found = scan_occlusion(looking(50.0), X, window=4, step=2)
    inside = X.arrays["ct"][:, 0] == 1
    assert found.classes == ("severity",) and found.maps.shape == (1, S, S, S)
    assert inside[0].flat[found.maps[0].argmax()] and found.maps.max() == 1
    assert not found.maps[0, 8:].any() and not found.maps[0, :, :5].any()  # no cube touches both
    np.testing.assert_array_equal(found.crops, X.arrays["ct"][:, 0])


def test_the_change_is_that_of_the_prediction():
    """With one window of the size of the cube, the map is the cube, and the change is known."""
    X = with_a_cube(at=(4, 8, 12))
    model = looking(50.0)
    found = scan_occlusion(model, X, class_="III", window=4, step=4)
    np.testing.assert_allclose(found.maps, X.arrays["ct"][:, 0] == 1, atol=1e-6)


def test_what_speaks_against_a_class_is_not_in_its_map():
    X = with_a_cube()
    assert not scan_occlusion(looking(50.0), X, class_="I", window=4, step=4).maps.any()
    against = scan_occlusion(looking(-50.0), X, class_="I", window=4, step=4)
    assert against.maps.any()


def test_deterministic_and_independent_of_other_patients():
    model, X = fusion_model("concat", members=2), rows(18)  # more than one batch
    found = scan_occlusion(model, X, window=8, step=8)
    alone = scan_occlusion(model, X.rows([17]), window=8, step=8)
    np.testing.assert_allclose(alone.maps[0], found.maps[17], atol=1e-3)
    assert np.isfinite(found.maps).all() and (found.maps >= 0).all()


def test_no_gradient_and_no_layer_is_needed():
    model, X = looking(50.0), with_a_cube()
    del model.module_.encoders["ct"].gradcam_layer
    model.module_.encoders["ct"].forward = lambda x: (x.mean(dim=(2, 3, 4)) > 0.2).float()[:, :, None]
    assert scan_occlusion(model, X, window=8, step=4).maps.shape == (1, S, S, S)


def test_inputs_and_random_state_are_as_before():
    X, state = with_a_cube(2), torch.get_rng_state()
    before = X.arrays["ct"].copy()
    scan_occlusion(looking(), X, window=8, step=8)
    np.testing.assert_array_equal(X.arrays["ct"], before)
    assert torch.equal(torch.get_rng_state(), state)


def test_patients_without_a_scan_are_left_out():
    X = rows(3)
    X.present[1, 0] = False
    assert scan_occlusion(looking(), X, window=8, step=8).patients == ("P0", "P2")
    X.present[:, 0] = False
    with pytest.raises(DataError, match="no patient to explain has a scan"):
        scan_occlusion(looking(), X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_": "IV"}, "class_.*no class 'IV'.*I, II, III, severity, predicted"),
        ({"window": 0}, "window.*1 to 16"),
        ({"window": S + 1}, "window.*1 to 16"),
        ({"window": 2.5}, "window"),
        ({"window": 4, "step": 5}, "step.*1 to 4"),
        ({"stream": "pet"}, "no scan called 'pet'"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(DataError, match=message):
        scan_occlusion(looking(), rows(1), **options)


def test_a_model_without_scans():
    with pytest.raises(DataError, match="reads no scan"):
        scan_occlusion(linear_model(), rows(2, scan=False))
