"""Lists of warnings about the data: each warning once, with the ids of its patients."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import pandas as pd

from mmfusion.errors import gathered
from mmfusion.exclusive import own_filters

_ABOUT_SOFTWARE = ("FutureWarning", "DeprecationWarning", "PendingDeprecationWarning")
_SHOWN = 10  # patients to name
_SEVERAL = re.compile(r"^(?P<text>.* of )\d+ patient\(s\)(?P<more>.*): (?P<names>.+)$")
_LIST = re.compile(r": (?P<list>[^:()]+)(?: \(.*\))?$")  # found values, and the known values in parentheses
_ONE = re.compile(r"^patient (?P<name>[^:]+): (?P<text>.+)$")


class HasWarnings(Protocol):
    """A result that counts its warnings."""

    def warnings(self) -> pd.Series:
        """Return the number of times that each warning was given."""


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collect the `UserWarning`s given inside the block, as "Kind: text"; they are not shown.

    >>> import warnings
    >>> with collected() as texts:
    ...     warnings.warn("patient P1: odd spacing")
    >>> texts
    ['UserWarning: patient P1: odd spacing']
    """
    texts: list[str] = []
    with own_filters("always", UserWarning) as others, gathered() as own:
        try:
            yield texts
        finally:
            texts += [f"{given.category.__name__}: {given.text}" for given in own]
            texts += [f"{w.category.__name__}: {w.message}" for w in others]


def warnings_given(*results: HasWarnings, also: Iterable[str] = ()) -> list[str]:
    """Return the warnings of these results as lines, without warnings about software.

    Parameters
    ----------
    *results : object with a method `warnings()`
        The method returns a Series: text of the warning -> number of times. `NestedResult` has it.
    also : iterable of str
        More warnings, as `collected` gives them.

    Returns
    -------
    list of str
        A warning about patients is listed once, with the number of patients and their ids. Other warnings are
        listed once, with their number. ["none"] if there are none.

    Examples
    --------
    >>> warnings_given(also=["ScanWarning: patient P1: odd spacing", "ScanWarning: patient P2: odd spacing"])
    ['2 patients: odd spacing (P1, P2)']
    """
    given = Counter(str(text) for text in also)
    for result in results:
        given.update({str(text): int(n) for text, n in result.warnings().items()})
    return summarised(given) or ["none"]


def summarised(given: Counter[str]) -> list[str]:
    """Return one line per warning from the number of times that each "Kind: text" was given."""
    patients: dict[tuple[str, str], set[str]] = {}  # grouped by the text before and after "3 patients"
    others: dict[str, Counter[str]] = {}  # grouped by the text before a list
    for warning, n in given.items():
        kind, _, text = warning.partition(": ")
        if kind in _ABOUT_SOFTWARE:
            continue
        if found := _SEVERAL.match(text):
            patients.setdefault((found["text"], found["more"]), set()).update(found["names"].split(", "))
        elif found := _ONE.match(text):
            patients.setdefault(("", f": {found['text']}"), set()).add(found["name"])
        else:
            others.setdefault(_LIST.sub("", warning), Counter())[warning] += n
    lines = [f"{before}{_count(who)}{after} ({_names(who)})" for (before, after), who in patients.items()]
    lines = [line[:1].upper() + line[1:] for line in lines]
    for head, several in sorted(others.items(), key=lambda item: -item[1].total()):
        text = next(iter(several)) if len(several) == 1 else f"{head}: {_united(several)}"
        lines.append(f"{several.total()} times: {text}" if several.total() > 1 else text)
    return lines


def _united(warnings: Iterable[str]) -> str:
    """Return the union of the lists at the ends of these warnings."""
    lists = [_LIST.search(warning)["list"].split(", ") for warning in warnings]
    return ", ".join(sorted({name for names in lists for name in names}))


def _count(who: set[str]) -> str:
    return f"{len(who)} patient{'s' if len(who) > 1 else ''}"


def _names(who: set[str]) -> str:
    more = f" and {len(who) - _SHOWN} more" if len(who) > _SHOWN else ""
    return ", ".join(sorted(who)[:_SHOWN]) + more
