"""Several rows of one person: they stay together in every fold, and count as one in every interval."""

import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import mmfusion as mf
from mmfusion.data.splits import Splits
from mmfusion.errors import LeakageError
from mmfusion.evaluation import folds as folds_module
from mmfusion.evaluation.baselines import PriorWhereAbsent
from mmfusion.metrics import score_table
from mmfusion.preprocessing.flat import FlatTransformer
from tests.cohorts import tiny_cohort


def logistic():
    return make_pipeline(FlatTransformer(), LogisticRegression(max_iter=500))


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort(90, seed=2)


def twice(cohort):
    """Every patient scanned twice."""
    table = pd.concat([cohort.table, cohort.table.rename(index="{}-again".format)])
    groups = pd.DataFrame(
        {"patient": [str(i).removesuffix("-again") for i in table.index]}, index=table.index
    )
    outcomes = pd.concat([cohort.outcomes, cohort.outcomes.rename(index="{}-again".format)])
    return mf.Cohort("twice", table, outcomes, cohort.target, units=cohort.units, groups=groups)


def test_precision_is_that_of_people_not_of_rows(cohort):
    once = mf.nested_cv(logistic(), cohort, baselines=False, outer=3, progress=False).predictions
    both = pd.concat([once, once.assign(patient_id=once["patient_id"] + "-again")])
    tables = [score_table(t, ("I", "II", "III"), metrics=["macro_auc", "brier"]) for t in (once, both)]
    pd.testing.assert_frame_equal(*tables)


def test_nobody_is_on_both_sides_of_an_inner_fold(cohort, monkeypatch):
    data = twice(cohort)
    shared = []
    original = folds_module.OptunaSearchCV.fit

    def fit(self, X, y=None, **kwargs):
        person_ids = data.groups.loc[X.index, "patient"].to_numpy()
        shared.extend(set(person_ids[a]) & set(person_ids[b]) for a, b in self.cv)
        return original(self, X, y, **kwargs)

    monkeypatch.setattr(folds_module.OptunaSearchCV, "fit", fit)
    model = make_pipeline(FlatTransformer(), LogisticRegression(max_iter=500))
    search = {"logisticregression__C": [0.1, 1.0]}
    settings = {
        "outer": 2,
        "inner": 3,
        "n_trials": 1,
        "baselines": False,
        "where": "serial",
        "progress": False,
    }
    mf.nested_cv(model, data, search=search, **settings)
    assert len(shared) == 6 and not any(shared)


def test_splits_that_part_a_person_are_refused(cohort):
    data = twice(cohort)
    with pytest.raises(LeakageError, match="the splits separate the rows of one person"):
        mf.nested_cv(logistic(), data, outer=Splits.make(data.y, n_splits=3), progress=False)


class Grouped(DummyClassifier):
    """A model that learns which rows belong to one person."""

    def fit(self, X, y, groups=None):
        self.persons_ = None if groups is None else list(groups)
        return super().fit(X, y)


@pytest.mark.parametrize("search", [None, {"strategy": ["prior", "uniform"]}])
def test_a_model_that_asks_learns_who_is_one_person(cohort, search, monkeypatch):
    data, seen = twice(cohort), []
    original = Grouped.fit

    def fit(self, X, y, groups=None):
        if groups is not None:
            seen.append(list(groups) == data.groups.loc[X.index, "patient"].astype(str).tolist())
        return original(self, X, y, groups)

    monkeypatch.setattr(Grouped, "fit", fit)
    options = {"outer": 2, "baselines": False, "where": "serial", "progress": False, "n_trials": 2}
    mf.nested_cv(Grouped(), data, search=search, **options)
    assert seen == [True, True]


def test_a_single_modality_passes_the_persons_on():
    X = pd.DataFrame({("ehr", "age"): [50.0, 60.0, None, 70.0], ("ct", "volume"): list("abcd")})
    model = PriorWhereAbsent(Grouped(), ["ehr"])
    model.fit(X, pd.Series(["I", "I", "II", "II"]), groups=["p", "p", "q", "r"])
    assert model.estimator_.persons_ == ["p", "p", "r"]
    assert model.predict(X).tolist() == ["I", "I", "I", "I"]
