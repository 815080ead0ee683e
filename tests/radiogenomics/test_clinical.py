"""Clinical models: each states its inputs, reads nothing else, and reaches what these inputs allow."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.radiogenomics import CLINICAL_SETS, ClinicalClassifier, ClinicalRegressor
from mmfusion.synthetic import radiomics_optimum, radiomics_phantom

COHORT = radiomics_phantom(80, 1, mutants=0.3, n_features=100)
X, Y = COHORT.X, COHORT.y


def test_the_grade_is_only_in_the_set_that_says_so():
    with_grade = [name for name, one in CLINICAL_SETS.items() if "grade" in one.columns]
    assert with_grade == ["with_grade"] and "only after surgery" in CLINICAL_SETS["with_grade"].known
    before, after = (set(CLINICAL_SETS[name].columns) for name in ("all_before_surgery", "with_grade"))
    assert after - before == {"grade"}


@pytest.mark.parametrize("columns", [*CLINICAL_SETS, ("age", "sex")])
@pytest.mark.parametrize("kind", ["ridge", "forest"])
def test_it_reads_its_columns_only(columns, kind):
    model = ClinicalClassifier(columns, kind).fit(X, Y)
    proba = model.predict_proba(X)
    others = [c for c in X.columns if c[0] != "ehr" or c[1] not in model.columns_]
    changed = X.copy()
    changed[others] = np.nan
    np.testing.assert_array_equal(model.predict_proba(changed), proba)
    assert list(model.classes_) == ["wildtype", "mutant"] and len(model.predict(X)) == len(X)
    assert model.modalities == ("ehr",)


def test_a_patient_without_records_gets_the_shares_of_the_classes():
    model = ClinicalClassifier("sex_smoking").fit(X, Y)
    without = X.iloc[:2].copy()
    without.iloc[0, without.columns.get_level_values(0) == "ehr"] = np.nan
    np.testing.assert_allclose(model.predict_proba(without)[0], [0.7, 0.3])


@pytest.mark.parametrize("columns", ["sex_smoking", "with_grade"])
def test_it_reaches_what_the_columns_allow(columns):
    cohort = radiomics_phantom(300, 4, mutants=0.3, n_features=100)
    model = ClinicalClassifier(columns)
    result = mf.nested_cv(model, cohort, name="bar", baselines=False, where="serial", progress=False)
    best = radiomics_optimum(cohort, CLINICAL_SETS[columns].columns)
    row = result.scores["macro_auc"].loc["bar"]
    assert row["lo"] < best < row["hi"] + 0.03  # 240 patients leave a little of the optimum
    assert result.inputs() == {"bar": ("ehr",)}


def test_inputs_that_cannot_be_used():
    with pytest.raises(DataError, match=r"parameter columns.*sex_smoking, histology.*got 'everything'"):
        ClinicalClassifier("everything").fit(X, Y)
    with pytest.raises(DataError, match="parameter columns"):
        ClinicalClassifier([]).fit(X, Y)
    with pytest.raises(DataError, match="parameter kind"):
        ClinicalClassifier(kind="svm").fit(X, Y)
    without = X.drop(columns=("ehr", "grade"))
    with pytest.raises(DataError, match="column grade: the health records lack columns"):
        ClinicalClassifier("with_grade").fit(without, Y)
    with pytest.raises(DataError, match="got no records"):
        ClinicalClassifier("histology").fit(X[["ct"]], Y)


def test_expression_from_records():
    cohort = COHORT.with_target("expression")
    y = cohort.y.copy()
    y.iloc[:5, 0] = np.nan
    model = ClinicalRegressor("histology").fit(cohort.X, y)
    found = model.predict(cohort.X)
    assert found.shape == y.shape and np.isfinite(found).all()
    levels = pd.DataFrame(found).round(9).groupby(cohort.X["ehr", "histology"].to_numpy()).nunique()
    assert (levels == 1).all(axis=None)


def test_the_published_records(shared_data):
    """With other folds, sex and smoking had .63 [.50, .77], and all with grade had .82 and .84."""
    cohort = mf.load_cohort("r01_egfr", shared_data, site=True, grade=True).complete(["ct"])
    cohort = cohort.select(modalities=["ehr"])
    models = {name: ClinicalClassifier(name) for name in ("sex_smoking", "with_grade")}
    models["forest"] = ClinicalClassifier("with_grade", "forest")
    result = mf.nested_cv(
        models.pop("sex_smoking"), cohort, name="sex_smoking", baselines=models, where="serial",
        progress=False, repeats=2,
    )  # fmt: skip
    auc = result.scores["macro_auc"]["mean"]
    assert auc["sex_smoking"] == pytest.approx(0.63, abs=0.05)
    assert auc["with_grade"] == pytest.approx(0.82, abs=0.05)
    assert auc["forest"] == pytest.approx(0.84, abs=0.05)
