"""The phantom's PET: what it shows, what is known of its optimum, and that nothing else changes with it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mmfusion.data.cohort import presence
from mmfusion.errors import DataError
from mmfusion.imaging import read, read_mask
from mmfusion.synthetic import lesions, model, optimum, phantom, posterior
from mmfusion.synthetic.genes import gene_programme

OPTIONS = {"n": 24, "seed": 3, "missing": 0.3, "n_genes": 60, "n_planted": 6}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The same phantom without and with PET: ((cohort, optimum), (cohort, optimum))."""
    root = tmp_path_factory.mktemp("phantom") / "files"
    return phantom(**OPTIONS, root=root), phantom(**OPTIONS, root=root, pet=True)


def test_all_else_is_as_without(made):
    (cohort, optimum), (with_pet, optimum_with_pet) = made
    same = with_pet.select(modalities=["ct", "rna", "ehr"])
    pd.testing.assert_frame_equal(cohort.table, same.table)
    pd.testing.assert_series_equal(cohort.y, with_pet.y)
    assert "pet" not in cohort.provenance["parameters"] and with_pet.provenance["parameters"]["pet"] is True
    subsets = optimum.index.drop("observed")
    pd.testing.assert_frame_equal(optimum.loc[subsets], optimum_with_pet.loc[subsets])


def test_blocks_and_presence(made):
    cohort = made[1][0]
    assert set(cohort.table["pet"].columns) == {"volume", "mask", "seed_x", "seed_y", "seed_z"}
    has = presence(cohort.table)
    assert 0 < has["pet"].sum() < len(has)
    alone = phantom(**{**OPTIONS, "n": 3000}, modalities=("rna", "ehr"))[0]
    assert "pet" not in alone.modalities


def test_the_pet_shows_the_lesion_in_suv(made):
    cohort = made[1][0]
    drawn = model.draw(OPTIONS["n"], OPTIONS["seed"], "planted", gene_programme(60, 6))
    table = cohort.table["pet"]
    apart = []
    for number, (patient, row) in enumerate(table.iterrows()):
        if pd.isna(row["volume"]):
            continue
        volume = read(row["volume"], unit="SUVbw")
        mask = read_mask(row["mask"], volume)
        lesion, uptake = drawn.lesions.iloc[number], drawn.uptake["suv"].iloc[number]
        assert mask.volume_ml() == pytest.approx(lesions.volume_ml(lesion["diameter_mm"]), rel=0.35)
        seed = row[["seed_x", "seed_y", "seed_z"]].to_numpy(float)
        assert np.linalg.norm(seed - mask.voxel_to_mm(np.argwhere(mask.array)[:, ::-1].mean(0))) < 6
        if lesion["diameter_mm"] > 24:  # larger than what the resolution blurs
            inside = volume.array[mask.array > 0]
            assert np.median(inside) == pytest.approx(uptake, rel=0.25), patient
        ct_seed = cohort.table.loc[patient, "ct"][["seed_x", "seed_y", "seed_z"]]
        if ct_seed.notna().all():
            apart.append(np.linalg.norm(seed - ct_seed.to_numpy(float)))
    assert 0 < np.mean(apart) < 8  # one frame of reference, but seeds of its own


@pytest.fixture(scope="module")
def large():
    programme = gene_programme(100, 20)
    drawn = model.draw(20_000, 11, "planted", programme)
    score = programme.score(drawn.genes)
    return drawn, optimum.beliefs(drawn.lesions, score, drawn.record, programme, drawn.uptake)


@pytest.mark.parametrize("subset", [s for s in optimum.subsets(model.WITH_PET) if "pet" in s], ids="+".join)
def test_the_optimum_is_reached(large, subset):
    drawn, belief = large
    promised = optimum.best_readings("planted", 100, 20, modalities=model.WITH_PET)[subset]
    got = optimum.class_probabilities(belief, subset, "planted")
    auc = np.mean([roc_auc_score(drawn.stage == k, got[:, k]) for k in range(3)])
    assert auc == pytest.approx(optimum.expected_macro_auc(promised), abs=0.008)
    for k in range(3):  # and it is calibrated: the posterior, no more and no less
        assert got[:, k].mean() == pytest.approx((drawn.stage == k).mean(), abs=0.01)
        for lower in np.arange(0, 1, 0.2):
            rows = (got[:, k] >= lower) & (got[:, k] < lower + 0.2)
            if rows.sum() > 50:
                error = np.sqrt(0.25 / rows.sum())
                assert (drawn.stage[rows] == k).mean() == pytest.approx(got[rows, k].mean(), abs=4 * error)


def test_beliefs_know_how_wrong_they_are(large):
    drawn, belief = large
    burden = drawn.latents[:, 0]
    errors = {}
    for seen in ("ct", "pet", "ct+pet"):
        mean = belief[seen] @ model.GRID
        sd = np.sqrt(belief[seen] @ model.GRID**2 - mean**2)
        assert ((burden - mean) / sd).std() == pytest.approx(1, abs=0.02)
        errors[seen] = np.square(burden - mean).mean()
    assert errors["ct+pet"] < errors["pet"] and errors["ct+pet"] < errors["ct"]


def test_the_diameter_counts_once(large):
    """Were it counted twice, the posterior of both would be surer than it is right."""
    _, belief = large
    twice = belief["ct"] * belief["pet"] / model.PRIOR
    twice /= twice.sum(axis=1, keepdims=True)

    def spread(b):
        return np.sqrt(b @ model.GRID**2 - (b @ model.GRID) ** 2).mean()

    assert spread(twice) < 0.9 * spread(belief["ct+pet"])


def test_the_uptake_says_something_of_its_own():
    auc = {s: optimum.expected_macro_auc(p) for s, p in
           optimum.best_readings("planted", 100, 20, modalities=model.WITH_PET).items()}  # fmt: skip
    assert auc["ct", "pet"] > max(auc["ct",], auc["pet",])
    assert auc["pet",] > 0.7
    null = optimum.best_readings("null", 100, 20, modalities=model.WITH_PET)
    assert {optimum.expected_macro_auc(p) for p in null.values()} == {0.5}


def test_the_posterior_reads_what_each_patient_has(made):
    cohort = made[1][0]
    every, ct, pet = posterior(cohort), posterior(cohort, ["ct"]), posterior(cohort, ["pet"])
    both = posterior(cohort, ["ct", "pet"])
    has = presence(cohort.X)
    np.testing.assert_allclose(every.sum(axis=1), 1)
    only_ct, only_pet = has["ct"] & ~has["pet"], has["pet"] & ~has["ct"]
    assert only_ct.any() and (has["ct"] & has["pet"]).any()
    pd.testing.assert_frame_equal(both[only_ct], ct[only_ct])
    pd.testing.assert_frame_equal(both[only_pet], pet[only_pet])
    assert not np.allclose(both[has["ct"] & has["pet"]], ct[has["ct"] & has["pet"]])
    without = posterior(made[0][0])
    pd.testing.assert_frame_equal(posterior(cohort, ["ct", "rna", "ehr"]), without)


def test_observed_optimum_counts_the_missing_pet(made):
    optimum = made[1][1]["macro_auc"]
    assert optimum["ct"] < optimum["observed"] < optimum["ct+pet+rna+ehr"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "root" / "pet").mkdir(parents=True)
    (tmp_path / "root" / "pet" / "mine.txt").write_text("keep me")
    with pytest.raises(DataError, match="contains other files"):
        phantom(2, 3, n_genes=12, n_planted=2, modalities=("rna", "ehr"), pet=True, root=tmp_path / "root")
