"""Target objects: what is predicted, how it is read from a cohort, and what may not be read to predict it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import pandas as pd

from mmfusion.data.tables.files import header_key
from mmfusion.data.targets.forbidden import follows_diagnosis
from mmfusion.errors import DataError

if TYPE_CHECKING:
    from mmfusion.data.cohort import Cohort

KINDS = ("ordinal", "nominal", "binary", "vector", "mask")
_TARGETS: dict[str, Target] = {}


@dataclass(frozen=True, kw_only=True)
class Target(ABC):
    """One thing that can be predicted.

    Parameters
    ----------
    name : str
        Name that it is registered by.
    kind : {"ordinal", "nominal", "binary", "vector", "mask"}
        Classes in an order, classes without an order, two classes (the second is the positive one), numbers, or the
        region of a lesion in a scan.
    description : str
        One line for reports.
    classes : tuple of str
        Classes in order; empty for vectors and masks.
    probe : str
        Name of the rule of `mmfusion.evaluation.leakage` that looks for inputs that determine the label.

    Raises
    ------
    DataError
        If there is no such kind.
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
        """Whether folds keep the shares of the classes; not for vectors and masks."""
        return self.kind not in ("vector", "mask")

    @abstractmethod
    def labels(self, cohort: Cohort) -> pd.Series | pd.DataFrame:
        """Return the label of every patient of the cohort's table, missing where it is not known.

        Returns
        -------
        Series or DataFrame
            A categorical Series of shape (n_patients,) for classes; float64 columns for a vector; paths of files for
            a mask.

        Raises
        ------
        DataError
            If an outcome is written in a way that is not known; it names the patient.
        """

    def lacks(self, cohort: Cohort) -> str:
        """Return why a cohort cannot have these labels; empty if it can, even if no patient has one.

        The default looks for the column of the target's name among the outcomes.
        """
        return "" if self.name in cohort.outcomes else f"no column {self.name} among its outcomes"

    def collect(self, cohort: Cohort) -> tuple[pd.DataFrame, Mapping[str, object]]:
        """Return outcomes that stand in the cohort's table, and facts for its provenance.

        A cohort keeps them among its outcomes, so that the label stays when the block is left out of the inputs.
        """
        return pd.DataFrame(index=cohort.table.index), {}

    def outcomes(self, cohort: Cohort) -> pd.DataFrame:
        """Return the cohort's outcomes, with those that `collect` finds."""
        return pd.concat([cohort.outcomes, self.collect(cohort)[0]], axis=1)

    def notes(self, cohort: Cohort) -> tuple[str, ...]:
        """Return what a report must say about the labels of this cohort."""
        return ()

    def forbids(self, modality: str, feature: object) -> bool:
        """Return whether a column may not be an input.

        The default: treatments, outcomes and dates, and the target itself. Genes (`rna`) and `meta` are not looked
        at: gene symbols such as OS9 mean something else, and `meta` is never read.
        """
        if modality in ("rna", "meta"):
            return False
        return follows_diagnosis(feature) or header_key(feature) == header_key(self.name)

    def withholds(self, modality: str, feature: object) -> bool:
        """Return whether `cohort.X` leaves a column out because it is the label, or was found together with it.

        The default: no column. Other columns that are forbidden are an error when a model is fitted.
        """
        return False

    def with_argument(self, argument: str) -> Target:
        """Return the target that `name:argument` stands for.

        Raises
        ------
        DataError
            If the target takes no argument.
        """
        raise DataError(f"the target {self.name!r} takes nothing after its name", got=argument)


def register_target(target: Target) -> Target:
    """Make a target known by its name, and return it.

    Raises
    ------
    DataError
        If another target has the name, or the name has a colon.
    """
    if _TARGETS.get(target.name, target) != target:
        raise DataError(f"two targets are called {target.name!r}", hint="give one of them another name")
    if ":" in target.name:
        raise DataError("a target's name has no colon", got=repr(target.name))
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
        If there is no such target; it lists those there are.

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
        raise DataError(f"no target called {name!r}", expected=", ".join(known))
    return known[plain].with_argument(argument) if colon else known[plain]


def find_target(name: object) -> Target | None:
    """Return the target of this name, or None if there is none."""
    plain = str(name).partition(":")[0]
    return get_target(str(name)) if plain in registered_targets() else None


def registered_targets() -> dict[str, Target]:
    """Return all targets by name, in the order in which they were registered."""
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
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")


def describe_targets(kind: str = "") -> str:
    """Return the targets, or those of one kind, as text: a line each."""
    lines = [f"\n  {t.name}: {t.description}" for t in registered_targets().values() if kind in ("", t.kind)]
    return "".join(lines)


def is_labelled(labels: pd.Series | pd.DataFrame) -> pd.Series:
    """Return which patients have a label, or at least one value of it: bool, shape (n_patients,)."""
    known = labels.notna()
    return known.any(axis=1) if isinstance(known, pd.DataFrame) else known


def label_counts(y: pd.Series | pd.DataFrame) -> pd.Series:
    """Return how many patients have each class, each value of a vector, or a mask, in the order of the labels."""
    if isinstance(y, pd.DataFrame):
        return y.notna().sum()
    if not isinstance(y.dtype, pd.CategoricalDtype):
        return pd.Series({"mask": len(y)})
    return y.value_counts(sort=False)
