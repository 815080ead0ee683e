"""Each network leaves out a part of the rows, which calibrate all networks."""

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.staging.fitting import left_out_part
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort(90, seed=5, signal=2.0)


def test_parts_are_stratified_and_keep_persons_together():
    rng = np.random.default_rng(0)
    persons = np.r_[np.arange(60), rng.integers(60, size=30)]
    codes = (np.arange(60) % 3)[persons]
    part = left_out_part(codes, 4, seed=1, persons=persons)
    assert all(len(set(part[persons == p])) == 1 for p in set(persons))
    one_each = part[:60]
    for k in range(3):  # 20 persons of each class, an eighth for each of the four members
        counts = np.bincount(1 + one_each[codes[:60] == k], minlength=5)
        assert set(counts[1:]) <= {2, 3} and 8 <= counts[0] <= 12
    assert not np.array_equal(part, left_out_part(codes, 4, seed=2, persons=persons))


def test_one_network_sees_all_rows_and_ten_leave_out_all_of_them():
    codes = np.array([0, 1] * 20)
    assert (left_out_part(codes, 1, seed=0) == -1).all()
    assert np.bincount(left_out_part(codes, 10, seed=0)).tolist() == [4] * 10


def test_a_class_of_two_stays_in_every_network():
    codes = np.array([0] * 20 + [1] * 2)
    part = left_out_part(codes, 5, seed=0)
    assert all((codes[part != m] == 1).any() for m in range(5))


def test_mean_probabilities_are_the_training_shares_whatever_the_loss(cohort):
    """Balanced weights would give one third each; stage II is rare here."""
    y = cohort.y
    keep = (y != "II") | (np.arange(len(y)) % 4 == 0)
    X, y = cohort.X[keep], y[keep]
    for training in ({}, {"loss": "focal"}, {"loss_options": {"class_weight": None}}):
        settings = {**QUICK, "max_epochs": 10, "lr": 1e-3, "training": {"batch_size": 16, **training}}
        model = mf.StageClassifier(**settings)
        model.fit(X, y)
        np.testing.assert_allclose(model.predict_proba(X).mean(axis=0), model.prior_, atol=0.06)


def test_networks_share_slope_and_biases(cohort):
    model = mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y)
    steps = [member.calibration for member in model.module_.members]
    assert len({float(s.slope) for s in steps}) == 1 and float(steps[0].slope) != 1
    assert all((s.bias == steps[0].bias).all() for s in steps)


def test_rows_of_early_stopping_calibrate_a_single_network(cohort):
    alone = mf.StageClassifier(**QUICK, n_members=1).fit(cohort.X, cohort.y)
    assert float(alone.module_.members[0].calibration.slope) == 1
    alone.set_params(training__validation_fraction=0.3).fit(cohort.X, cohort.y)
    assert float(alone.module_.members[0].calibration.slope) != 1


def test_groups_change_what_is_left_out(cohort):
    persons = np.repeat(np.arange(45), 2)
    plain = mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y)
    own = mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y, groups=np.arange(90))
    grouped = mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y, groups=persons)
    assert not np.allclose(plain.predict_proba(cohort.X), grouped.predict_proba(cohort.X))
    assert own.predict_proba(cohort.X).shape == (90, 3)


def test_predict_follows_the_decision_and_probabilities_do_not(cohort):
    models = {
        rule: mf.StageClassifier(**QUICK, decision=rule, costs=costs).fit(cohort.X, cohort.y)
        for rule, costs in [("argmax", None), ("macro_f1", None), ("cost", [[0, 9, 9], [0, 0, 9], [0, 0, 0]])]
    }
    proba = models["argmax"].predict_proba(cohort.X)
    for model in models.values():
        np.testing.assert_array_equal(model.predict_proba(cohort.X), proba)
    assert (models["argmax"].predict(cohort.X) == np.array(["I", "II", "III"])[proba.argmax(axis=1)]).all()
    assert (models["cost"].predict(cohort.X) == "I").all()  # naming I costs nothing


@pytest.mark.parametrize("balance", ["reweight", "oversample"])
@pytest.mark.parametrize("by", ["class", "meta.site"])
def test_balanced_rows_do_not_shift_the_probabilities(cohort, balance, by):
    """Without the correction, balanced classes would give one third each, 0.28 from the shares."""
    y = cohort.y
    keep = (y != "II") | (np.arange(len(y)) % 4 == 0)
    X, y = cohort.X[keep], y[keep]
    training = {"batch_size": 16, "balance": balance, "balance_by": by}
    model = mf.StageClassifier(**{**QUICK, "max_epochs": 10, "training": training}).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X).mean(axis=0), model.prior_, atol=0.1)


def test_balance_changes_the_networks_and_is_reproducible(cohort):
    def fitted(**training):
        return mf.StageClassifier(**{**QUICK, "training": training}).fit(cohort.X, cohort.y)

    plain = fitted().predict_proba(cohort.X)
    found = {how: fitted(balance=how, balance_by="ehr.sex") for how in ("reweight", "oversample")}
    for how, model in found.items():
        p = model.predict_proba(cohort.X)
        assert np.abs(p - plain).max() > 1e-4
        assert np.array_equal(p, fitted(balance=how, balance_by="ehr.sex").predict_proba(cohort.X))


def test_a_balance_by_an_unknown_column_is_refused(cohort):
    model = mf.StageClassifier(**{**QUICK, "training": {"balance": "reweight", "balance_by": "ehr.gender"}})
    with pytest.raises(mf.MMFusionError, match="no such column to balance by"):
        model.fit(cohort.X, cohort.y)
