"""The cohort: files, tables, what is fixed by the seed, and bad arguments."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.imaging import read
from mmfusion.modalities import RESERVED
from mmfusion.synthetic import lesion_optimum
from mmfusion.synthetic.chest import scans
from mmfusion.synthetic.chest.appearance import TYPES
from mmfusion.synthetic.chest.cohort import META
from mmfusion.synthetic.chest.genetics import PANEL

N = 6


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return mf.lesion_phantom(N, seed=2, size=24, pet=True, root=tmp_path_factory.mktemp("lesions") / "files")


def _bytes(cohort, patients):
    files = cohort.table.loc[patients, [("ct", "volume"), ("ct", "mask"), ("pet", "volume"), ("pet", "mask")]]
    return [Path(f).read_bytes() for f in files.to_numpy().ravel()]


def test_volumes_and_masks_share_a_grid(cohort):
    for patient, row in cohort.table.iterrows():
        for modality, unit in (("ct", "HU"), ("pet", "SUVbw")):
            image = read(row[modality, "volume"], unit=unit)
            mask = nib.load(row[modality, "mask"])
            values = np.asarray(mask.dataobj)
            assert image.unit == unit
            assert set(np.unique(values)) == {0, 1}
            assert mask.shape[::-1] == image.shape
            assert np.allclose(mask.affine, nib.load(row[modality, "volume"]).affine)
            seed = np.array([*(row[modality, c] for c in ("seed_x", "seed_y", "seed_z")), 1.0])
            index = np.linalg.inv(mask.affine) @ (seed * [-1, -1, 1, 1])  # NIfTI is RAS
            if modality == "ct":
                assert values[tuple(np.round(index[:3]).astype(int))] == 1
        assert image.spacing == (4.0, 4.0, 4.0)
        ct = read(row["ct", "volume"], unit="HU")
        assert ct.shape == (24, 24, 24)
        assert ct.spacing == pytest.approx((row["meta", "spacing_mm"],) * 3, abs=1e-3)
        assert ct.array.min() >= -1024
        recorded = cohort.outcomes.loc[patient, "volume_ml"]
        voxels = np.asarray(nib.load(row["ct", "mask"]).dataobj).sum()
        assert voxels * np.prod(ct.spacing) / 1000 == pytest.approx(recorded, rel=0.01)


def test_the_seed_fixes_everything_and_n_changes_nothing(cohort, tmp_path):
    again = mf.lesion_phantom(N - 2, seed=2, size=24, pet=True, root=tmp_path / "again")
    patients = list(again.table.index)
    assert patients == list(cohort.table.index[: N - 2])
    assert _bytes(again, patients) == _bytes(cohort, patients)
    pd.testing.assert_frame_equal(again.outcomes, cohort.outcomes.loc[patients])
    other = mf.lesion_phantom(1, seed=3, size=24, pet=True, root=tmp_path / "other")
    assert not set(other.table.index) & set(patients)
    assert _bytes(other, list(other.table.index)) != _bytes(cohort, patients[:1])


def test_pet_genes_and_strength_do_not_change_the_ct(cohort, tmp_path):
    other = mf.lesion_phantom(2, seed=2, size=24, genes=("MET",), strength=0.0, root=tmp_path / "other")
    volumes = [Path(f).read_bytes() for f in other.table["ct", "volume"]]
    assert volumes == [Path(f).read_bytes() for f in cohort.table["ct", "volume"][:2]]
    assert "pet" not in other.modalities


def test_nothing_about_the_lesion_is_an_input(cohort):
    for target in ("lesion", "egfr", "expression"):
        columns = cohort.with_target(target).X.columns
        assert {m for m, _ in columns} == {"ct", "pet", "meta"}
        assert {f for m, f in columns if m != "meta"} <= set(RESERVED)
        assert {f for m, f in columns if m == "meta"} == set(META)


def test_targets(cohort):
    assert cohort.y.tolist() == cohort.table["ct", "mask"].tolist()
    assert set(cohort.with_target("egfr").y) <= {"mutant", "wildtype"}
    assert set(cohort.with_target("expression").y.columns) == set(PANEL)
    assert cohort.with_target("expression").y.notna().all(axis=None)
    best = lesion_optimum(cohort)
    assert 0.8 < best.egfr_auc < 0.9
    assert set(best.expression_r) == set(PANEL)


def test_the_facts_of_all_lesions_are_written(cohort):
    table = pd.read_csv(cohort.provenance["lesions_file"])
    assert table["patient_id"].tolist() == list(cohort.table.index)
    assert set(table["type"]) <= set(TYPES)
    json.dumps(cohort.provenance)
    centres = table[["centre_x", "centre_y", "centre_z"]].to_numpy()
    seeds = cohort.table["ct"][["seed_x", "seed_y", "seed_z"]].to_numpy()
    assert (np.linalg.norm(centres - seeds, axis=1) < table["diameter_mm"]).all()


def test_files_are_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
    first = mf.lesion_phantom(1, size=16)
    monkeypatch.setattr(scans, "make", None)  # a second rendering would fail
    again = mf.lesion_phantom(1, size=16)
    assert again.table["ct", "volume"].tolist() == first.table["ct", "volume"].tolist()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="contains other files"):
        mf.lesion_phantom(1, size=16, root=tmp_path / "mine")


def test_slices_of_the_scanner():
    for number in range(4):
        made = scans.make(scans.Settings(size=24, grid="scanner", diameters=(20, 40)), 0, number)
        volume = made.volumes["ct"]
        assert volume.spacing[0] == pytest.approx(made.facts["thickness_mm"], abs=1e-3)
        assert volume.spacing[1:] == pytest.approx((made.facts["spacing_mm"],) * 2, abs=1e-3)
        assert volume.shape[1:] == (24, 24)
        side = 24 * made.facts["spacing_mm"]
        assert volume.shape[0] * volume.spacing[0] == pytest.approx(side, abs=volume.spacing[0])
        assert made.volumes["ct_mask"].array.any()


def test_spacing_that_is_given_is_kept():
    made = scans.make(scans.Settings(size=20, spacing=1.7, thickness=(2.5, 2.5)), 0, 0)
    assert made.volumes["ct"].spacing == pytest.approx((1.7,) * 3)
    assert made.facts["thickness_mm"] == 2.5


def test_every_mask_has_a_lesion():
    for number in range(12):
        made = scans.make(scans.Settings(size=16), 1, number)
        diameter = made.lesions["diameter_mm"].iloc[0]
        assert 0.15 < made.facts["volume_ml"] / (np.pi / 6 * diameter**3 / 1000) < 2


def test_a_whole_chest_has_lungs_body_and_several_lesions():
    settings = scans.Settings(whole=True, spacing=5.0, lesions=(3, 3), diameters=(12, 30), types=("solid",))
    made = scans.make(settings, 0, 0)
    hu = made.volumes["ct"].array
    litres = np.prod(made.volumes["ct"].spacing) / 1e6
    lung = (hu > -950) & (hu < -600)
    assert 2 < lung.sum() * litres < 7
    assert 8 < (hu > -300).sum() * litres < 30
    assert (hu > 250).sum() * litres > 0.1  # bones
    assert (hu[:, :1] < -900).mean() > 0.9  # air in front of the body
    assert len(made.lesions) == 3
    from scipy.ndimage import label

    assert label(made.volumes["ct_mask"].array)[1] == 3
    assert np.median(hu[made.volumes["ct_mask"].array.astype(bool)]) > -300  # coarse voxels


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must not change
    scans.make(scans.Settings(size=16), 0, 0)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n": 0}, "parameter n: out of range"),
        ({"n": 2.5}, "parameter n"),
        ({"n": True}, "parameter n"),
        ({"seed": -1}, "parameter seed"),
        ({"size": 8}, "parameter size: .*16 to 256"),
        ({"types": ("solid", "cubic")}, "solid, part-solid"),
        ({"types": ()}, "parameter types"),
        ({"types": "cubic"}, "parameter types"),
        ({"diameters": (3, 200)}, "parameter diameters"),
        ({"diameters": (30, 10)}, "parameter diameters"),
        ({"diameters": (10,)}, "parameter diameters"),
        ({"thickness": (0.1, 8)}, "parameter thickness"),
        ({"lesions": (0, 1)}, "parameter lesions"),
        ({"spacing": -1.0}, "parameter spacing"),
        ({"spacing": float("nan")}, "parameter spacing"),
        ({"pet": True, "pet_spacing": 0.0}, "parameter pet_spacing"),
        ({"pet": "yes"}, "parameter pet"),
        ({"pet": True, "pet_spacing": None, "spacing": 1.0}, "too small for a PET"),
        ({"grid": "hexagonal"}, "cube or scanner"),
        ({"genes": ("EGFR", "EGFR")}, "each once"),
        ({"genes": ("TITIN",)}, "parameter genes"),
        ({"strength": 2.0}, "parameter strength"),
    ],
)
def test_bad_arguments(wrong, says, tmp_path):
    with pytest.raises(DataError, match=says):
        mf.lesion_phantom(**{"n": 1, "size": 16, "root": tmp_path / "files", **wrong})
    assert list(tmp_path.iterdir()) == []


def test_the_optimum_of_another_cohort_is_refused(cohort):
    with pytest.raises(DataError, match="only for a lesion phantom"):
        lesion_optimum(replace(cohort, provenance={}))


def test_the_pet_of_a_small_cool_lesion_can_be_read(tmp_path):
    small = {"pet": True, "types": ("ground-glass",), "diameters": (4, 5), "size": 16}
    for name, options in {"own": {"spacing": 1.0}, "shared": {"pet_spacing": None}}.items():
        cohort = mf.lesion_phantom(4, seed=5, **small, **options, root=tmp_path / name)
        for path in cohort.table["pet", "volume"]:
            assert read(path, unit="SUVbw").array.max() > 1
