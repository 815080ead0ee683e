"""A saved model, majority and ridge on another cohort; what cannot be estimated is refused or said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation import external_validation, judge_outside, ridge
from mmfusion.evaluation.external_comparison import _not_estimable
from mmfusion.evaluation.leakage import probed
from mmfusion.staging import StageClassifier
from tests.cohorts import tiny_cohort
from tests.metrics.predictions import CLASSES, predictions


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    train = tiny_cohort(80)
    model = StageClassifier("concat", n_genes=15, max_epochs=2, n_members=1)
    model.set_params(network__d=8, network__hidden=8)
    folder = tmp_path_factory.mktemp("models") / "stage"
    with probed():
        model.fit(train.X, train.y).save(folder)
    return folder, train, replace(tiny_cohort(50, seed=4), name="other")


def test_all_models_meet_the_same_patients_once(trained, tmp_path):
    folder, train, other = trained
    record = tmp_path / "looks.json"
    found = judge_outside(folder, train, other, name="concat", inner=2, record=record)
    assert list(found.scores.index) == ["concat", "majority", "ridge"] and found.n == len(other)
    for _, rows in found.predictions.groupby("model"):
        assert rows["patient_id"].tolist() == list(other.X.index)
    shares = train.y.value_counts(normalize=True, sort=False)
    majority = found.predictions.query("model == 'majority'")
    np.testing.assert_allclose(majority[[f"p_{c}" for c in shares.index]].drop_duplicates(), [shares])
    fitted = ridge(inner=2).fit(train.X, train.y)
    own = found.predictions.query("model == 'ridge'")[[f"p_{c}" for c in fitted.classes_]]
    np.testing.assert_allclose(own, fitted.predict_proba(other.X), atol=1e-9)
    paired = found.paired("ridge")
    assert set(paired.index) == {"concat", "majority"} and (paired["lo"] <= paired["diff"]).all()
    said = "majority predicts the same for every patient: its AUC is 0.5 by definition"
    assert any(said in note for note in found.notes)
    with pytest.raises(LeakageError, match="already judged on this cohort"):
        judge_outside(folder, train, other, name="concat", inner=2, record=record)
    again = judge_outside(folder, train, other, name="concat", inner=2, record=record, again=True)
    assert any("look 2 of this model at other" in text for text in again.warnings)
    pd.testing.assert_frame_equal(again.predictions, found.predictions)


def test_cohorts_that_cannot_be_compared(trained, tmp_path):
    folder, train, other = trained
    options = {"name": "concat", "inner": 2, "record": tmp_path / "none.json"}
    one = other.select(patients=list(other.y.index[other.y == "I"]))
    with pytest.raises(
        DataError, match=r"discrimination cannot be estimated .*patients of two classes; got I"
    ):
        judge_outside(folder, train, one, **options)
    with pytest.raises(DataError, match="the cohorts have different targets"):
        judge_outside(folder, train, other.with_target("stage2"), **options)
    with pytest.raises(DataError, match="too few training patients for the inner folds"):
        judge_outside(folder, train, other, **{**options, "inner": 50})
    with pytest.raises(DataError, match="parameter inner: out of range"):
        judge_outside(folder, train, other, **{**options, "inner": 1})
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        judge_outside(folder, train, other, random_state=-1, **options)
    with pytest.raises(LeakageError, match="the model was fitted on 80 of 80 patients"):
        judge_outside(folder, train, train, **options)
    with pytest.raises(DataError, match="two models have one name"):
        judge_outside(folder, train, other, **{**options, "name": "ridge"})
    assert not (tmp_path / "none.json").exists()  # none of these counts as a look


def test_absent_and_small_classes_are_said():
    table = predictions("m")
    lines = _not_estimable(table[table["y_true"] != "III"], CLASSES)
    assert "The external cohort has no patient of III" in lines[0] and "not estimable" in lines[0]
    few = _not_estimable(table.groupby("y_true").head(5), CLASSES)
    assert few == ["Few external patients in a class (I 5, II 5, III 5): results for it are uncertain."]


@pytest.mark.parametrize("n", [1, 4])
def test_one_to_four_patients_in_a_class_make_intervals_too_narrow(n):
    table = predictions("m")
    few = table[table["y_true"] == "III"].index[n:]
    (line,) = _not_estimable(table.drop(few), CLASSES)
    assert line.startswith(f"Fewer than 5 external patients in a class (III {n}): intervals")
    assert line.endswith("much too narrow.")


def test_patients_with_other_ids_who_cannot_be_found_are_said(trained, tmp_path):
    folder, train, other = trained
    options = {"name": "concat", "inner": 2}
    said = "A patient who has another id in each was not searched for."
    found = judge_outside(folder, train, other, **options, record=tmp_path / "a.json")
    assert any(note.endswith(said) for note in found.notes)  # 24 genes are too few
    unchecked = judge_outside(folder, train, other, **options, check_scans=False, record=tmp_path / "b.json")
    assert not any(said in note for note in unchecked.notes)


def test_the_training_cohort_is_that_of_the_model(trained, tmp_path):
    folder, train, other = trained
    options = {"inner": 2, "record": tmp_path / "r.json"}
    half = train.select(patients=list(train.X.index[:40]))
    with pytest.raises(DataError, match=r"parameter trained_on: .*not fitted on this cohort .*40 of its 80"):
        judge_outside(folder, half, other, **options)
    unused = train.table.iloc[:9].rename(index="N-{}".format)
    more = replace(
        train,
        table=pd.concat([train.table, unused]),
        outcomes=pd.concat([train.outcomes, train.outcomes.iloc[:9].set_axis(unused.index)]),
        groups=None,
    )
    with pytest.raises(DataError, match="0 of its 80 training patients are absent, and 9 of 89"):
        judge_outside(folder, more, other, **options)
    with pytest.raises(DataError, match="not a cohort"):
        external_validation(folder, other, trained_on="train", record=tmp_path / "r.json")
    with pytest.raises(DataError, match="parameter bundle: not a saved model"):
        external_validation(StageClassifier(), other)
    assert not (tmp_path / "r.json").exists()  # nothing was seen


def test_wrong_arguments_are_named(trained, tmp_path):
    folder, train, other = trained
    options = {"inner": 2, "record": tmp_path / "none.json"}
    with pytest.raises(DataError, match=r"parameter external: not a cohort .*got DataFrame"):
        judge_outside(folder, train, other.X, **options)
    with pytest.raises(DataError, match="parameter trained_on: not a cohort"):
        judge_outside(folder, train.X, other, **options)
    with pytest.raises(DataError, match="parameter cohort: not a cohort"):
        external_validation(folder, other.X, record=tmp_path / "none.json")
    with pytest.raises(DataError, match=r"parameter name: not a name .*got None"):
        judge_outside(folder, train, other, name=None, **options)
    words = other.table.astype({("rna", "GENE3"): object})
    has = words.index[words[("rna", "GENE3")].notna()]
    words.loc[has, [("rna", "GENE3")]] = "high"
    with pytest.raises(DataError, match=rf"patient {has[0]}, file other, column GENE3: not a number"):
        judge_outside(folder, train, replace(other, table=words), **options)
    assert not (tmp_path / "none.json").exists()


def test_a_class_without_training_patients_is_refused_before_a_fit(trained):
    folder, train, other = trained
    fewer = train.select(patients=list(train.y.index[train.y != "III"]))
    with pytest.raises(DataError, match=r"no training patient of a class of the external .*I, II; got III"):
        judge_outside(folder, fewer, other, inner=2)


def test_another_target_with_the_same_classes_is_refused(trained, tmp_path):
    folder, _, other = trained
    eighth = replace(other, target="stage3_ajcc8", provenance={"ajcc_edition": 8})
    assert set(eighth.y) == set(other.y)
    with pytest.raises(
        DataError, match=r"fitted on another target \(expected stage3_ajcc7; got stage3_ajcc8"
    ):
        external_validation(folder, eighth, record=tmp_path / "looks.json")
    assert not (tmp_path / "looks.json").exists()


@pytest.mark.parametrize("text", ["not json", '{"a": 1}', '[{"n": 3}]', "[1]"])
def test_a_damaged_record_is_named(trained, tmp_path, text):
    folder, _, other = trained
    (tmp_path / "looks.json").write_text(text)
    with pytest.raises(DataError, match=r"looks\.json: not a record of evaluations"):
        external_validation(folder, other, again=True, record=tmp_path / "looks.json")
    assert (tmp_path / "looks.json").read_text() == text


def test_what_is_not_estimable_is_null_in_the_record(trained, tmp_path):
    folder, _, other = trained
    one = other.select(patients=list(other.y.index[other.y == "I"]))
    _, scores = external_validation(folder, one, record=tmp_path / "looks.json")
    assert np.isnan(scores.loc["external", ("macro_auc", "mean")])
    assert '"macro_auc": null' in (tmp_path / "looks.json").read_text()
