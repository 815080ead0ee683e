"""Base class and registry of targets: the label, its source in a cohort, and the forbidden inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import pandas as pd

from mmfusion.data.tables.files import header_key
from mmfusion.data.targets.forbidden import follows_diagnosis
from mmfusion.display import FullTable
from mmfusion.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from mmfusion.data.cohort import Cohort

KINDS = ("ordinal", "nominal", "binary", "vector", "mask")
_TARGETS: dict[str, Target] = {}


@dataclass(frozen=True, kw_only=True)
class Target(ABC):
    """A label that can be predicted.

    Parameters
    ----------
    name : str
        Name under which the target is registered.
    kind : {"ordinal", "nominal", "binary", "vector", "mask"}
        Classes in an order, classes without an order, two classes (the second is the positive class), a
        vector of numbers, or the region of a lesion in a scan.
    description : str
        One line for reports.
    classes : tuple of str
        Classes in order; empty for vectors and masks.
    probe : str
        Name of the rule in `mmfusion.evaluation.leakage` that searches for inputs that determine the label.

    Raises
    ------
    DataError
        If there is no such kind.

    Examples
    --------
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Smoker(Target):
    ...     def labels(self, cohort):
    ...         return cohort.outcomes["smoker"].astype("category")
    >>> Smoker(name="smoker", kind="binary", description="Smoker or not").stratified
    True
    """

    name: str
    kind: str
    description: str
    classes: tuple[str, ...] = ()
    probe: str = "lookup"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError("no such kind of target", expected=", ".join(KINDS), got=self.kind)

    @property
    def stratified(self) -> bool:
        """True if folds are stratified by class; False for vectors and masks."""
        return self.kind not in ("vector", "mask")

    @abstractmethod
    def labels(self, cohort: Cohort) -> pd.Series | pd.DataFrame:
        """Return the label of every patient of the cohort's table, missing where it is unknown.

        Returns
        -------
        Series or DataFrame
            For classes: a categorical Series, shape (n_patients,). For a vector: a DataFrame of float64,
            shape (n_patients, n_values). For a mask: a Series of paths, shape (n_patients,).

        Raises
        ------
        DataError
            If an outcome cannot be read. The error names the patient.
        """

    def lacks(self, cohort: Cohort) -> str:
        """Return the reason why a cohort cannot have these labels, or "" if it can.

        By default, a cohort needs an outcome with the target's name; its values may all be missing.
        """
        return "" if self.name in cohort.outcomes else f"no column {self.name} among its outcomes"

    def collect(self, cohort: Cohort) -> tuple[pd.DataFrame, Mapping[str, object]]:
        """Return outcomes found among the columns of the cohort's table, and entries for the provenance.

        The cohort copies them to its outcomes. The label therefore remains if the block is left out of the
        inputs.
        """
        return pd.DataFrame(index=cohort.table.index), {}

    def outcomes(self, cohort: Cohort) -> pd.DataFrame:
        """Return the cohort's outcomes together with those that `collect` finds."""
        return pd.concat([cohort.outcomes, self.collect(cohort)[0]], axis=1)

    def notes(self, cohort: Cohort) -> tuple[str, ...]:
        """Return notes about the labels of this cohort, which a report must print."""
        return ()

    def forbids(self, modality: str, feature: object) -> bool:
        """Return True if a column must not be an input.

        By default, treatments, outcomes, dates and the target itself are forbidden. Columns of `rna` and
        `meta` are not examined: a gene symbol such as OS9 is not an outcome, and `meta` is never an input.
        """
        if modality in ("rna", "meta"):
            return False
        return follows_diagnosis(feature) or header_key(feature) == header_key(self.name)

    def withholds(self, modality: str, feature: object) -> bool:
        """Return True if a column is left out of `cohort.X`: the label, or measured together with the label.

        By default, no column is left out. Other forbidden columns raise an error when a model is fitted.
        """
        return False

    def with_argument(self, argument: str) -> Target:
        """Return the target named `name:argument`, such as "expression:EGFR,MET".

        Raises
        ------
        DataError
            If the target takes no argument.
        """
        raise DataError(f"the target {self.name!r} takes no argument after its name", got=argument)


