"""Guard against parts of a model that were fitted before the cross-validation and stay fitted in its folds.

`sklearn.base.clone` makes a new, unfitted model for each fold. It does not do so for a frozen part
(`FrozenEstimator`), or for a method of a fitted transformer that a `FunctionTransformer` calls. If such a
part was fitted on patients of the cohort, it has seen the test patients.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.cohort import Cohort
from mmfusion.errors import LeakageError
from mmfusion.evaluation.unseen import fitted_on

_SHOWN = 5


def assert_unfitted(estimator: BaseEstimator, cohort: Cohort | None = None) -> None:
    """Raise a `LeakageError` if a part of an estimator stays fitted when the estimator is cloned.

    A fitted estimator as a whole is accepted, because its clone is unfitted. A part that records its training
    patients (`patients_`), as the models of this library do, is accepted if none is in the cohort.

    Parameters
    ----------
    estimator : estimator
        Model that will be cross-validated.
    cohort : Cohort, optional
        The patients. Without it, every part that stays fitted is an error.

    Raises
    ------
    LeakageError
        The error names the part and its class.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.naive_bayes import GaussianNB
    >>> scaler = StandardScaler().fit([[0.0], [1.0]])
    >>> assert_unfitted(make_pipeline(scaler, GaussianNB()))  # each fold fits the scaler anew
    >>> frozen = make_pipeline(FrozenEstimator(scaler), GaussianNB())
    >>> assert_unfitted(frozen)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    mmfusion.errors.LeakageError: the part 'frozenestimator' of the model was fitted before the folds ...
    """
    for name, part in _parts(clone(estimator)):
        if not _fitted(part):
            continue
        if cohort is not None and hasattr(part, "patients_"):
            met = fitted_on(part, cohort, cohort.X.index)
            if not met:
                continue
            patients = ", ".join(map(str, met[:_SHOWN]))
        else:
            patients = None
        raise LeakageError(
            f"the part {name!r} of the model was fitted before the folds, and stays fitted in them",
            patient=patients,
            expected="a part that is fitted in each fold",
            got=f"a fitted {type(part).__name__}",
            hint="give it unfitted, as a step of a Pipeline; allow_leaky=True of the model accepts it",
        )


def _parts(estimator: BaseEstimator, of: str = "") -> Iterator[tuple[str, object]]:
    """Yield the estimators among the parameters, and those whose methods are parameters, by name."""
    for name, value in estimator.get_params(deep=False).items():
        for key, one, *_ in value if _is_steps(value) else [(name, value)]:
            one = one.func if isinstance(one, partial) else one
            part = getattr(one, "__self__", None) if callable(one) else one
            if isinstance(part, BaseEstimator) and not isinstance(part, type):
                place = f"{of}.{key}" if of else key
                yield place, part
                yield from _parts(part, place)


def _is_steps(value: object) -> bool:
    """Return True for the steps of a Pipeline, and for other lists of names and estimators."""
    return isinstance(value, list) and all(isinstance(v, tuple) and len(v) >= 2 for v in value)


def _fitted(part: object) -> bool:
    """Return True if an estimator has learned something from data."""
    if not any(key.endswith("_") and not key.startswith("_") for key in vars(part)):
        return False  # a FunctionTransformer counts as fitted in scikit-learn, and learns nothing
    try:
        check_is_fitted(part)
    except (NotFittedError, TypeError):  # a TypeError: a part that is no transformer and has no `fit`
        return False
    return True
