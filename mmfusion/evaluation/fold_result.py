"""What one outer fold of one model gives, and its form in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields

import numpy as np

KINDS = ("probabilities", "values", "scores")


@dataclass(frozen=True)
class Predictions:
    """What a model predicts for the test rows of one fold, as JSON can hold it.

    Parameters
    ----------
    kind : {"probabilities", "values", "scores"}
        Of classes; of a vector; or scores of each patient's mask, since masks are too large to keep.
    names : tuple of str
        The classes, the elements of the vector, or the scores.
    values : list of list of float or None
        A row per patient, a column per name; None where there is no value.
    truth : list, optional
        A class per patient; or a row of values per patient, None where unknown. Scores need none.
    """

    kind: str
    names: tuple[str, ...]
    values: list[list[float | None]]
    truth: list | None = None

    def array(self) -> np.ndarray:
        """Return the values as float64, shape (n, len(names)), NaN where there are none."""
        return np.array(self.values, dtype=float).reshape(len(self.values), len(self.names))


@dataclass(frozen=True)
class FoldResult:
    """One model on one outer fold.

    Parameters
    ----------
    model, label : str
        Its name, and its name with the share of the training rows.
    repeat, fold : int
        Which fold.
    patients, person_ids : tuple of str
        Patient id of each test row, and the person that it belongs to.
    predictions : Predictions
        For the test rows.
    inputs : tuple of str
        Modalities that the model reads.
    train_fraction : float
        Share of the training rows used.
    n_train : int
        Training rows used.
    params : mapping
        What the inner folds chose.
    trials : list of dict
        Every trial of the search: its inner score (`value`) and parameters.
    history : list of list of dict
        Losses of the refitted model, per member and epoch.
    bundle : str or None
        Where the model was saved.
    seconds : float
        Wall-clock seconds.
    warnings : tuple of str
        Each warning that was given, once, as "Kind: text".
    """

    model: str
    label: str
    repeat: int
    fold: int
    patients: tuple[str, ...]
    person_ids: tuple[str, ...]
    predictions: Predictions
    inputs: tuple[str, ...] = ()
    train_fraction: float = 1.0
    n_train: int = 0
    params: Mapping[str, object] = field(default_factory=dict)
    trials: Sequence[Mapping[str, object]] = ()
    history: Sequence[Sequence[Mapping[str, object]]] = ()
    bundle: str | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int, int]:
        """Label, repeat and fold, which no two results of a cross-validation share."""
        return self.label, self.repeat, self.fold

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, object]) -> FoldResult:
        """Return what `to_json` described.

        Raises
        ------
        ValueError
            If it is not that: a key is missing or unknown, or rows differ in number.
        """
        known = {f.name for f in fields(cls)}
        try:
            state = dict(state)
            if set(state) != known:
                raise ValueError(f"keys {sorted(known ^ set(state))}")
            found = Predictions(**state["predictions"])
            found = Predictions(found.kind, tuple(found.names), found.values, found.truth)
            tuples = {name: tuple(state[name]) for name in ("patients", "person_ids", "inputs", "warnings")}
            result = cls(**{**state, **tuples, "predictions": found})
        except TypeError as error:
            raise ValueError(f"not a fold's result: {error}") from error
        sizes = {len(result.patients), len(result.person_ids), len(found.values)}
        if len(sizes) != 1 or found.kind not in KINDS:
            raise ValueError(f"not a fold's result: {sizes} rows, kind {found.kind!r}")
        return result


def json_rows(values: np.ndarray) -> list[list[float | None]]:
    """Return an array (n, C) as lists, with None for NaN.

    Examples
    --------
    >>> json_rows(np.array([[0.5, np.nan]]))
    [[0.5, None]]
    """
    return [[v if np.isfinite(v) else None for v in row] for row in np.asarray(values, dtype=float).tolist()]
