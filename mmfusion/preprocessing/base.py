"""The one kind of transformer there is: fitted inside the fold, on the rows it is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.tables.files import ID_HEADERS, header_key
from mmfusion.errors import DataError
from mmfusion.storage.hashing import hash_ids


class Stateful(BaseEstimator):
    """An estimator whose fitted state is JSON values and numpy arrays, nested as you like."""

    _unsaved: tuple[str, ...] = ()  # parameters that `state` leaves out, being needed by `fit` only
    _classes: dict[str, type[Stateful]] = {}  # by name, so that a state can hold others

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        Stateful._classes[cls.__name__] = cls

    def state(self) -> dict[str, object]:
        """Parameters and fitted attributes (those that end in "_"), copied; `from_state` is its inverse.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If an attribute has no JSON form and is no array.
        """
        check_is_fitted(self)
        params = {k: None if k in self._unsaved else _pack(v) for k, v in self.get_params(deep=False).items()}
        fitted = {
            k: _pack(v) for k, v in sorted(vars(self).items()) if k.endswith("_") and not k.startswith("_")
        }
        return {"class": type(self).__name__, "params": params, "fitted": fitted}

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> Stateful:
        """The fitted estimator that `state()` described.

        Raises
        ------
        DataError
            If the state is of another class.
        """
        if state["class"] != cls.__name__:
            raise DataError("state of another transformer", expected=cls.__name__, got=state["class"])
        new = cls(**{k: _unpack(v) for k, v in state["params"].items()})
        for name, value in state["fitted"].items():
            names = name == "feature_names_in_"  # saved as a tuple: an array of objects would need pickle
            setattr(new, name, np.array(value, dtype=object) if names else _unpack(value))
        return new


def _pack(value: object) -> object:
    if isinstance(value, Stateful):
        return value.state()
    if isinstance(value, np.ndarray):
        return tuple(value.tolist()) if value.dtype == object else value.copy()
    if isinstance(value, dict):
        return {k: _pack(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_pack(v) for v in value)
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _unpack(value: object) -> object:
    if isinstance(value, dict):
        if set(value) == {"class", "params", "fitted"}:
            return Stateful._classes[value["class"]].from_state(value)
        return {k: _unpack(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_unpack(v) for v in value)
    return value.copy() if isinstance(value, np.ndarray) else value


class FoldFitted(TransformerMixin, Stateful):
    """Base of the fold-fitted transformers of one modality's frame.

    A subclass writes `_fit(frame)` and `_transform(frame)`. Both get the rows that have the modality, never a
    row that is missing throughout; `_fit` gets them ordered by patient id, so that what is fitted does not depend
    on the order of rows. `_transform` returns an array whose first axis is the frame's rows (0 rows included).
    A subclass may narrow `_has(frame)`, which says who has the modality.

    Attributes
    ----------
    feature_names_in_ : ndarray of str objects, shape (n_columns,)
        Columns seen in `fit`.
    n_features_in_ : int
        How many.
    n_fitted_ : int
        Patients who had the modality in `fit`.
    fitted_ids_hash_ : str
        SHA-256 of their sorted ids: whom this transformer saw.
    """

    def fit(self, frame: pd.DataFrame, y: object = None) -> FoldFitted:
        """Learn from the rows given, and from no other.

        Parameters
        ----------
        frame : DataFrame, shape (n, n_columns)
            One modality's block: single-level columns, index patient_id. A row that is missing throughout is a
            patient who lacks the modality, and is ignored.
        y : ignored

        Raises
        ------
        DataError
            If it is no such frame, or no patient has the modality.
        """
        check_frame(frame)
        rows = frame.loc[self._has(frame)]
        if rows.empty:
            raise DataError(
                "no patient has this modality", expected="at least one row that is not missing throughout"
            )
        rows = rows.iloc[np.argsort(rows.index.astype(str), kind="stable")]
        vars(self).pop("fitted_ids_hash_", None)  # not fitted, should `_fit` fail
        self._fit(rows)
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        self.n_features_in_ = frame.shape[1]
        self.n_fitted_ = len(rows)
        self.fitted_ids_hash_ = hash_ids(rows.index)
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Array of float32 whose first axis is the rows of `frame`; zeros where the modality is missing.

        Raises
        ------
        NotFittedError
            Before `fit`.
        DataError
            If it is no frame of one modality, or holds values that cannot be read.
        """
        has = self.present(frame)
        values = self._transform(frame.loc[has])
        if has.all():
            return values
        out = np.zeros((len(frame), *values.shape[1:]), dtype=values.dtype)
        out[has] = values
        return out

    def present(self, frame: pd.DataFrame) -> np.ndarray:
        """Who has the modality, going by the columns seen in `fit`: bool, shape (n,); raises as `transform` does."""
        check_is_fitted(self, "fitted_ids_hash_")
        check_frame(frame)
        return self._has(frame[frame.columns.intersection(self.feature_names_in_, sort=False)])

    def _has(self, frame: pd.DataFrame) -> np.ndarray:
        """Who has the modality: bool, shape (n,)."""
        return frame.notna().any(axis=1).to_numpy()

    def _fit(self, frame: pd.DataFrame) -> None:
        raise NotImplementedError

    def _transform(self, frame: pd.DataFrame) -> np.ndarray:
        raise NotImplementedError


def check_frame(frame: pd.DataFrame) -> None:
    """Raise `DataError` unless this is one modality's frame: one column level, unique ids and columns."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            "not one modality's frame", expected="a DataFrame indexed by patient_id", got=type(frame).__name__
        )
    check_ids(frame.index)
    if frame.columns.nlevels != 1:
        raise DataError("columns have several levels", expected="one modality's frame, such as X['rna']")
    if not frame.shape[1]:
        raise DataError("a frame without columns", expected="at least one feature")
    alien = [c for c in frame.columns if not isinstance(c, str)]
    if alien:
        raise DataError(
            "a column's name is not a string", column=alien[0], expected="str", got=type(alien[0]).__name__
        )
    if frame.columns.has_duplicates:
        raise DataError("duplicate column", column=frame.columns[frame.columns.duplicated()][0])
    named = [c for c in frame.columns if header_key(c) in ID_HEADERS]
    if named:
        raise DataError("patient ids among the features", column=named[0], hint="make it the index")


def check_ids(index: pd.Index) -> None:
    """Raise `DataError` unless every row has a patient id of its own."""
    if index.isna().any():
        raise DataError("a row has no patient id", expected="a patient_id in every row")
    if index.has_duplicates:
        twice = index[index.duplicated()].unique()
        raise DataError(
            "duplicate patient id", patient=", ".join(map(str, twice[:5])), hint="keep one row per patient"
        )
