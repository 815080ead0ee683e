"""Lesions: volume, place, and what is visible of each type."""

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.synthetic.chest import appearance, placement
from mmfusion.synthetic.chest.appearance import TYPES
from mmfusion.synthetic.chest.geometry import Grid, coverage
from mmfusion.synthetic.chest.patient import Patient
from mmfusion.synthetic.chest.shape import LesionShape

SPHERE = {"diameter_mm": 20.0, "spiculation": 0.0, "lobulation": 0.0}


def _patient(kind, diameter, seed, contrast="none"):
    rng = np.random.default_rng(seed)
    rows = appearance.draw(rng.random((1, appearance.N_DRAWS)), [kind], (diameter, diameter))
    return Patient(rows.to_dict("records"), rng, contrast)


def _seen(kind, diameter, seed, spacing=1.0, contrast="none"):
    """HU, share inside the lesion, and the patient, in a cube of twice the lesion."""
    patient = _patient(kind, diameter, seed, contrast)
    count = round(2 * diameter / spacing)
    grid = Grid.around(patient.lesions[0].centre, (count,) * 3, (spacing,) * 3)
    return *patient.draw(grid), patient, grid


@pytest.mark.parametrize("diameter", [5.0, 20.0, 60.0])
def test_a_smooth_lesion_is_a_sphere(diameter):
    shape = LesionShape({**SPHERE, "diameter_mm": diameter}, np.random.default_rng(0), irregular=False)
    spacing = diameter / 25
    grid = Grid.around((0, 0, 0), (40,) * 3, (spacing,) * 3)
    share = coverage(shape.distance(grid, np.zeros(3)), spacing)
    assert share.sum() * spacing**3 == pytest.approx(np.pi / 6 * diameter**3, rel=0.02)
    z, y, x = grid.coordinates
    exact = np.sqrt(z**2 + y**2 + x**2) - diameter / 2
    assert np.abs(shape.distance(grid, np.zeros(3)) - exact).max() < 0.03 * diameter


