"""An old and a new model on the same patients: values, changed classes, and who was seen in training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import BundleError, DataError
from mmfusion.evaluation import revalidate
from mmfusion.metrics import macro_auc
from tests.cohorts import tiny_cohort
from tests.staging.test_persistence import FORMAT_2, FORMAT_3

QUICK = {"max_epochs": 3, "n_genes": 12, "n_members": 1, "network": {"d": 8, "hidden": 16}}


@pytest.fixture(scope="module")
def cohort():
    """The patients for whom the bundles of older formats were made."""
    return tiny_cohort(40, seed=7, missing=0.2, genes=12)


def test_bundles_of_older_formats_are_compared(cohort):
    found = revalidate(FORMAT_2 / "model", FORMAT_3 / "model", cohort, n_boot=100)
    old, new = (mf.load(folder / "model") for folder in (FORMAT_2, FORMAT_3))
    p = {"old": old.predict_proba(cohort.X), "new": new.predict_proba(cohort.X)}
    for version in ("old", "new"):
        expected = macro_auc(cohort.y.astype(str), p[version], list(old.classes_))
        assert found.scores.loc["macro_auc", version] == pytest.approx(expected)
    scores = found.scores
    assert scores["change"].to_numpy() == pytest.approx(scores["new"] - scores["old"])
    assert (scores["lo"] <= scores["change"]).all() and (scores["change"] <= scores["hi"]).all()
    largest = np.abs(p["new"] - p["old"]).max(axis=1)
    assert found.patients["largest_change"].iloc[0] == pytest.approx(largest.max())
    assert found.patients.index[0] == cohort.X.index[largest.argmax()]
    changed = found.patients["changed"]
    assert changed.sum() == (old.predict(cohort.X) != new.predict(cohort.X)).sum()
    said = f"changed for {changed.sum()} of 40 patients" if changed.any() else "the same for all 40 patients"
    assert said in found.notes[0] and f"{largest.max():.3f}" in found.notes[1]


def test_a_model_beside_itself_changes_nothing(cohort):
    found = revalidate(FORMAT_3 / "model", FORMAT_3 / "model", cohort, n_boot=20)
    assert (found.scores[["change", "lo", "hi"]] == 0).all(axis=None)
    assert not found.patients["changed"].any() and (found.patients["largest_change"] == 0).all()
    assert found.notes[0] == "The named class is the same for all 40 patients."


def test_patients_of_the_training_are_counted(cohort, tmp_path):
    mf.StageClassifier("concat", **QUICK).fit(cohort.X[:25], cohort.y[:25]).save(tmp_path / "new")
    found = revalidate(FORMAT_3 / "model", tmp_path / "new", cohort, n_boot=20)
    assert any("new model was fitted on 25 of these 40 patients" in note for note in found.notes)
    assert "patients" in repr(found) and "<table" in found._repr_html_()


def test_models_of_other_classes_are_refused(cohort, tmp_path):
    two = cohort.with_target("stage2")
    mf.StageClassifier("concat", **QUICK).fit(two.X, two.y).save(tmp_path / "two")
    with pytest.raises(DataError, match=r"different classes.*expected I, II, III; got I, II-IV"):
        revalidate(FORMAT_3 / "model", tmp_path / "two", cohort)


def test_a_folder_that_is_no_model_is_refused(cohort, tmp_path):
    with pytest.raises(BundleError):
        revalidate(FORMAT_3 / "model", tmp_path, cohort)


def test_patients_of_one_class_have_no_auc_and_are_compared_all_the_same(cohort):
    first = cohort.select(patients=list(cohort.y.index[cohort.y == cohort.y.cat.categories[0]]))
    found = revalidate(FORMAT_2 / "model", FORMAT_3 / "model", first, n_boot=10)
    assert found.scores.loc["macro_auc"].isna().all()
    assert found.scores.loc["brier", ["old", "new"]].notna().all()
    everybody = revalidate(FORMAT_2 / "model", FORMAT_3 / "model", cohort, n_boot=10).patients
    pd.testing.assert_frame_equal(
        found.patients.sort_index(), everybody.loc[found.patients.index].sort_index()
    )


def test_what_cannot_be_compared_is_named(cohort):
    model = FORMAT_3 / "model"
    with pytest.raises(DataError, match="parameter cohort: not a cohort"):
        revalidate(model, model, cohort.X)
    for wrong in (None, ""):
        with pytest.raises(DataError, match="parameter new: no saved model"):
            revalidate(model, wrong, cohort)
    eighth = tiny_cohort(40, seed=7, genes=12)
    eighth = type(eighth)("eighth", eighth.table, eighth.outcomes, "stage3_ajcc8", units=eighth.units,
                          provenance={"ajcc_edition": 8})  # fmt: skip
    with pytest.raises(
        DataError, match=r"fitted on another target \(expected stage3_ajcc7; got stage3_ajcc8"
    ):
        revalidate(model, model, eighth)
