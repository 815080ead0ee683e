"""What the report on signatures says: its sentences follow its numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.metrics import holm
from mmfusion.radiogenomics import expression_null
from mmfusion.radiogenomics.report import signature_scans as scans
from mmfusion.radiogenomics.report import signatures as stages
from mmfusion.synthetic import model, signature_optimum
from mmfusion.synthetic.genes import gene_programme
from tests.cohorts import tiny_cohort

SERIAL = {"outer": 3, "where": "serial", "progress": False}


@pytest.fixture(scope="module")
def planted():
    return stages.signature_study(mf.phantom(150, 4, modalities=("rna", "ehr"), missing=0.1)[0])


@pytest.fixture(scope="module")
def tested(planted):
    return stages.stage_tests(planted, n_random=99)


def test_the_planted_programme_is_the_answer(planted, tested):
    first, strongest, control, *_ = stages.verdict(planted, tested)
    assert first.startswith("Signatures with a trend over the stages") and "programme (+" in first
    assert strongest.startswith("The strongest is programme: Spearman 0.")
    assert "(programme)" in control
    assert stages.shown_first(tested) == list(planted.sets)
    assert stages.box_titles(tested)["programme"].endswith("Holm p < 0.001")
    page = stages.tests_for_page(tested)
    assert page.index[0] == "programme" and page.loc["programme", "Holm p, trend"] == "< 0.001"


def test_in_the_null_cohort_there_is_no_trend():
    cohort = mf.phantom(150, 4, "null", modalities=("rna", "ehr"), missing=0.1)[0]
    study = stages.signature_study(cohort)
    tests = stages.stage_tests(study, n_random=99)
    assert (tests["p_trend_holm"] > 0.05).all()
    assert "0 of 5" in stages.verdict(study, tests)[0]


def test_who_was_left_out(planted):
    n = len(planted.cohort.table)
    assert f"{n - len(planted.scores)} without RNA" in planted.left_out
    said = stages.protocol(planted)
    assert said[0].startswith(f"{len(planted.scores)} persons with RNA and a stage: ")
    assert (stages.coverage_for_page(planted)["scored"] == "yes").all()
    assert any("among the 500 genes" in note for note in stages.caveats(planted))


@pytest.mark.parametrize(
    ("n", "says"), [(4, "0.99"), (10, "0.79"), (30, "0.49"), (100, "0.28"), (150, "0.23")]
)
def test_the_correlation_that_can_be_detected_follows_the_number_of_patients(planted, n, says):
    study = replace(planted, scores=pd.concat([planted.scores] * 2).iloc[:n])
    (note,) = [note for note in stages.caveats(study) if "detects a correlation" in note]
    assert note.startswith(f"With {n} patients") and f"a correlation of {says} in 80 %" in note


def test_with_three_patients_no_correlation_can_be_detected(planted):
    notes = stages.caveats(replace(planted, scores=planted.scores.iloc[:3]))
    assert not any("detects a correlation" in note for note in notes)


def test_one_row_per_person():
    cohort = tiny_cohort(missing=0.0)
    groups = cohort.groups.assign(patient=[f"person {k // 2}" for k in range(60)])
    twice = mf.Cohort("two", cohort.table, cohort.outcomes, cohort.target, units=cohort.units, groups=groups,
                      provenance={"gene_sets": {"low": [f"GENE{k}" for k in range(6)]}})  # fmt: skip
    study = stages.signature_study(twice)
    assert len(study.scores) == 30 and "30 further rows of the same person" in study.left_out


def test_what_cannot_be_studied():
    cohort = tiny_cohort()
    with pytest.raises(DataError, match="no signature is estimable"), pytest.warns(UserWarning):
        stages.signature_study(cohort, "hypoxia")
    with pytest.raises(DataError, match="a target with ordered classes"):
        stages.signature_study(mf.radiomics_phantom(20, target="expression"))


def test_few_patients_are_not_estimable():
    cohort = tiny_cohort(8, missing=0.0)
    cohort = mf.Cohort("few", cohort.table, cohort.outcomes, cohort.target, units=cohort.units,
                       provenance={"gene_sets": {"low": [f"GENE{k}" for k in range(6)]}})  # fmt: skip
    study = stages.signature_study(cohort)
    tests = stages.stage_tests(study, n_random=9)
    assert stages.verdict(study, tests) == ["No trend of a signature over the stages is estimable (n = 8)."]
    assert stages.tests_for_page(tests).loc["low", "Spearman with the stage"] == "not estimable"
    assert stages.as_metrics(tests)["low"]["rho"] is None
    assert scans.scan_study(study)[0] is None


def with_ct(strength: float, n: int = 120) -> stages.SignatureStudy:
    """A study whose first signature follows a feature of the CT with a known strength."""
    rng = np.random.default_rng(0)
    cohort = tiny_cohort(n, missing=0.0, genes=60)
    table = cohort.table.copy()
    size = rng.normal(size=n)
    table["ct", "size"] = size
    for k in range(8):
        table["rna", f"GENE{k}"] = 6 + strength * size + rng.normal(size=n)
    sets = {"seen": [f"GENE{k}" for k in range(8)], "unseen": [f"GENE{k}" for k in range(20, 28)]}
    made = mf.Cohort("made", table, cohort.outcomes, cohort.target, units=cohort.units,
                     provenance={"gene_sets": sets})  # fmt: skip
    return stages.signature_study(made)


def test_a_signature_that_the_ct_shows_is_predicted_and_another_is_not():
    found, why = scans.scan_study(with_ct(1.0))
    assert why == "" and "features of the CT that the cohort has" in found.said and found.best == {}
    assert list(found.cohort.y) == ["seen", "unseen"] and "rna" not in found.cohort.modalities
    result = mf.nested_cv(found.model, found.cohort, name=scans.MAIN, baselines=found.others, **SERIAL)
    null = expression_null(found.model, found.cohort, result, n_permutations=39).table()
    assert null.loc["seen", "pearson"] > 0.7 and null.loc["seen", "p"] == 1 / 40
    assert null.loc["unseen", "p"] > 0.05
    said = scans.scan_verdict(result, null, {"seen": 0.9}, 39)
    assert "Predicted from CT: mean Pearson correlation of 2 signatures" in said[0]
    assert "of the 39 permutations" in said[1] and "adjustment: none." in said[1]
    assert said[2] == "With 39 permutations and 2 signatures, no adjusted p below 0.050 is possible."
    assert said[-1].startswith("In this synthetic cohort, the best possible correlation of seen is 0.90")
    page = scans.with_holm(pd.DataFrame(index=["seen", "unseen"]), null)
    assert page.loc["unseen", "Holm p"] >= page.loc["unseen", "p, permutation"]


@pytest.mark.parametrize("n_signatures", [1, 5, 11, 50, 100])
def test_there_are_enough_permutations_for_the_adjusted_p_values(n_signatures):
    n = scans.enough_permutations(200, n_signatures)
    assert n >= 200 and holm([1 / (n + 1)] * n_signatures)[0] < 0.025
    assert scans.enough_permutations(9000, n_signatures) == 9000
    with pytest.raises(DataError, match="n_null: out of range"):
        scans.enough_permutations(0, n_signatures)


@pytest.mark.parametrize(("n_permutations", "said"), [(4000, True), (9000, False)])
def test_the_smallest_possible_p_is_said_only_if_it_is_large(n_permutations, said):
    found, _ = scans.scan_study(with_ct(1.0))
    result = mf.nested_cv(found.model, found.cohort, name=scans.MAIN, baselines=False, **SERIAL)
    names = [*(f"set {k}" for k in range(250)), "mean of the panel"]
    null = pd.DataFrame({"pearson": 0.5, "null_95": 0.2, "p": 1 / (n_permutations + 1)}, names)
    lines = scans.scan_verdict(result, null, {}, n_permutations)
    line = "With 4000 permutations and 250 signatures, no adjusted p below 0.062 is possible."
    assert (line in lines) == said and ("adjustment: none." in lines[1]) == said


def test_too_few_patients_with_ct():
    study, why = scans.scan_study(with_ct(1.0, n=24))
    assert study is None and why.endswith("only 24 patients have RNA and CT features.")


def test_a_cohort_without_ct(planted):
    study, why = scans.scan_study(planted)
    assert study is None and "has no CT" in why


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::mmfusion.features.signature_scores.SignatureWarning")
def test_radiogenomics(shared_data: Path):
    cohort = mf.load_cohort("radiogenomics", root=shared_data / "nsclc_radiogenomics")
    groups = str(shared_data / "gene_sets" / "mcat_signatures.csv")
    with pytest.raises(DataError, match="no signature is estimable"):
        stages.signature_study(cohort, groups)
    study = stages.signature_study(cohort, groups, min_share=0.03)
    assert study.scores.shape[1] == 5  # three genes of tumour suppressors are too few
    found, _ = scans.scan_study(study)
    assert len(found.cohort.X) > 100 and any("z-scored" in note for note in stages.caveats(study))


def drawn(seed: int, n: int = 200) -> stages.SignatureStudy:
    """Patients of the phantom, with the true appearance of their lesions as the features of the CT."""
    made, programme = model.draw(n, seed), gene_programme()
    ids = pd.Index([f"P{k}" for k in range(n)], name="patient_id")
    table = pd.concat({"ct": made.lesions.set_index(ids), "rna": made.genes.set_index(ids)}, axis=1)
    outcomes = pd.DataFrame({"stage": np.array(model.STAGES)[made.stage]}, index=ids)
    cohort = mf.Cohort("drawn", table, outcomes, "stage3_ajcc7", units={"rna": "tpm"},
                       provenance={"gene_sets": programme.gene_sets, "ajcc_edition": 7})  # fmt: skip
    return stages.signature_study(cohort)


@pytest.mark.slow
def test_ct_predicts_the_planted_programme_as_well_as_it_can_and_nothing_else():
    tables = []
    for seed in range(6):
        found, _ = scans.scan_study(drawn(seed))
        result = mf.nested_cv(found.model, found.cohort, name=scans.MAIN, baselines=False, **SERIAL)
        tables.append(expression_null(found.model, found.cohort, result, n_permutations=59).table())
    r = pd.concat([table["pearson"] for table in tables], axis=1)
    best = signature_optimum(gene_programme().gene_sets)["programme"]
    assert r.loc["programme"].mean() == pytest.approx(best, abs=0.1)  # 6 x 200 patients: SE 0.03
    nothing = [table.drop(["programme", "mean of the panel"])["p"] for table in tables]
    assert (pd.concat(nothing) <= 0.05).sum() <= 5  # of 24: P(more than 5 | 5 %) is 0.001
