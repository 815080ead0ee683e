"""The leak register, row by row: each test commits the sin, and the guard finds it.

What a guard cannot hold, and what is done instead:

- L-5: a network that was pretrained elsewhere, on patients that nobody published. Models of this library
  record their training patients, so that a frozen one is refused.
- L-7: a table that was filtered or scaled before it became a file. Notes of the known cohorts say so.
- L-11: a look at an external set outside this library. Every look inside is recorded.
- L-13: what a reader concludes from an explanation. The background has no patient, and the reports show
  refits on permuted labels.
- L-15: a threshold that a person chose after seeing the result. Inner folds choose those of this library,
  and they are saved with the model.
- L-16: one person with two ids, two scans and two profiles. Persons are declared; equal scans and profiles
  are found.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import mmfusion as mf
from mmfusion.data import Cohort, Splits, check_no_duplicates
from mmfusion.data.persons import person_ids
from mmfusion.data.profiles import find_same_profiles
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.external import SecondLookWarning
from mmfusion.evaluation.leakage.fitted import assert_unfitted
from mmfusion.evaluation.leakage.guards import check_forbidden
from mmfusion.evaluation.leakage.probe import assert_no_leak
from mmfusion.imaging import Volume, restore
from mmfusion.lesions.inference import prediction_boxes, stamp
from mmfusion.metrics import mask_scores, paired_table
from mmfusion.metrics.consistency import possible_tables
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.storage.hashing import hash_each_id
from mmfusion.synthetic import radiomics_phantom
from tests.cohorts import tiny_cohort

SERIAL = {"outer": 3, "inner": 2, "baselines": False, "where": "serial", "progress": False}
QUICK = {"max_epochs": 1, "n_members": 1}


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort(60, 3, missing=0.0)


@pytest.fixture(scope="module")
def noise():
    return radiomics_phantom(90, 1, "null").select(modalities=["ct"])


def lda_on_all(noise):
    return make_pipeline(FlatTransformer(), LinearDiscriminantAnalysis()).fit(noise.X, noise.y)


@pytest.mark.filterwarnings("ignore:Variables are collinear")
def test_l1_lda_on_all_patients_as_a_frozen_step(noise):
    fitted = lda_on_all(noise)
    sins = FrozenEstimator(fitted), FunctionTransformer(fitted.transform)
    for step in sins:
        with pytest.raises(LeakageError, match=r"fitted before the folds.*got a fitted (Pipeline|FlatTra)"):
            mf.nested_cv(make_pipeline(step, LogisticRegression()), noise, **SERIAL)
    assert_unfitted(make_pipeline(fitted, LogisticRegression()))  # a clone of it is unfitted


def test_l1_lda_on_all_patients_as_a_column(noise):
    score = lda_on_all(noise).transform(noise.X)
    table = pd.DataFrame({("ct", "lda"): score[:, 0]}, index=noise.X.index)
    with pytest.raises(LeakageError, match="column ct: lda: the inputs determine the label"):
        mf.nested_cv(DummyClassifier(), Cohort("reduced", table, noise.outcomes, "egfr"), **SERIAL)


def test_l2_l14_a_mask_that_was_made_with_the_true_box_is_stamped():
    assert stamp(mf.LesionSegmenter("raseg", box_mode="oracle")) == "oracle"
    assert stamp(mf.LesionSegmenter("raseg", box_mode="detector")) is None


def test_l2_l14_the_true_box_needs_the_true_mask():
    model = SimpleNamespace(box_mode="oracle", fitted_=SimpleNamespace(modalities=("ct",)), reader=None)
    with pytest.raises(DataError, match="no mask, and box_mode='oracle' reads the box of the true mask"):
        prediction_boxes(model, pd.Series({("ct", "volume"): "a.nii.gz"}, name="P1"), None)


def test_l14_what_was_measured_inside_the_mask_is_no_input_to_it():
    with pytest.raises(LeakageError, match="column sphericity"):
        check_forbidden([("ct", "sphericity")], "lesion")


def profiles(name, prefix, values, unit):
    ids = pd.Index([f"{prefix}{i:02d}" for i in range(len(values))], name="patient_id")
    genes = pd.MultiIndex.from_product([["rna"], [f"GENE{j}" for j in range(values.shape[1])]])
    outcomes = pd.DataFrame({"stage": ["IA", "IIIA"] * (len(values) // 2)}, index=ids)
    return Cohort(name, pd.DataFrame(values, ids, genes), outcomes, "stage2", units={"rna": unit})


def test_l3_one_expression_profile_under_two_ids():
    """The external cohort has 10 training patients, as logarithms, z-scored by gene, without some values."""
    rng = np.random.default_rng(0)
    tpm = rng.lognormal(rng.normal(3, 1, 120), 1.0, size=(70, 120))
    logs = np.log2(tpm[30:] + 1)
    zscores = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    zscores[rng.random(zscores.shape) < 0.02] = np.nan
    train, external = profiles("train", "A", tpm[:40], "tpm"), profiles("external", "B", zscores, "zscore")
    found = find_same_profiles(train, external)
    assert dict(zip(found["first"], found["second"])) == {f"A{30 + k}": f"B{k:02d}" for k in range(10)}
    with pytest.raises(LeakageError, match=r"the same expression profile under two patient ids"):
        check_no_duplicates(train, external)
    check_no_duplicates(train, profiles("other", "C", tpm[40:], "tpm"))
    twice = profiles("twice", "D", tpm[[*range(20), *range(4)]], "tpm")
    with pytest.raises(LeakageError, match=r"patient D\d\d = D\d\d \(rna, 1.00\)"):
        mf.nested_cv(DummyClassifier(), twice, check_scans=True, **SERIAL)
    with pytest.raises(LeakageError, match=r"patient D\d\d = D\d\d \(rna, 1.00\)"):  # copies are found anyway
        mf.nested_cv(DummyClassifier(), twice, **SERIAL)


class Spy(ClassifierMixin, BaseEstimator):
    """A model that records the patients of each fit, and those it predicted after it."""

    seen: list = []

    def __init__(self, strength: float = 1.0):
        self.strength = strength

    def fit(self, X, y):
        self.classes_, self.mine_ = np.unique(y), (frozenset(X.index), set())
        Spy.seen.append(self.mine_)
        return self

    def predict_proba(self, X):
        self.mine_[1].update(X.index)
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


def test_l4_l15_settings_are_chosen_without_the_patients_of_the_fold(cohort):
    Spy.seen.clear()
    search = {"strength": [1.0, 2.0]}
    mf.nested_cv(Spy(), cohort, search=search, n_trials=2, **SERIAL)
    assert Spy.seen and not any(trained & predicted for trained, predicted in Spy.seen)
    finals = [predicted for trained, predicted in Spy.seen if trained | predicted == set(cohort.X.index)]
    inner = [
        trained | predicted for trained, predicted in Spy.seen if trained | predicted != set(cohort.X.index)
    ]
    assert len(finals) == 3 and set().union(*finals) == set(cohort.X.index)
    assert len(inner) == 3 * 2 * 2 and all(sum(not one & held for held in finals) == 1 for one in inner)


class Encoder(TransformerMixin, BaseEstimator):
    """A feature extractor that records its training patients."""

    def fit(self, X, y=None):
        self.patients_ = sorted(hash_each_id(X.index))
        return self

    def transform(self, X):
        return np.zeros((len(X), 1))


def test_l5_features_of_a_network_that_saw_the_test_patients(cohort):
    met = FrozenEstimator(Encoder().fit(cohort.X))
    with pytest.raises(LeakageError, match=f"patient {cohort.X.index[0]}.*got a fitted Encoder"):
        mf.nested_cv(make_pipeline(met, LogisticRegression()), cohort, **SERIAL)
    other = FrozenEstimator(Encoder().fit(tiny_cohort(20, seed=8).X))
    mf.nested_cv(make_pipeline(other, LogisticRegression()), cohort, **SERIAL)


def test_l6_t_n_and_m_by_their_names():
    for column in ("t_stage", "Clinical.T.Stage", "clinical.N.stage", "Histopathological Grade"):
        with pytest.raises(LeakageError, match="known only with or after the stage"):
            check_forbidden([("ehr", column)], "stage3_ajcc7")


def test_l6_t_n_and_m_under_other_names(cohort):
    rng, stage = np.random.default_rng(0), cohort.y.astype(str)
    hidden = pd.Series(np.where(stage == "I", "x", np.where(rng.random(60) < 0.5, "y", "z")), stage.index)
    two = hidden.where(stage != "III", "w")
    with pytest.raises(LeakageError, match="column ehr: item_7"):
        assert_no_leak(pd.DataFrame({("ehr", "item_7"): two, ("ehr", "age"): cohort.X["ehr", "age"]}), stage)


def test_l7_genes_that_were_chosen_by_all_labels(noise):
    chosen = make_pipeline(FlatTransformer(), SelectKBest(f_classif, k=10)).fit(noise.X, noise.y)
    with pytest.raises(LeakageError, match="fitted before the folds"):
        mf.nested_cv(make_pipeline(FrozenEstimator(chosen), LogisticRegression()), noise, **SERIAL)


def test_l7_held_out_rows_cannot_change_what_is_fitted(cohort):
    """More in tests/contracts/test_transformers.py, for every transformer."""
    train, poisoned = cohort.X.index[:40], cohort.X.copy()
    poisoned.loc[cohort.X.index[40:], [("ehr", "age"), ("ct", "sphericity")]] = 1e9
    fitted = [FlatTransformer().fit(X.loc[train]).transform(cohort.X) for X in (cohort.X, poisoned)]
    np.testing.assert_array_equal(*fitted)


def people(cohort, n=2):
    """Rows of a cohort in pairs: two slices, scans or augmented copies of each person."""
    owner = pd.Series([f"person {k // n}" for k in range(len(cohort.table))], cohort.table.index)
    groups = cohort.groups.assign(patient=owner)
    return Cohort("pairs", cohort.table, cohort.outcomes, cohort.target, units=cohort.units, groups=groups)


def test_l8_l16_rows_of_one_person_on_both_sides_of_a_split(cohort):
    pairs = people(cohort)
    with pytest.raises(LeakageError, match="the splits separate the rows of one person"):
        mf.nested_cv(DummyClassifier(), pairs, **SERIAL | {"outer": Splits.make(pairs.y, n_splits=3)})
    together = Splits.make(pairs.y, groups=pairs.groups["patient"], n_splits=3)
    for train, test in together.split(pairs.X.index):
        person = pairs.groups["patient"].loc[pairs.X.index]
        assert not set(person.iloc[train]) & set(person.iloc[test])


def test_l9_an_augmented_file_is_of_the_same_person():
    rows = pd.DataFrame(
        [["p1", "p1.nii", ""], ["p1_flip", "p1_flip.nii", "p1.nii"], ["p2", "p2.nii", ""]],
        columns=["patient_id", "path", "derived_from"],
    )
    persons = person_ids(rows.itertuples(), pd.Index(rows["patient_id"]))
    assert persons["p1_flip"] == persons["p1"] != persons["p2"]  # splits keep them together: see L-8


def test_l10_l11_the_external_set_is_looked_at_once(cohort, tmp_path):
    other = tiny_cohort(40, seed=11, missing=0.0)
    for name in ("first", "second"):
        model = mf.StageClassifier(**QUICK, random_state=len(name))
        model.fit(cohort.X, cohort.y).save(tmp_path / name)
    mf.external_validation(tmp_path / "first", other)
    with pytest.raises(LeakageError, match="already judged"):
        mf.external_validation(tmp_path / "first", other)
    with pytest.warns(SecondLookWarning, match="look 2 of this model at tiny"):
        mf.external_validation(tmp_path / "first", other, again=True)
    with pytest.warns(SecondLookWarning, match=r"1 other models in this folder were judged on tiny: first"):
        mf.external_validation(tmp_path / "second", other)


def test_l12_models_on_different_patients_are_not_compared():
    rows = [(m, 0, 0, f"p{i}", "I" if i % 2 else "II") for m, n in (("a", 20), ("b", 12)) for i in range(n)]
    table = pd.DataFrame(rows, columns=["model", "repeat", "fold", "patient_id", "y_true"])
    table["p_I"] = np.random.default_rng(0).random(len(table))
    table["p_II"] = 1 - table["p_I"]
    with pytest.raises(DataError, match=r"not judged on the same patients.*a has 8 more"):
        paired_table(table, ["I", "II"], reference="b")


def test_l13_the_background_of_an_explanation_has_no_patient(cohort):

    model = mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y)
    genes = model.transformer_.transform(cohort.X).arrays["rna"]
    background = model.background_.arrays["rna"]
    assert np.abs(background[:, None] - genes[None]).max(axis=2).min() > 0.1


def test_l16_a_whole_site_can_be_held_out(cohort):
    sites = cohort.groups["site"].loc[cohort.y.index]
    splits = Splits.leave_site_out(cohort.y, sites)
    for train, test in splits.split(cohort.y.index):
        assert not set(sites.iloc[train]) & set(sites.iloc[test])


def test_l17_a_sphere_keeps_its_volume():
    """At any spacing: tests/imaging/test_geometry_properties.py and test_volume.py."""
    z, y, x = np.indices((30, 60, 60)) * np.array([3.0, 1.5, 1.5])[:, None, None, None]
    ball = ((z - 43.5) ** 2 + (y - 44.2) ** 2 + (x - 44.2) ** 2 < 30**2).astype(np.uint8)
    mask = Volume(ball, np.diag([1.5, 1.5, 3.0, 1.0]), unit="mask")
    assert mask.resample(2.0).volume_ml() == pytest.approx(4 / 3 * np.pi * 27, rel=0.03)
    with pytest.raises(AttributeError):
        ball.resample(2.0)  # an array has no spacing, and nothing resamples it


def test_l18_distances_are_in_mm_and_an_empty_mask_is_said():
    true, found = np.zeros((2, 8, 20, 20), bool)
    true[3:5, 5:9, 5:9] = True
    found[3:5, 5:9, 7:11] = True
    near, far = (mask_scores(true, found, spacing) for spacing in ((1.0, 1.0, 1.0), (1.0, 1.0, 3.0)))
    assert far["hd95"] == pytest.approx(3 * near["hd95"], rel=0.05) and near["dice"] == 0.5
    empty = mask_scores(true, np.zeros_like(true), (1.0, 1.0, 1.0))
    assert empty["dice"] == 0 and np.isnan(empty["hd95"])


def test_l19_a_restored_scan_is_still_in_hu():
    """For every restorer: tests/contracts/test_restorers.py."""
    array = np.random.default_rng(0).normal(-400, 200, (6, 24, 24)).astype(np.float32)
    scan = Volume(array, np.eye(4), unit="HU")
    restored = restore(scan, "bilateral")
    assert restored.unit == "HU" and abs(np.median(restored.array) - np.median(array)) < 60


def test_l20_numbers_that_no_table_of_counts_gives():
    assert possible_tables(23, 94, {"accuracy": 0.97, "f1": 0.95}).empty
    assert len(possible_tables(23, 94, {"accuracy": 0.97, "macro_f1": 0.95}))