def register_target(target: Target) -> Target:
    """Register a target under its name, and return it.

    Raises
    ------
    DataError
        If another target has this name, or the name contains a colon.

    Examples
    --------
    >>> register_target(get_target("egfr")).name  # the same target may be registered again
    'egfr'
    """
    if _TARGETS.get(target.name, target) != target:
        raise DataError(f"two targets are called {target.name!r}", hint="give one of them another name")
    if ":" in target.name:
        raise DataError("a target's name must not contain a colon", got=repr(target.name))
    _TARGETS[target.name] = target
    return target


def get_target(name: str) -> Target:
    """Return the target of this name.

    Parameters
    ----------
    name : str
        A registered name. A target that takes an argument has it after a colon: "expression:EGFR,MET".

    Raises
    ------
    DataError
        If there is no such target. The error lists the registered targets.

    Examples
    --------
    >>> get_target("stage3_ajcc8").classes
    ('I', 'II', 'III')
    >>> get_target("expression:EGFR,MET").genes
    ('EGFR', 'MET')
    """
    known = registered_targets()
    plain, colon, argument = str(name).partition(":")
    if plain not in known:
        hint = did_you_mean(plain, known)
        raise DataError(f"no target called {name!r}", expected=", ".join(known), hint=hint)
    return known[plain].with_argument(argument) if colon else known[plain]


def find_target(name: object) -> Target | None:
    """Return the target of this name, or None if there is no such target.

    Examples
    --------
    >>> find_target("egfr").kind, find_target("age")
    ('binary', None)
    """
    plain = str(name).partition(":")[0]
    return get_target(str(name)) if plain in registered_targets() else None


def registered_targets() -> dict[str, Target]:
    """Return all targets by name, in the order in which they were registered.

    Examples
    --------
    >>> "egfr" in registered_targets()
    True
    """
    import_module("mmfusion.data.targets")
    return dict(_TARGETS)


def list_targets() -> pd.DataFrame:
    """Return a table of the targets: kind, classes, probe and description, indexed by name.

    Examples
    --------
    >>> list_targets().loc["egfr", "kind"]
    'binary'
    """
    rows = {
        name: {
            "kind": target.kind,
            "classes": ", ".join(target.classes),
            "probe": target.probe,
            "description": target.description,
        }
        for name, target in registered_targets().items()
    }
    return FullTable(pd.DataFrame.from_dict(rows, orient="index").rename_axis("name"))


def describe_targets(kind: str = "") -> str:
    """Return the targets, or those of one kind, as text with one line per target.

    Examples
    --------
    >>> print(describe_targets("mask").strip())
    lesion: the lesion's region in the CT, as a mask
    """
    lines = [f"\n  {t.name}: {t.description}" for t in registered_targets().values() if kind in ("", t.kind)]
    return "".join(lines)


def is_labelled(labels: pd.Series | pd.DataFrame) -> pd.Series:
    """Return True for each patient who has a label: bool Series, shape (n_patients,).

    A vector is a label if at least one of its values is known.

    Examples
    --------
    >>> is_labelled(pd.Series(["I", None], index=["p1", "p2"])).to_dict()
    {'p1': True, 'p2': False}
    """
    known = labels.notna()
    return known.any(axis=1) if isinstance(known, pd.DataFrame) else known


def label_counts(y: pd.Series | pd.DataFrame) -> pd.Series:
    """Return the number of patients per class, per value of a vector, or with a mask.

    Examples
    --------
    >>> label_counts(pd.Series(["I", "II", "I"], dtype="category")).to_dict()
    {'I': 2, 'II': 1}
    """
    if isinstance(y, pd.DataFrame):
        return y.notna().sum()
    if not isinstance(y.dtype, pd.CategoricalDtype):
        return pd.Series({"mask": len(y)})
    return y.value_counts(sort=False)
