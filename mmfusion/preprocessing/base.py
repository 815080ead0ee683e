"""Base classes of the transformers, which are fitted inside a fold on its training rows."""

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
    """Estimator whose fitted state consists of JSON values and numpy arrays, nested in any way.

    Examples
    --------
    >>> from mmfusion.preprocessing.tables import TableTransformer
    >>> ages = pd.DataFrame({"age": [60.0, 70.0]}, index=["p1", "p2"])
    >>> state = TableTransformer().fit(ages).state()
    >>> TableTransformer.from_state(state).transform(ages)[:, 0].tolist()
    [[-1.0], [1.0]]
    """

    _unsaved: tuple[str, ...] = ()  # parameters that only `fit` needs, so `state` leaves them out
    _classes: dict[str, type[Stateful]] = {}  # by name, so that a state can hold others

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        Stateful._classes[cls.__name__] = cls

    def state(self) -> dict[str, object]:
        """Return a copy of the parameters and the fitted attributes (names that end in "_").

        `from_state` is the inverse.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If an attribute has no JSON form and is not an array.
        """
        check_is_fitted(self)
        params = {k: None if k in self._unsaved else _pack(v) for k, v in self.get_params(deep=False).items()}
        fitted = {
            k: _pack(v) for k, v in sorted(vars(self).items()) if k.endswith("_") and not k.startswith("_")
        }
        return {"class": type(self).__name__, "params": params, "fitted": fitted}

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> Stateful:
        """Return a fitted estimator with this state.

        Parameters
        ----------
        state : mapping
            Output of `state`.

        Raises
        ------
        DataError
            If the state belongs to another class.
        """
        if state["class"] != cls.__name__:
            raise DataError("state of another transformer", expected=cls.__name__, got=state["class"])
        new = cls(**{k: _unpack(v) for k, v in state["params"].items()})
        for name, value in state["fitted"].items():
            names = name == "feature_names_in_"  # saved as a tuple because an array of objects needs pickle
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
    if isinstance(value, np.generic):
        return value.item()
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
    """Base class of the fold-fitted transformers of one modality's frame.

    A subclass writes `_fit(frame)` and `_transform(frame)`. Both get only the rows of patients who have the
    modality. `_fit` gets them ordered by patient id, so that the fitted state does not depend on the order of
    rows. `_transform` returns an array whose first axis is the rows of the frame; the frame may have 0 rows.
    A subclass may override `_has(frame)`, which returns the mask of patients who have the modality.

    Attributes
    ----------
    feature_names_in_ : ndarray of str objects, shape (n_columns,)
        Columns in `fit`.
    n_features_in_ : int
        Number of columns in `fit`.
    n_fitted_ : int
        Number of patients who had the modality in `fit`.
    fitted_ids_hash_ : str
        SHA-256 hash of the sorted ids of these patients.

    Examples
    --------
    >>> from mmfusion.preprocessing.tables import TableTransformer
    >>> ages = pd.DataFrame({"age": [60.0, 70.0, np.nan]}, index=["p1", "p2", "p3"])
    >>> TableTransformer().fit(ages).transform(ages)[:, 0].tolist()  # zero without the modality
    [[-1.0], [1.0], [0.0]]
    """

    def fit(self, frame: pd.DataFrame, y: object = None) -> FoldFitted:
        """Fit the transformer to the training rows.

        Parameters
        ----------
        frame : DataFrame, shape (n, n_columns)
            Training rows of one modality: single-level columns, index patient_id. A patient who lacks the
            modality has a row of missing cells, which is ignored.
        y : ignored

        Raises
        ------
        DataError
            If the frame is malformed, or if no patient has the modality.
        """
        check_frame(frame)
        rows = frame.loc[self._has(frame)]
        if rows.empty:
            raise DataError(
                "no patient has this modality", expected="at least one row with a cell that is not missing"
            )
        rows = rows.iloc[np.argsort(rows.index.astype(str), kind="stable")]
        vars(self).pop("fitted_ids_hash_", None)  # if `_fit` fails, the transformer is not fitted
        self._fit(rows)
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        self.n_features_in_ = frame.shape[1]
        self.n_fitted_ = len(rows)
        self.fitted_ids_hash_ = hash_ids(rows.index)
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Return a float32 array whose first axis is the rows of `frame`.

        The values of a patient who lacks the modality are zeros.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        DataError
            If the frame is malformed, or holds a value that cannot be read.
        """
        has = self.present(frame)
        values = self._transform(frame.loc[has])
        if has.all():
            return values
        out = np.zeros((len(frame), *values.shape[1:]), dtype=values.dtype)
        out[has] = values
        return out

    def present(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the mask of patients who have the modality, bool, shape (n,).

        Only columns that were in `fit` count. Errors are those of `transform`.
        """
        check_is_fitted(self, "fitted_ids_hash_")
        check_frame(frame)
        return self._has(frame[frame.columns.intersection(self.feature_names_in_, sort=False)])

    def _has(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the mask of rows with a cell that is not missing, bool, shape (n,)."""
        return frame.notna().any(axis=1).to_numpy()

    def _fit(self, frame: pd.DataFrame) -> None:
        raise NotImplementedError

    def _transform(self, frame: pd.DataFrame) -> np.ndarray:
        raise NotImplementedError


def check_frame(frame: pd.DataFrame) -> None:
    """Raise a `DataError` unless this is one modality's frame: one column level, unique ids and columns.

    >>> check_frame(pd.DataFrame({"age": [61]}, index=["p1"]))
    >>> check_frame(pd.DataFrame({"age": [61, 70]}, index=["p1", "p1"]))
    Traceback (most recent call last):
    mmfusion.errors.DataError: patient p1: duplicate patient id -> keep one row per patient
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            "not one modality's frame", expected="a DataFrame indexed by patient_id", got=type(frame).__name__
        )
    check_ids(frame.index)
    if frame.columns.nlevels != 1:
        raise DataError("columns have several levels", expected="one modality's frame, such as X['rna']")
    if not frame.shape[1]:
        raise DataError("a frame without columns", expected="at least one feature")
    other = [c for c in frame.columns if not isinstance(c, str)]
    if other:
        raise DataError(
            "a column's name is not a string", column=other[0], expected="str", got=type(other[0]).__name__
        )
    if frame.columns.has_duplicates:
        raise DataError("duplicate column", column=frame.columns[frame.columns.duplicated()][0])
    named = [c for c in frame.columns if header_key(c) in ID_HEADERS]
    if named:
        raise DataError("patient ids among the features", column=named[0], hint="make it the index")


def check_ids(index: pd.Index) -> None:
    """Raise a `DataError` if a patient id is missing or occurs twice.

    Examples
    --------
    >>> check_ids(pd.Index(["p1", "p2"]))
    >>> check_ids(pd.Index(["p1", "p1"]))
    Traceback (most recent call last):
        ...
    mmfusion.errors.DataError: patient p1: duplicate patient id -> keep one row per patient
    """
    if index.isna().any():
        raise DataError("a row has no patient id", expected="a patient_id in every row")
    if index.has_duplicates:
        twice = index[index.duplicated()].unique()
        raise DataError(
            "duplicate patient id", patient=", ".join(map(str, twice[:5])), hint="keep one row per patient"
        )
