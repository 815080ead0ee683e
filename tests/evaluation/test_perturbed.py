"""Performance under changed inputs: held-out patients only, paired with the unchanged inputs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

import mmfusion as mf
from mmfusion.errors import DataError, LeakageError, gathered
from mmfusion.evaluation import PERTURBATIONS, check_perturbations, robustness
from mmfusion.evaluation.perturbed import _strengths
from mmfusion.imaging import Volume
from tests.cohorts import tiny_cohort
from tests.evaluation.toys import vector_cohort

QUICK = {"max_epochs": 4, "n_genes": 24, "n_members": 1, "network": {"d": 8, "hidden": 16}}
STRENGTHS = {"dropped genes": [0.5], "missing fields": [0.5, 1.0]}


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort(70, seed=11, signal=3.0, missing=0.1)


@pytest.fixture(scope="module")
def result(cohort, tmp_path_factory):
    model = mf.StageClassifier("concat", **QUICK)
    folder = tmp_path_factory.mktemp("folds")
    options = {"baselines": False, "where": "serial", "progress": False}
    return mf.nested_cv(model, cohort, outer=2, out=folder, **options)


@pytest.fixture(scope="module")
def found(result, cohort):
    return robustness(result, cohort, list(STRENGTHS), STRENGTHS, metrics=["macro_auc"], n_boot=50)


def test_the_unchanged_inputs_give_the_result_of_the_cross_validation(found, result):
    first = found.groupby("perturbation", sort=False).first()
    assert list(first.index) == list(STRENGTHS) and (first["strength"] == 0).all()
    expected = result.scores.loc[result.main, ("macro_auc", "mean")]
    assert first["value"].to_numpy() == pytest.approx(expected, abs=1e-6)
    assert (first[["change", "change_lo", "change_hi", "other_class"]] == 0).all(axis=None)


def test_changes_are_paired_with_the_unchanged_inputs(found):
    for _, rows in found.groupby("perturbation"):
        assert rows["change"].to_numpy() == pytest.approx(rows["value"] - rows["value"].iloc[0])
        assert (rows["change_lo"] <= rows["change"]).all() and (rows["change"] <= rows["change_hi"]).all()
    lost = found[(found["perturbation"] == "missing fields") & (found["strength"] == 1)].iloc[0]
    assert lost["other_class"] > 0


def test_patients_who_have_the_modality_are_counted(found, cohort):
    n = found.groupby("perturbation")["n"].first()
    assert n["missing fields"] == 70 and n["dropped genes"] == cohort.X["rna"].notna().any(axis=1).sum() < 70


def scanned(volumes: int) -> mf.Cohort:
    """Every patient has features of a CT, and the first ones the CT itself."""
    cohort = tiny_cohort(30, missing=0.0)
    hu = np.random.default_rng(0).normal(-500, 200, (4, 4, 4)).astype(np.float32)
    cells = [Volume(hu, np.eye(4))] * volumes + [None] * (len(cohort.table) - volumes)
    table = cohort.table.copy()
    table["ct", "volume"] = pd.Series(cells, table.index, dtype=object)
    return mf.Cohort("scanned", table, cohort.outcomes, cohort.target, units=cohort.units)


def test_patients_with_a_scan_are_counted_and_features_of_scans_that_stay_are_named():
    cohort = scanned(12)
    model = DummyClassifier().fit(cohort.X, cohort.y.astype(str))
    options = {"strengths": {"noise": [50.0], "kernel": [1.0]}, "metrics": ["macro_auc"], "n_boot": 5}
    with gathered() as given:
        table = robustness(model, cohort, ["noise", "kernel"], **options)
    assert set(table["n"]) == {12}  # not 30: the features of the others do not change
    (one,) = map(str, given)  # once, for both changes
    assert one.startswith("ct: only the scan is changed") and one.endswith("(n = 2): sphericity, margin")


def test_there_is_no_warning_without_features_of_scans_or_without_changes_of_scans():
    cohort = scanned(12)
    model = DummyClassifier().fit(cohort.X, cohort.y.astype(str))
    plain = mf.Cohort("plain", cohort.table.drop(columns=[("ct", "sphericity"), ("ct", "margin")]),
                      cohort.outcomes, cohort.target, units=cohort.units)  # fmt: skip
    with gathered() as given:
        robustness(model, plain, ["noise"], {"noise": [50.0]}, n_boot=5)
        robustness(model, cohort, ["missing fields"], STRENGTHS, n_boot=5)
    assert not given


def test_the_same_seed_gives_the_same_table(result, cohort, found):
    again = robustness(result, cohort, list(STRENGTHS), STRENGTHS, metrics=["macro_auc"], n_boot=50)
    assert again.equals(found)
    other = robustness(result, cohort, ["dropped genes"], STRENGTHS, metrics=["macro_auc"], n_boot=2,
                       random_state=1)  # fmt: skip
    assert other["value"].iloc[1] != found["value"].iloc[1]


def test_a_fitted_model_needs_patients_that_it_has_not_seen(cohort):
    ids = cohort.X.index
    model = mf.StageClassifier("concat", **QUICK).fit(cohort.X[:40], cohort.y[:40])
    with pytest.raises(LeakageError, match="fitted on 5 of 35 patients"):
        robustness(model, cohort.select(patients=list(ids[35:])), ["missing fields"])
    table = robustness(model, cohort.select(patients=list(ids[40:])), ["missing fields"], STRENGTHS, n_boot=5)
    assert np.isfinite(table["value"]).all() and set(table["n"]) == {30}


def test_bad_input_is_one_error(result, cohort):
    with pytest.raises(DataError, match=r"no such perturbation.*got nois.*did you mean noise"):
        robustness(result, cohort, ["nois"])
    with pytest.raises(DataError, match=r"parameter noise: the models do not read this.*expected ct"):
        robustness(result, cohort, ["noise"])  # the cohort has features of CT, and no scans
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        robustness(result, cohort, ["missing fields"], random_state=-1)
    with pytest.raises(DataError, match="measured for classes"):
        robustness(result, vector_cohort(20))


def test_a_result_whose_models_were_not_saved_is_refused(cohort):
    plain = mf.nested_cv(DummyClassifier(), cohort, outer=2, baselines=False, where="serial", progress=False)
    with pytest.raises(DataError, match=r"no model of the result was saved.*out=folder"):
        robustness(plain, cohort)


def test_strengths_that_are_no_numbers_and_no_perturbation_are_refused(cohort):
    model = mf.StageClassifier("concat", **QUICK).fit(cohort.X[:40], cohort.y[:40])
    others = cohort.select(patients=list(cohort.X.index[40:]))
    for wrong in (0.5, ["a"]):
        with pytest.raises(DataError, match=r"strengths\['missing fields'\].*expected a list of numbers"):
            robustness(model, others, ["missing fields"], {"missing fields": wrong})
    with pytest.raises(DataError, match="no perturbation"):
        robustness(model, others, [])
    one = others.select(patients=list(others.y.index[others.y == others.y.iloc[0]]))
    found = robustness(model, one, ["missing fields"], {"missing fields": [0.5]}, n_boot=5)
    auc = found[found["metric"] == "macro_auc"]  # patients of one class have none, and so no change of it
    assert auc[["value", "change", "change_lo", "change_hi"]].isna().all(axis=None)


def test_an_unknown_perturbation_is_named_without_a_model():
    check_perturbations(["noise"])
    with pytest.raises(DataError, match=r"no such perturbation .*got nois\) -> did you mean noise"):
        check_perturbations(["noise", "nois"])


def test_what_cannot_be_judged_is_named():
    cohort = tiny_cohort(40)
    model = mf.StageClassifier("concat", max_epochs=1, n_members=1)
    with pytest.raises(DataError, match="parameter cohort: not a cohort"):
        robustness(model, cohort.X)
    with pytest.raises(DataError, match=r"parameter model: nothing to judge .*got str"):
        robustness("model", cohort)
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        robustness("model", cohort, random_state="a")


@pytest.mark.parametrize("wrong", [[], [float("nan")], [float("inf")], ["a"], 0.5])
def test_strengths_that_are_no_numbers(wrong):
    with pytest.raises(DataError, match=r"strengths\['batch shift'\]: not the strengths of a perturbation"):
        _strengths(PERTURBATIONS["batch shift"], {"batch shift": wrong})
