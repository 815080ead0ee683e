import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.data.splits import Splits
from mmfusion.errors import DataError


def labels(**counts):
    y = [k for k, n in counts.items() for _ in range(n)]
    return pd.Series(
        pd.Categorical(y, categories=list(counts), ordered=True), index=[f"p{i:03d}" for i in range(len(y))]
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(1, 3), st.integers(0, 1000), st.integers(10, 40))
def test_each_patient_is_held_out_once_per_repeat(n_splits, n_repeats, seed, n):
    y = labels(I=n, II=12)
    splits = Splits.make(y, n_splits=n_splits, n_repeats=n_repeats, random_state=seed)
    folds = list(splits.split(y.index))
    assert len(folds) == len(splits) == n_splits * n_repeats
    for repeat in range(n_repeats):
        tests = [test for _, test in folds[repeat * n_splits : (repeat + 1) * n_splits]]
        assert sorted(np.concatenate(tests)) == list(range(len(y)))
    for train, test in folds:
        assert not set(train) & set(test)
        assert abs((y.iloc[test] == "II").sum() - 12 / n_splits) < 1  # stratified


def test_repeats_and_seeds_differ_and_repeat_themselves():
    y = labels(I=30, II=30)
    splits = Splits.make(y, n_repeats=2, random_state=1)
    assert splits.test[:5] != splits.test[5:]
    assert splits == Splits.make(y, n_repeats=2, random_state=1)
    assert splits.hash != Splits.make(y, n_repeats=2, random_state=2).hash


def test_one_persons_rows_stay_together():
    y = labels(I=40, II=40)
    person = pd.Series([f"q{i // 2}" for i in range(80)], index=y.index)
    for train, test in Splits.make(y, person, n_repeats=3).split(y.index):
        assert not set(person.iloc[train]) & set(person.iloc[test])


def test_one_site_at_a_time():
    y = labels(I=6, II=6)
    sites = pd.Series(["b", "a", "c"] * 4, index=y.index)
    splits = Splits.leave_site_out(y, sites)
    assert splits.names == ("a", "b", "c")
    for name, (train, test) in zip(splits.names, splits.split(y.index)):
        assert set(sites.iloc[test]) == {name}
        assert name not in set(sites.iloc[train])


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        (["a"] * 4, "only one site"),
        (["a", None, "b", "b"], "no site"),
        (["a", "b", "b", "b"], "at two sites"),
    ],
)
def test_sites_that_cannot_be_left_out(sites, message):
    y = labels(I=2, II=2)
    with pytest.raises(DataError, match=message):
        Splits.leave_site_out(
            y, pd.Series(sites, index=y.index), pd.Series(["q", "q", "r", "s"], index=y.index)
        )


def test_fewer_patients_than_folds():
    with pytest.raises(DataError, match="class IV has 3 patients, too few for 5 folds") as raised:
        Splits.make(labels(I=20, IV=3))
    assert raised.value.hint and "late_vs_early" not in raised.value.hint
    assert "IV: 3" in raised.value.got
    with pytest.raises(DataError, match=r"(?s)too few.*stage2: I < II-IV.*late_vs_early: I-II < III-IV"):
        Splits.make(labels(I=20, IV=3).rename("stage4_ajcc7"))


def test_people_count_not_rows():
    y = labels(I=20, II=10)
    person = pd.Series([f"q{i}" for i in range(20)] + ["r", "s"] * 5, index=y.index)
    with pytest.raises(DataError, match="class II has 2 patients"):
        Splits.make(y, person)


def test_bad_labels():
    y = labels(I=10, II=10)
    with pytest.raises(DataError, match="duplicate"):
        Splits.make(pd.concat([y, y]))
    with pytest.raises(DataError, match="no class") as raised:
        Splits.make(y.where(y.index != "p003"))
    assert raised.value.patient == "p003"
    with pytest.raises(DataError, match="only one class"):
        Splits.make(y[:10])
    with pytest.raises(DataError, match="no group"):
        Splits.make(y, y.astype(str)[:5])


def test_unknown_and_fewer_ids():
    y = labels(I=10, II=10)
    splits = Splits.make(y)
    with pytest.raises(DataError, match="not in the splits") as raised:
        list(splits.split([*y.index, "stranger"]))
    assert raised.value.patient == "stranger"
    with pytest.raises(DataError, match="duplicate"):
        list(splits.split([*y.index, "p000"]))
    with pytest.raises(DataError, match="no test rows"):
        list(splits.split(sorted(set(y.index) - set(splits.test[0]))))
    fewer = y.index[::-1].drop(list(splits.test[0][1:]))
    train, test = next(splits.split(fewer))
    assert list(fewer[test]) == [splits.test[0][0]]
    assert len(train) == len(fewer) - 1


def test_save_and_load(tmp_path):
    splits = Splits.make(labels(I=10, II=10), n_repeats=2)
    path = splits.save(tmp_path / "deep" / "splits.json")
    assert Splits.load(path) == splits
    assert [p.name for p in path.parent.iterdir()] == ["splits.json"]
    assert json.loads(path.read_text())["versions"]["scikit-learn"]


def test_overlap_is_refused(tmp_path):
    with pytest.raises(DataError, match="held out twice"):
        Splits((("a", "b"), ("b", "c")), 2)
    with pytest.raises(DataError, match="every repeat"):
        Splits((("a",), ("b",), ("a",), ("c",)), 2)
    with pytest.raises(DataError, match="whole repeats"):
        Splits((("a",), ("b",), ("c",)), 2)


def test_changed_or_foreign_file(tmp_path):
    path = Splits.make(labels(I=10, II=10)).save(tmp_path / "s.json")
    state = json.loads(path.read_text())
    state["test"][0], state["test"][1] = state["test"][0][1:], [*state["test"][1], state["test"][0][0]]
    path.write_text(json.dumps(state))
    with pytest.raises(DataError, match="changed since"):
        Splits.load(path)
    for text in ("[]", "{}", "no json"):
        path.write_text(text)
        with pytest.raises(DataError, match="not saved splits"):
            Splits.load(path)


@pytest.mark.parametrize("kind", ["vector", "mask"])
@pytest.mark.parametrize("grouped", [False, True])
def test_folds_of_vectors_and_masks_are_not_stratified(kind, grouped):
    index = [f"p{i:02d}" for i in range(20)]
    vector = pd.DataFrame({"EGFR": np.arange(20.0), "MET": [np.nan, *range(19)]}, index=index)
    y = vector if kind == "vector" else pd.Series([f"{p}.nii" for p in index], index=index, name="lesion")
    groups = pd.Series([f"g{i // 2}" for i in range(20)], index=index) if grouped else None
    splits = Splits.make(y, groups, n_splits=5, n_repeats=2, random_state=3)
    assert splits == Splits.make(y, groups, n_splits=5, n_repeats=2, random_state=3)
    assert splits.test[:5] != splits.test[5:]
    for _, test in splits.split(index):
        assert len(test) == 4
        assert not grouped or all(i ^ 1 in test for i in test)  # pairs stay together


def test_too_few_for_folds_without_classes():
    y = pd.Series(["a.nii", "b.nii"], index=["a", "b"], name="lesion")
    with pytest.raises(DataError, match="too few patients"):
        Splits.make(y, n_splits=3)


def test_a_seed_that_cannot_be_used():
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        Splits.make(labels(I=10, II=10), random_state=-1)