@pytest.mark.parametrize("lobulation", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_an_irregular_lesion_has_the_volume_of_its_sphere(lobulation, seed):
    lesion = {"diameter_mm": 30.0, "spiculation": 0.5, "lobulation": lobulation}
    shape = LesionShape(lesion, np.random.default_rng(seed))
    grid = Grid.around((0, 0, 0), (66,) * 3, (1,) * 3)
    share = coverage(shape.distance(grid, np.zeros(3)), 1.0)
    assert share.sum() == pytest.approx(np.pi / 6 * 30**3, rel=0.05)
    sphere = np.sqrt(sum(a**2 for a in grid.coordinates)) < 15
    overlap = 2 * (share[sphere].sum()) / (share.sum() + sphere.sum())
    assert overlap < (0.97 if lobulation else 0.99)


def test_the_shape_does_not_depend_on_the_grid():
    shape = LesionShape(SPHERE, np.random.default_rng(0))
    fine = shape.distance(Grid.around((0, 0, 0), (31,) * 3, (1,) * 3), np.zeros(3))
    coarse = shape.distance(Grid.around((0, 0, 0), (16,) * 3, (2,) * 3), np.zeros(3))
    assert np.abs(fine[::2, ::2, ::2] - coarse).max() < 1e-3


def test_spicules_grow_with_spiculation():
    smooth = LesionShape({**SPHERE, "spiculation": 0.1}, np.random.default_rng(0)).spicules(np.zeros(3))
    rough = LesionShape({**SPHERE, "spiculation": 0.9}, np.random.default_rng(0)).spicules(np.zeros(3))
    assert len(smooth.radius) == 0
    assert len(rough.radius) > 30
    assert (np.linalg.norm(rough.end, axis=1) > 10).all()  # outside the body of the lesion


@pytest.mark.parametrize("kind", ["solid", "lobulated", "spiculated"])
def test_solid_lesions_are_soft_tissue(kind):
    hu, share, *_ = _seen(kind, 16.0, 1)
    assert np.median(hu[share > 0.99]) == pytest.approx(35, abs=30)
    assert np.median(hu[share == 0]) < -600


def test_ground_glass_is_between_lung_and_tissue():
    hu, share, patient, _ = _seen("ground-glass", 16.0, 2)
    inside = np.median(hu[share > 0.99])
    assert patient.lungs.hu + 120 < inside < -350


def test_part_solid_has_both():
    patient = _patient("part-solid", 20.0, 3)
    grid = Grid.around(patient.lesions[0].centre, (40,) * 3, (1,) * 3)
    hu, share = patient.draw(grid)
    solid = (hu[share > 0.99] > -150).mean()
    assert solid == pytest.approx(patient.lesions[0].facts["solidity"], abs=0.2)
    assert (hu[share > 0.99] < -350).any()


def test_a_cavity_is_air_inside_the_mask():
    hu, share, patient, _ = _seen("cavitated", 30.0, 4)
    air = (hu[share > 0.99] < -800).mean()
    assert air == pytest.approx(patient.lesions[0].facts["cavity"], abs=0.15)
    shell = (share > 0.5) & (share < 0.9)
    assert np.median(hu[shell]) > -500  # the wall


@pytest.mark.parametrize("seed", range(4))
def test_calcium_is_bright(seed):
    hu, share, *_ = _seen("calcified", 14.0, seed)
    assert np.percentile(hu[share > 0.9], 95) > 200


def test_contrast_makes_vessels_and_tumours_brighter():
    plain, share, *_ = _seen("solid", 20.0, 6)
    late, *_ = _seen("solid", 20.0, 6, contrast="venous")
    assert np.median(late[share > 0.99]) > np.median(plain[share > 0.99])
    vessels = [_patient("solid", 20.0, 6, c).contrast.arteries for c in ("none", "venous", "arterial")]
    assert vessels == sorted(vessels)


def test_the_place_fits_the_type():
    surfaces = {"juxtapleural": "cavity", "mediastinal-contact": "mediastinum"}
    for seed in range(6):
        for kind, surface in surfaces.items():
            patient = _patient(kind, 15.0, seed)
            centre = patient.lesions[0].centre
            assert abs(patient.chest.at_middle(surface, centre)) < 7.5
        patient = _patient("solid", 15.0, seed)
        assert patient.chest.at_middle("lung", patient.lesions[0].centre) < -7.5
        patient = _patient("juxtavascular", 12.0, seed)
        side = -1 if patient.lesions[0].centre[2] < 0 else 1
        ends = np.concatenate([tree.end for tree in patient.lungs.trees(side)])
        assert np.linalg.norm(ends - patient.lesions[0].centre, axis=1).min() < 12


def test_a_lesion_ends_at_diaphragm_heart_and_vessels():
    for seed in range(3):
        patient = _patient("mediastinal-contact", 60.0, seed)
        grid = Grid.around(patient.lesions[0].centre, (40,) * 3, (2.5,) * 3)
        inside = patient.share(grid) > 0.5
        for surface in ("organs", "diaphragm"):
            deep = np.broadcast_to(getattr(patient.chest, surface)(grid.coordinates), grid.shape) < -2.5
            assert not (inside & deep).any()


def test_several_lesions_do_not_touch():
    rng = np.random.default_rng(0)
    rows = appearance.draw(rng.random((5, appearance.N_DRAWS)), list(TYPES), (5.0, 15.0))
    patient = Patient(rows.to_dict("records"), rng)
    centres = np.array([lesion.centre for lesion in patient.lesions])
    for i in range(5):
        for j in range(i):
            gap = np.linalg.norm(centres[i] - centres[j])
            assert gap > patient.lesions[i].radius + patient.lesions[j].radius + placement.GAP_MM


def test_too_many_lesions_are_refused():
    rng = np.random.default_rng(0)
    rows = appearance.draw(rng.random((8, appearance.N_DRAWS)), ["solid"], (100.0, 100.0))
    with pytest.raises(DataError, match="does not fit into the lungs"):
        Patient(rows.to_dict("records"), rng)


def test_diameters_are_log_uniform_within_the_range_of_the_type():
    drawn = appearance.draw(np.random.default_rng(0).random((20_000, appearance.N_DRAWS)))
    assert drawn["type"].value_counts(normalize=True).to_numpy() == pytest.approx(0.1, abs=0.01)
    for name, kind in TYPES.items():
        own = drawn.loc[drawn["type"] == name, "diameter_mm"]
        low, high = kind.diameter_mm
        assert own.between(low, high).all()
        assert np.log(own).mean() == pytest.approx(np.log(low * high) / 2, abs=0.08)


def test_a_wanted_range_wins():
    drawn = appearance.draw(np.random.default_rng(0).random((50, 6)), ["ground-glass"], (60, 90))
    assert drawn["diameter_mm"].between(60, 90).all()
