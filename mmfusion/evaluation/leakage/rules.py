"""Rules that look for inputs which determine the label, by the name that a target gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import pandas as pd

from mmfusion.data.targets.base import Target, find_target
from mmfusion.errors import DataError

Find = Callable[..., pd.DataFrame]
# modules that register a rule
_HOMES = ("mmfusion.evaluation.leakage.probe", "mmfusion.evaluation.leakage.correlation")


@dataclass(frozen=True)
class ProbeRule:
    """A rule for one kind of label.

    Parameters
    ----------
    name : str
        What targets call it.
    find : callable
        `find(X, y, random_state=0)` returns a table with a row per suspect: `columns`, `kind` and the score.
    score : str
        Column of the score.
    limit : str
        What is expected of inputs, for messages.
    """

    name: str
    find: Find
    score: str
    limit: str


_RULES: dict[str, ProbeRule] = {}


def register_rule(name: str, *, score: str, limit: str) -> Callable[[Find], Find]:
    """Return a decorator that makes a function known as the rule `name`."""

    def add(find: Find) -> Find:
        _RULES[name] = ProbeRule(name, find, score, limit)
        return find

    return add


def get_rule(name: str) -> ProbeRule:
    """Return the rule of this name.

    Raises
    ------
    DataError
        If there is no such rule; it lists those there are.

    Examples
    --------
    >>> get_rule("lookup").score
    'balanced_accuracy'
    """
    for home in _HOMES:
        import_module(home)
    if name not in _RULES:
        raise DataError(f"no probe rule called {name!r}", expected=", ".join(sorted(_RULES)))
    return _RULES[name]


def rule_for(y: object, target: Target | None = None) -> ProbeRule:
    """Return the rule of a target; if none is given, of the target that labels are named by, or by their form.

    Labels that no target is named like are looked up as classes; a DataFrame of them is a vector.
    """
    if target is None and isinstance(y, pd.Series):
        target = find_target(y.name)
    if target is not None:
        return get_rule(target.probe)
    return get_rule("correlation" if isinstance(y, pd.DataFrame) else "lookup")


@register_rule("none", score="score", limit="anything")
def _nothing(X: pd.DataFrame, y: object, random_state: int = 0) -> pd.DataFrame:
    """A mask cannot be read off a table: what is measured inside it is forbidden by name."""
    return pd.DataFrame(columns=["columns", "kind", "score"])
