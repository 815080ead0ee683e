"""Result of one model on one outer fold, and its JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np

KINDS = ("probabilities", "values", "scores")


@dataclass(frozen=True)
class Predictions:
    """Predictions of a model for the test rows of one fold, as JSON values.

    Parameters
    ----------
    kind : {"probabilities", "values", "scores"}
        "probabilities" of classes, "values" of a vector, or "scores" of each patient's mask. Masks
        themselves are too large to keep.
    names : tuple of str
        Names of the classes, of the elements of the vector, or of the scores.
    values : list of list of float or None
        One row per patient, one column per name; None if there is no value.
    truth : list, optional
        One class per patient, or one row of values per patient with None for unknown values. Scores have no
        truth.
    decided : list of str, optional
        The class that the model decided on for each patient. None if the most probable class is meant.

    Examples
    --------
    >>> Predictions("values", ("EGFR", "KRAS"), [[0.5, None]], [[0.4, 1.0]]).array()
    array([[0.5, nan]])
    """

    kind: str
    names: tuple[str, ...]
    values: list[list[float | None]]
    truth: list | None = None
    decided: list[str] | None = None

    def array(self) -> np.ndarray:
        """Return the values as float64, shape (n, len(names)); NaN for None."""
        return np.array(self.values, dtype=float).reshape(len(self.values), len(self.names))


@dataclass(frozen=True)
class FoldResult:
    """Result of one model on one outer fold.

    Parameters
    ----------
    model, label : str
        Name of the model, and the name with the share of the training rows.
    repeat, fold : int
        Numbers of the repeat and of the fold within it, from 0.
    patients, person_ids : tuple of str
        Patient id of each test row, and the id of the person that the row belongs to.
    predictions : Predictions
        Predictions for the test rows.
    inputs : tuple of str
        Modalities that the model reads.
    train_fraction : float
        Share of the training rows that were used, in (0, 1].
    n_train : int
        Number of training rows that were used.
    params : mapping
        Parameters that the inner folds chose.
    trials : list of dict
        All trials of the search: score on the inner folds (`value`) and parameters.
    history : list of list of dict
        Losses of the refitted model, per member and epoch.
    bundle : str or None
        Folder of the saved model. None if it was not to be kept, or cannot be saved.
    savable : bool
        False if the model cannot be saved, such as an SVC, which holds rows of patients.
    seconds : float
        Wall-clock time of the search, the fit and the predictions, s.
    cpu_seconds : float
        Processor time of the fit and the predictions, without the search, s.
    peak_mib : float
        Largest resident memory of the process during the fit and the predictions, MiB.
    warnings : tuple of str
        Distinct warnings of the fit, as "Kind: text".

    Examples
    --------
    >>> found = Predictions("probabilities", ("I", "II"), [[0.75, 0.25]], ["I"])
    >>> result = FoldResult("ridge", "ridge", 0, 2, ("P1",), ("P1",), found)
    >>> result.key, FoldResult.from_json(result.to_json()) == result
    (('ridge', 0, 2), True)
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
    savable: bool = True
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int, int]:
        """Label, repeat and fold, which together identify a result of a cross-validation."""
        return self.label, self.repeat, self.fold

    def to_json(self) -> dict[str, object]:
        """Return the result as JSON values; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, object]) -> FoldResult:
        """Return the result that `to_json` described.

        Raises
        ------
        ValueError
            If a key is missing or unknown, or if the numbers of rows differ.
        """
        known = {f.name for f in fields(cls)}
        try:
            state = dict(state)
            if set(state) != known:
                raise ValueError(f"keys {sorted(known ^ set(state))}")
            found = Predictions(**state["predictions"])
            found = replace(found, names=tuple(found.names))
            tuples = {name: tuple(state[name]) for name in ("patients", "person_ids", "inputs", "warnings")}
            result = cls(**{**state, **tuples, "predictions": found})
        except TypeError as error:
            raise ValueError(f"not a fold's result: {error}") from error
        rows = [result.patients, result.person_ids, found.values]
        sizes = {len(part) for part in [*rows, *([found.decided] if found.decided is not None else [])]}
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
