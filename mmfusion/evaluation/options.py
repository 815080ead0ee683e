"""Check the options of nested cross-validation before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real

from optuna.distributions import BaseDistribution

from mmfusion.errors import DataError, check_whole

_LOWEST = {"outer": 2, "inner": 2, "repeats": 1, "n_trials": 0}


def check_options(**numbers: object) -> None:
    """Check the numbers of folds, repeats and trials.

    Raises
    ------
    DataError
        If one of them is no whole number, or is too small.

    Examples
    --------
    >>> check_options(outer=5, repeats=1, n_trials=6)
    """
    for name, value in numbers.items():
        check_whole(name, value, _LOWEST[name])


def check_plans(search: object, baselines: object, learning_curve: object, n_trials: int = 1) -> None:
    """Check the search space, the baselines, and the shares of a learning curve.

    Raises
    ------
    DataError
        If the search space has something else than distributions and lists of choices, the baselines are
        neither True, False nor a mapping, or a share is not in (0, 1].

    Examples
    --------
    >>> check_plans({"lr": [1e-3, 1e-4]}, True, [0.5])
    """
    if search and not n_trials:
        raise DataError("a search without trials", parameter="n_trials", expected="1 or more", got=n_trials)
    if search is not None and not isinstance(search, Mapping):
        expected = "a mapping of parameter names to choices"
        raise DataError("unusable option", parameter="search", expected=expected, got=repr(search))
    for name, values in (search or {}).items():
        if not (isinstance(values, BaseDistribution) or (isinstance(values, list | tuple) and values)):
            expected = "an Optuna distribution, or a list of choices"
            name = f"search {name}"
            raise DataError("unusable option", parameter=name, expected=expected, got=repr(values))
    if not isinstance(baselines, bool | Mapping):
        expected = "True, False, or a mapping of names to estimators"
        raise DataError("unusable option", parameter="baselines", expected=expected, got=repr(baselines))
    shares = list(learning_curve) if isinstance(learning_curve, Iterable) else [None]
    if not all(isinstance(share, Real) and 0 < share <= 1 for share in shares):
        expected = "a sequence of shares above 0, at most 1"
        raise DataError(
            "unusable option", parameter="learning_curve", expected=expected, got=repr(learning_curve)
        )
