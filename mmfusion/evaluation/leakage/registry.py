"""Registry of the ten leak demonstrations, and the function that runs them.

A demonstration is a function `run(seed, n_rep, **options)` that returns rows with the columns `DEMO_COLUMNS`.
The decorator `register_demo` registers it. Demonstrations that need a network are in a higher package; they
are found by the name of their module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import pandas as pd

from mmfusion.errors import DataError, check_list, check_seed, warn
from mmfusion.evaluation.leakage.demos import DEMO_COLUMNS

Run = Callable[..., pd.DataFrame]
# number and name -> module that registers it; `source_hash` finds their full names here
_HOMES = {
    ("D1", "LDA"): "mmfusion.evaluation.leakage.reduction",
    ("D2", "genes"): "mmfusion.evaluation.leakage.filters",
    ("D3", "TNM"): "mmfusion.evaluation.leakage.tnm",
    ("D4", "slices"): "mmfusion.evaluation.leakage.slices",
    ("D5", "augmentation"): "mmfusion.evaluation.leakage.copies",
    ("D6", "checkpoint"): "mmfusion.evaluation.leakage.selection",
    ("D7", "boxes"): "mmfusion.lesions.box_demo",
    ("D8", "patients"): "mmfusion.evaluation.leakage.copies",
    ("D9", "preprocessing"): "mmfusion.evaluation.leakage.filters",
    ("D10", "tuning"): "mmfusion.evaluation.leakage.selection",
}


class MissingTableWarning(UserWarning):
    """Warning that a demonstration was not run on a real table, because its files were not found."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Demo:
    """One leak demonstration.

    Parameters
    ----------
    number : str
        "D1" to "D10".
    name : str
        Short name, also the value of the column `demo` in the rows of `run`.
    title : str
        The leak, in a few words.
    leaky, honest : str
        A sentence about each protocol.
    run : callable
        `run(seed, n_rep, **options)` returns the rows.
    metric : str
        The metric that figures show.
    chance : float or None
        Value of the metric for a model that knows nothing; None if there is no such value.
    rows : tuple of str
        Rows of the leak register that it belongs to ("L-1", ...).
    n_rep : int
        Number of repeats in `run_demos`.
    options : mapping
        Options in `run_demos`.
    best : float or None
        Best possible value of the metric on the cohort "planted", if it is known.
    real : mapping
        Name of a known cohort -> `run(root, seed, n_rep)`, which runs the demonstration on its published
        files, or raises a `DataError` if they are absent.

    Examples
    --------
    >>> get_demo("D1").name, get_demo("D1").chance
    ('LDA', 0.5)
    """

    number: str
    name: str
    title: str
    leaky: str
    honest: str
    run: Run
    metric: str = "auc"
    chance: float | None = 0.5
    rows: tuple[str, ...] = ()
    n_rep: int = 3
    options: Mapping[str, object] = field(default_factory=dict)
    best: float | None = None
    real: Mapping[str, Run] = field(default_factory=dict)


_DEMOS: dict[str, Demo] = {}


def register_demo(number: str, name: str, **facts: object) -> Callable[[Run], Run]:
    """Return a decorator that registers a function as a demonstration; see `Demo` for the facts."""

    def add(run: Run) -> Run:
        _DEMOS[number] = Demo(number=number, name=name, run=run, **facts)
        return run

    return add


def all_demos() -> list[Demo]:
    """Return the demonstrations in order, D1 to D10.

    Examples
    --------
    >>> [demo.number for demo in all_demos()][:3]
    ['D1', 'D2', 'D3']
    """
    return [get_demo(number) for number, _ in _HOMES]


def get_demo(name: str) -> Demo:
    """Return the demonstration with this number or name; only its module is imported.

    Raises
    ------
    DataError
        If there is none. The error lists the demonstrations.

    Examples
    --------
    >>> get_demo("LDA").number
    'D1'
    """
    for names, home in _HOMES.items():
        if name in names:
            import_module(home)
            return _DEMOS[names[0]]
    known = ", ".join(f"{number} or {short}" for number, short in _HOMES)
    raise DataError(f"no demonstration called {name!r}", expected=known)


def run_demos(
    names: Iterable[str] | None = None,
    seed: int = 0,
    *,
    n_rep: int | None = None,
    data_root: str | Path | None = None,
) -> pd.DataFrame:
    """Run leak demonstrations: each analysis with a leak and without it, on the same patients.

    The ten demonstrations take about two minutes. The metric of most of them is an AUC (for three stages, the
    mean of the three AUCs of one stage against the others), so that chance is 0.5.

    Parameters
    ----------
    names : iterable of str, optional
        Numbers ("D1") or names ("LDA"). Default: all ten.
    seed : int
        Seed of the patients and of all random choices.
    n_rep : int, optional
        Number of repeats of each demonstration. Default: `Demo.n_rep`.
    data_root : path, optional
        Folder with the published files of LUNG1, NSCLC-Radiogenomics or `r01_egfr`. D1 and D3 also run on the
        tables that are there. Default: no real tables.

    Returns
    -------
    DataFrame
        Columns `demo` ("D1" to "D10"), `protocol` ("leaky" or "honest"), `cohort` ("null": nothing to find;
        "planted": a known signal; or the name of a real cohort), `rep`, `metric`, `value`. The cohorts of D7
        are "phantom", and "boxes alone" without a network. `demo_gaps` summarises the table.

    Raises
    ------
    DataError
        If there is no such demonstration, or `seed` is no whole number of 0 or more.

    Warns
    -----
    MissingTableWarning
        For each real table that is not in `data_root`.

    Examples
    --------
    >>> rows = run_demos(["D9"], n_rep=1)
    >>> list(rows), sorted(rows["cohort"].unique())
    (['demo', 'protocol', 'cohort', 'rep', 'metric', 'value'], ['null', 'planted'])
    """
    check_seed(seed, "seed")
    check_list(names=names)
    chosen = all_demos() if names is None else list(dict.fromkeys(get_demo(name) for name in names))
    found = [pd.DataFrame(columns=list(DEMO_COLUMNS))] if not chosen else []
    for demo in chosen:
        repeats = demo.n_rep if n_rep is None else n_rep
        found.append(demo.run(seed, repeats, **demo.options).assign(demo=demo.number))
        for cohort, run in demo.real.items() if data_root is not None else ():
            try:
                found.append(run(data_root, seed, repeats).assign(demo=demo.number))
            except DataError as error:
                warn(f"{demo.number} ({demo.name}) was not run on {cohort}: {error}", MissingTableWarning)
    return pd.concat(found, ignore_index=True)


def demo_table(demos: Iterable[Demo] | None = None) -> pd.DataFrame:
    """Return what each demonstration shows, as a table for reports.

    Examples
    --------
    >>> demo_table().loc["D1", "name"]
    'LDA'
    """
    rows = {
        demo.number: {"name": demo.name, "leak": demo.title, "leaky": demo.leaky, "honest": demo.honest}
        for demo in (all_demos() if demos is None else demos)
    }
    return pd.DataFrame.from_dict(rows, orient="index")
