"""PET: uptake fades at the ends, moves with the breath, and a threshold is not enough."""

import numpy as np
import pytest

from mmfusion.synthetic.chest import appearance, scans, uptake
from mmfusion.synthetic.chest.geometry import Grid
from mmfusion.synthetic.chest.patient import Patient


@pytest.fixture(scope="module")
def patient():
    row = appearance.draw(np.full((1, 6), 0.5), ["solid"], (30.0, 30.0)).to_dict("records")
    return Patient(row, np.random.default_rng(3))


@pytest.fixture(scope="module")
def grid(patient):
    return Grid.around(patient.lesions[0].centre, (28, 28, 28), (3, 3, 3))


def _with(breath, **changed):
    return uptake.Uptake(**{**vars(breath), **changed})


@pytest.fixture(scope="module")
def quiet(patient):
    """Uptake without noise and movement."""
    drawn = uptake.Uptake.draw(patient, np.random.default_rng(0))
    return _with(drawn, noise=0.0, suv=(8.0,), breathing=uptake.Breathing.of(0.0))


def test_uptake_fades_towards_the_ends(patient, grid, quiet):
    flat = uptake.render(patient, _with(quiet, fade=0.0), grid)
    faded = uptake.render(patient, _with(quiet, fade=0.6), grid)
    inside = patient.share(grid) > 0.99
    height = np.abs(grid.z - patient.lesions[0].centre[0]) / patient.lesions[0].radius
    middle, ends = height < 0.3, (height > 0.7) & (height < 1)
    kept = [faded[part][inside[part]].mean() / flat[part][inside[part]].mean() for part in (middle, ends)]
    assert kept[0] > 0.9
    assert kept[1] < 0.82


def test_movement_blurs_and_shifts_the_uptake(patient, grid, quiet):
    still = uptake.render(patient, quiet, grid)
    moved = uptake.render(patient, _with(quiet, breathing=uptake.Breathing.of(15.0)), grid)
    hot = [np.average(grid.z, weights=np.where(p > 3, p, 0).sum(axis=(1, 2))) for p in (still, moved)]
    assert hot[1] < hot[0] - 2  # towards the feet
    assert moved.max() < still.max()


def test_the_igtv_contains_every_phase(patient, grid):
    breathing = uptake.Breathing.of(12.0)
    union = patient.share(grid, breathing.offsets)
    phases = [patient.share(grid, [offset]) for offset in breathing.offsets]
    assert np.array_equal(union, np.max(phases, axis=0))
    assert (union > 0.5).sum() > 1.2 * (phases[0] > 0.5).sum()
    assert uptake.SHARES.sum() == 1


def test_the_lower_lung_moves_more():
    amplitudes = {"low": [], "high": []}
    for seed in range(30):
        row = appearance.draw(np.full((1, 6), 0.5), ["solid"], (8.0, 8.0)).to_dict("records")
        patient = Patient(row, np.random.default_rng(seed))
        drawn = uptake.Uptake.draw(patient, np.random.default_rng(0))
        where = "low" if patient.lesions[0].centre[0] < -20 else "high"
        amplitudes[where].append(-drawn.breathing.offsets[-1, 0])
    assert np.mean(amplitudes["low"]) > np.mean(amplitudes["high"]) + 1


def test_ground_glass_is_cool_and_the_heart_may_be_hot():
    levels = {}
    for kind in ("ground-glass", "calcified", "solid"):
        row = appearance.draw(np.full((1, 6), 0.5), [kind], (20.0, 20.0)).to_dict("records")
        patient = Patient(row, np.random.default_rng(1))
        drawn = [uptake.Uptake.draw(patient, np.random.default_rng(k)) for k in range(30)]
        levels[kind] = np.mean([d.suv[0] for d in drawn])
    assert levels["ground-glass"] < 2.5 < levels["solid"]
    assert levels["calcified"] < 2.5
    assert max(d.heart for d in drawn) > 4
    whole = Grid.around((-40, 0, 20), (40, 40, 40), (4, 4, 4))
    hot = next(d for d in drawn if d.heart > 5)
    suv = uptake.render(patient, _with(hot, noise=0.0), whole)
    heart = patient.chest.heart(whole.coordinates) < -5
    assert suv[heart].max() > 3  # above SUV 2.5: a threshold finds more than the lesion
    assert np.median(suv[patient.chest.lung(whole.coordinates) < -8]) < 1


def test_pet_has_its_own_grid_or_that_of_the_ct():
    own = scans.make(scans.Settings(size=24, spacing=4.0, pet=True, types=("solid",)), 0, 0)
    same = scans.make(
        scans.Settings(size=24, spacing=4.0, pet=True, pet_spacing=None, types=("solid",)), 0, 0
    )
    assert own.volumes["pet"].spacing == (4.0, 4.0, 4.0)
    assert same.volumes["pet"].shape == same.volumes["ct"].shape
    assert np.array_equal(same.volumes["pet"].affine, same.volumes["ct"].affine)
    assert np.array_equal(own.volumes["ct"].array, same.volumes["ct"].array)
    assert own.volumes["pet"].center_mm == pytest.approx(own.volumes["ct"].center_mm)


def test_igtv_is_not_smaller_than_the_lesion():
    for number in range(2):
        settings = {"size": 24, "spacing": 4.0, "pet": True, "pet_spacing": None, "diameters": (15, 30)}
        gtv = scans.make(scans.Settings(**settings), 4, number).volumes
        igtv = scans.make(scans.Settings(**settings, igtv=True), 4, number).volumes
        assert np.array_equal(gtv["ct"].array, igtv["ct"].array)
        for mask in ("ct_mask", "pet_mask"):
            assert (igtv[mask].array >= gtv[mask].array).all()
            assert igtv[mask].array.sum() > gtv[mask].array.sum()
