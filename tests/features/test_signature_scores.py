"""Signature scores of a cohort: coverage, warnings, the target, and the control by random sets."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.gene_scores import coverage, singscore
from mmfusion.data.gene_sets import gene_sets
from mmfusion.errors import DataError
from mmfusion.features import random_set_table, signature_coverage, signatures, with_signatures
from mmfusion.features.signature_scores import SignatureWarning
from tests.cohorts import tiny_cohort

SETS = {"low": [f"GENE{k}" for k in range(6)], "other": [f"GENE{k}" for k in range(6, 14)]}


def planted():
    return mf.phantom(160, 3, modalities=("rna", "ehr"), missing=0.1)[0]


def test_patients_without_rna_are_left_out():
    cohort = tiny_cohort()
    scores = signatures(cohort, SETS)
    has = cohort.table["rna"].notna().any(axis=1)
    assert scores.index.equals(cohort.table.index[has]) and list(scores) == list(SETS)
    assert scores.notna().all(axis=None) and scores.abs().max().max() <= 0.5
    pd.testing.assert_frame_equal(signatures(cohort.X, SETS), scores)


def test_tpm_and_its_logarithm_have_the_same_scores():
    cohort = planted()
    rna = cohort.table["rna"].dropna(how="all")
    sets = cohort.provenance["gene_sets"]
    pd.testing.assert_frame_equal(signatures(rna, sets), signatures(np.log2(rna + 1), sets, unit="log"))


def test_the_planted_programme_rises_with_the_stage_and_independent_sets_do_not():
    cohort = planted()
    sets = cohort.provenance["gene_sets"]
    scores = signatures(cohort, sets)
    stage = cohort.y.loc[scores.index]
    found = random_set_table(cohort.table["rna"].loc[scores.index], sets, stage, n_random=199)
    assert found.loc["programme", "rho"] > 0.3 and found.loc["programme", "p_random"] == 1 / 200
    assert (found.drop("programme")["p_random"] > 0.01).all()
    own = scores.corrwith(pd.Series(stage.cat.codes, scores.index), method="spearman")
    assert found["rho"].tolist() == pytest.approx(own[found.index].tolist())


def test_of_random_sets_about_one_in_twenty_is_beyond_the_95th_percentile():
    cohort = planted()
    rna = cohort.table["rna"].dropna(how="all")
    rng = np.random.default_rng(0)
    sets = {f"set {k}": list(rng.choice(rna.columns, 12, replace=False)) for k in range(100)}
    found = random_set_table(rna, sets, cohort.y.loc[rna.index], n_random=199)
    assert (found["p_random"] <= 0.05).sum() <= 13  # of 100: P(more than 13 | 5 %) is below 0.001


def test_too_few_genes_are_named_and_counted():
    with pytest.warns(SignatureWarning, match=r"not estimable: absent \(2 of 9 genes measured\)"):
        scores = signatures(tiny_cohort(), {**SETS, "absent": ["GENE1", "GENE2", *"ABCDEFG"]})
    assert scores["absent"].isna().all() and scores["low"].notna().all()
    found = signature_coverage(tiny_cohort(), {"absent": ["GENE1", "GENE2", *"ABCDEFG"]})
    assert found.loc["absent", ["genes", "found", "least"]].tolist() == [9, 2, 5]


def test_a_patient_with_few_genes_is_named():
    cohort = tiny_cohort(missing=0.0)
    rna = cohort.table["rna"].copy()
    rna.loc["P003", SETS["low"][:3]] = np.nan
    with pytest.warns(SignatureWarning, match=r"low is not estimable for 1 of 60 patients \(P003\)"):
        assert np.isnan(signatures(rna, SETS).loc["P003", "low"])


def test_z_scores_change_the_meaning():
    rna = tiny_cohort().table["rna"]
    with pytest.warns(SignatureWarning, match="z-scored per gene"):
        signatures(rna, SETS, unit="zscore")


def test_without_rna():
    with pytest.raises(DataError, match="no RNA"):
        signatures(tiny_cohort().select(modalities=["ehr"]), SETS)


def test_scores_as_a_target():
    cohort = planted()
    sets = cohort.provenance["gene_sets"]
    made = with_signatures(cohort, sets)
    assert made.target == "signatures:" + ",".join(sets) and "rna" not in made.modalities
    pd.testing.assert_frame_equal(made.y, signatures(cohort, sets), check_names=False)
    assert any("scaled mean ranks" in note for note in made.notes)
    again = with_signatures(made.with_target("stage2"), {"programme": sets["programme"]})
    assert list(again.y) == ["programme"]
    assert not [c for c in again.outcomes if c == "signature_hypoxia"]


def test_the_signatures_of_the_package_as_a_target():
    genes = [*gene_sets()["t_cell_exhaustion"], *"ABCDEF"]
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(12, len(genes))), [f"P{k}" for k in range(12)], genes)
    table = pd.concat({"rna": table, "ehr": pd.DataFrame({"age": 60.0}, table.index)}, axis=1)
    table.index.name = "patient_id"
    cohort = mf.Cohort("own", table, pd.DataFrame(index=table.index), "signatures", units={"rna": "log"})
    assert list(cohort.y) == ["t_cell_exhaustion"] and cohort.modalities == ["ehr"]
    assert any("not estimable in this cohort: hypoxia, cytolytic_activity" in note for note in cohort.notes)
    pd.testing.assert_frame_equal(
        cohort.with_target("signatures:t_cell_exhaustion").y, cohort.y, check_names=False
    )


@pytest.mark.filterwarnings("ignore::mmfusion.features.signature_scores.SignatureWarning")
def test_what_cannot_be_a_target():
    cohort = tiny_cohort()
    with pytest.raises(DataError, match="no comma"):
        with_signatures(cohort, {"a, b": SETS["low"]})
    with pytest.raises(DataError, match="no signature is estimable"):
        with_signatures(cohort, "hypoxia")
    with pytest.raises(DataError, match="too few genes of the signatures"):
        cohort.with_target("signatures")
    with pytest.raises(DataError, match="each once"):
        cohort.with_target("signatures:low,low")


def test_the_order_of_patients_and_genes_does_not_matter():
    cohort = tiny_cohort(30, seed=2, missing=0.0, genes=20)
    rna = cohort.table["rna"]
    sets = {"one": list(rna.columns[:6])}
    found = random_set_table(rna, sets, cohort.y, n_random=50)
    other = random_set_table(rna.iloc[::-1, ::-1], sets, cohort.y[::-1], n_random=50)
    pd.testing.assert_frame_equal(found, other)


def test_a_set_without_genes_is_not_estimable():
    rna = tiny_cohort(10, seed=2, missing=0.0, genes=20).table["rna"]
    assert coverage(rna.columns, {"empty": []}).loc["empty", ["found", "share", "estimable"]].tolist() == [
        0,
        0.0,
        False,
    ]
    assert singscore(rna, {"empty": []})["empty"].isna().all()


@pytest.mark.parametrize("source", [None, np.zeros((2, 3))])
def test_what_is_no_table(source):
    with pytest.raises(DataError, match="parameter source: no expression"):
        signatures(source)


def test_bad_random_sets():
    cohort = tiny_cohort(missing=0.0)
    with pytest.raises(DataError, match="n_random"):
        random_set_table(cohort.table["rna"], SETS, cohort.y, n_random=0)
    with pytest.raises(DataError, match="not the ordered classes of these patients"):
        random_set_table(cohort.table["rna"], SETS, cohort.y.astype(str))
    with pytest.raises(DataError, match="ordered classes of these patients"):
        random_set_table(cohort.table["rna"], SETS, cohort.y[::-1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::mmfusion.features.signature_scores.SignatureWarning")
def test_tcga(shared_data: Path):
    cohort = mf.load_cohort("tcga_luad", root=shared_data / "tcga")
    found = signature_coverage(cohort)
    assert found.loc["t_cell_exhaustion", "found"] == 12 and not found.loc["hypoxia", "estimable"]
    scores = signatures(cohort, shared_data / "gene_sets" / "mcat_signatures.csv")
    assert scores.shape == (453, 6) and scores.notna().all(axis=None)


def test_genes_that_are_all_equal_are_said():
    genes = [f"G{i}" for i in range(12)]
    table = pd.DataFrame([np.ones(12), np.arange(12.0)], ["P1", "P2"], genes)
    with pytest.warns(SignatureWarning, match=r"all genes of 1 of 2 patients \(P1\) have the same value"):
        scores = signatures(table, {"set": genes[:6]})
    assert scores["set"].tolist() == [0.0, -0.5]


def test_options_of_signatures_that_cannot_be_used():
    table = pd.DataFrame([[1.0, 2.0, 3.0]], ["P1"], ["A", "B", "C"])
    with pytest.raises(DataError, match=r"parameter unit: unknown unit .*got banana"):
        signatures(table, {"set": ["A"]}, unit="banana")
    with pytest.raises(DataError, match=r"parameter min_share: not a share .*got half"):
        signatures(table, {"set": ["A"]}, min_share="half")
