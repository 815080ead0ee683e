import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from mmfusion.errors import DataError
from mmfusion.preprocessing.base import FoldFitted, Stateful
from mmfusion.storage.hashing import hash_ids


class Centre(FoldFitted):
    def __init__(self, factor=1.0):
        self.factor = factor

    def _fit(self, frame):
        self.order_ = tuple(frame.index)
        self.mean_ = frame.to_numpy(dtype=float).mean(axis=0)

    def _transform(self, frame):
        return ((frame.to_numpy(dtype=float) - self.mean_) * self.factor).astype(np.float32)


@pytest.fixture
def frame():
    values = [[1.0, 2.0], [3.0, 6.0], [np.nan, np.nan], [5.0, 1.0]]
    return pd.DataFrame(values, index=["c", "a", "d", "b"], columns=["x", "y"])


def test_absent_rows_are_ignored_by_fit_and_zero_after(frame):
    centre = Centre().fit(frame)
    np.testing.assert_array_equal(centre.mean_, [3, 3])
    np.testing.assert_array_equal(centre.transform(frame), [[-2, -1], [0, 3], [0, 0], [2, -2]])
    np.testing.assert_array_equal(centre.present(frame), [True, True, False, True])


def test_remembers_whom_it_saw(frame):
    centre = Centre().fit(frame)
    assert (
        centre.n_fitted_ == 3 and list(centre.feature_names_in_) == ["x", "y"] and centre.n_features_in_ == 2
    )
    assert centre.fitted_ids_hash_ == hash_ids(pd.Index(["b", "a", "c"])) != hash_ids(frame.index)
    assert centre.order_ == ("a", "b", "c")  # whatever the order of rows


def test_refuses_transform_before_fit(frame):
    for call in (Centre().transform, Centre().present):
        with pytest.raises(NotFittedError):
            call(frame)
    with pytest.raises(NotFittedError):
        Centre().state()


def test_a_fit_that_failed_leaves_nothing_that_looks_fitted(frame):
    centre = Centre().fit(frame)
    with pytest.raises(ValueError, match="could not convert"):
        centre.fit(frame.astype(object).fillna("?"))
    with pytest.raises(NotFittedError):
        centre.transform(frame)


def test_clone_drops_what_was_fitted(frame):
    copy = clone(Centre(factor=2.0).fit(frame))
    assert copy.factor == 2.0 and not hasattr(copy, "mean_")


def test_state_is_a_copy(frame):
    centre = Centre().fit(frame)
    state = centre.state()
    state["fitted"]["mean_"][:] = 99
    np.testing.assert_array_equal(centre.mean_, [3, 3])
    other = Centre.from_state(centre.state())
    other.mean_[:] = 7
    np.testing.assert_array_equal(centre.mean_, [3, 3])


def test_state_of_another_class(frame):
    with pytest.raises(DataError, match="another transformer"):
        Other.from_state(Centre().fit(frame).state())


class Other(Stateful):
    def fit(self):
        self.inner_ = {"a": object()}
        return self


def test_what_cannot_be_saved_is_said_at_once():
    with pytest.raises(TypeError, match="object has no JSON form"):
        Other().fit().state()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.to_numpy(), "expected a DataFrame"),
        (lambda f: f.rename(index={"a": "c"}), "patient c: duplicate patient id"),
        (lambda f: f.rename(index={"a": None}), "no patient id"),
        (lambda f: f.rename(columns={"x": "y"}), "column y: duplicate column"),
        (lambda f: f.rename(columns={"x": 3}), "not a string"),
        (lambda f: f.set_axis(pd.MultiIndex.from_product([["ehr"], f.columns]), axis=1), "several levels"),
        (lambda f: f[[]], "without columns"),
        (lambda f: f.iloc[[2]], "no patient has this modality"),
        (lambda f: f.assign(**{"Case ID": "R01-001"}), "column Case ID: patient ids among the features"),
    ],
)
def test_bad_frames(frame, change, match):
    with pytest.raises(DataError, match=match):
        Centre().fit(change(frame))
