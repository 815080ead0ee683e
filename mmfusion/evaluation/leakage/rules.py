"""Registry of the rules that find inputs that determine the label; each target names its rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import pandas as pd

from mmfusion.data.targets.base import Target, find_target
from mmfusion.errors import DataError, did_you_mean

Find = Callable[..., pd.DataFrame]
# modules that register a rule; `source_hash` finds their full names here
_HOMES = ("mmfusion.evaluation.leakage.probe", "mmfusion.evaluation.leakage.correlation")


@dataclass(frozen=True)
class ProbeRule:
    """Rule for one kind of label.

    Parameters
    ----------
    name : str
        Name of the rule, which `Target.probe` refers to.
    find : callable
        `find(X, y, random_state=0)` returns a table with one row per suspect: `columns`, `kind` and the
        score.
    score : str
        Name of the column with the score.
    limit : str
        Condition that inputs must satisfy, for error messages.

    Examples
    --------
    >>> rule = ProbeRule("none", _nothing, score="score", limit="anything")
    >>> len(rule.find(pd.DataFrame({"age": [60, 70]}), ["I", "II"]))
    0
    """

    name: str
    find: Find
    score: str
    limit: str


_RULES: dict[str, ProbeRule] = {}


def register_rule(name: str, *, score: str, limit: str) -> Callable[[Find], Find]:
    """Return a decorator that registers a function as the rule `name`; see `ProbeRule`."""

    def add(find: Find) -> Find:
        _RULES[name] = ProbeRule(name, find, score, limit)
        return find

    return add


def get_rule(name: str) -> ProbeRule:
    """Return the rule of this name.

    Raises
    ------
    DataError
        If there is no such rule. The error lists the rules.

    Examples
    --------
    >>> get_rule("lookup").score
    'balanced_accuracy'
    """
    for home in _HOMES:
        import_module(home)
    if name not in _RULES:
        known, hint = ", ".join(sorted(_RULES)), did_you_mean(name, _RULES)
        raise DataError(f"no probe rule called {name!r}", expected=known, hint=hint)
    return _RULES[name]


def rule_for(y: object, target: Target | None = None) -> ProbeRule:
    """Return the rule of a target, or the rule that fits the labels if no target is given.

    Without `target`, the target with the name of the Series `y` is used. If there is none, the rule is
    "correlation" for a DataFrame and "lookup" for classes.

    Examples
    --------
    >>> rule_for(["I", "II"]).name
    'lookup'
    """
    if target is None and isinstance(y, pd.Series):
        target = find_target(y.name)
    if target is not None:
        return get_rule(target.probe)
    return get_rule("correlation" if isinstance(y, pd.DataFrame) else "lookup")


@register_rule("none", score="score", limit="anything")
def _nothing(X: pd.DataFrame, y: object, random_state: int = 0) -> pd.DataFrame:
    """Return no suspects, because no table determines a mask; features of the mask are forbidden by name."""
    return pd.DataFrame(columns=["columns", "kind", "score"])
