"""Target: the scores of gene signatures, such as hypoxia, as a vector of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from mmfusion.data.gene_scores import coverage, singscore
from mmfusion.data.gene_sets import gene_sets
from mmfusion.data.targets.base import register_target
from mmfusion.data.targets.rna_panel import RnaPanel
from mmfusion.errors import DataError

if TYPE_CHECKING:
    from mmfusion.data.cohort import Cohort

PREFIX = "signature_"  # prefix of the columns among the outcomes
# what z-scores change, in one sentence for notes
ZSCORED = (
    "the expression is z-scored per gene: a rank says how high a gene is compared with the same gene in the "
    "other patients, so that a score depends on them"
)


@dataclass(frozen=True, kw_only=True)
class SignaturePanel(RnaPanel):
    """Scores of gene signatures, with one number per signature (`mmfusion.data.gene_scores.singscore`).

    The scores are read from the outcomes `signature_<name>`, which `mmfusion.features.with_signatures` adds
    for gene sets of any kind. The signatures of the package are also computed from the cohort's RNA. The
    whole RNA block is forbidden as an input and is left out of `cohort.X`. The name of a target can give
    other signatures: "signatures:hypoxia".

    Parameters
    ----------
    signatures : tuple of str
        Names, in the order of the columns of the labels.

    Raises
    ------
    DataError
        If there is no name, or a name occurs twice.

    Examples
    --------
    >>> SignaturePanel(name="mine", description="one signature", signatures=("hypoxia",)).kind
    'vector'
    """

    prefix: ClassVar[str] = PREFIX
    signatures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names(self.signatures)

    def found(self, cohort: Cohort) -> list[str]:
        """Return the signatures of the panel that the cohort has, or that its genes are enough for."""
        known = set(self._computed(cohort))
        return [name for name in self.signatures if PREFIX + name in cohort.outcomes or name in known]

    def lacks(self, cohort: Cohort) -> str:
        """Return the reason why the cohort has no score of the panel, or ""."""
        return "" if self.found(cohort) else "its RNA table has too few genes of the signatures"

    def collect(self, cohort: Cohort) -> tuple[pd.DataFrame, Mapping[str, object]]:
        """Return the scores of those signatures of the package that are not among the outcomes."""
        sets = self._computed(cohort)
        if not sets:
            return super().collect(cohort)
        return singscore(cohort.table["rna"], sets).add_prefix(PREFIX), {}

    def notes(self, cohort: Cohort) -> tuple[str, ...]:
        """Return notes about the scores, their unit, and signatures that the cohort lacks."""
        found = self.found(cohort)
        notes = [f"signature scores ({', '.join(found)}) are scaled mean ranks, -0.5 to 0.5"]
        if cohort.units.get("rna") == "zscore":
            notes.append(ZSCORED)
        if absent := [name for name in self.signatures if name not in found]:
            notes.append(f"signatures that are not estimable in this cohort: {', '.join(absent)}")
        return tuple(notes)

    def with_argument(self, argument: str) -> SignaturePanel:
        """Return a panel of other signatures, given as names separated by commas."""
        names = tuple(name.strip() for name in argument.split(","))
        return replace(self, name=f"{self.name}:{argument}", signatures=names,
                       description=f"scores of the gene signatures {', '.join(names)}")  # fmt: skip

    def _computed(self, cohort: Cohort) -> dict[str, list[str]]:
        """Return the signatures of the package that can be computed and are not among the outcomes."""
        if "rna" not in cohort.table.columns.unique(0):
            return {}
        known = gene_sets()
        wanted = {n: known[n] for n in self.signatures if n in known and PREFIX + n not in cohort.outcomes}
        enough = coverage(cohort.table["rna"].columns, wanted)["estimable"]
        return {name: genes for name, genes in wanted.items() if enough[name]}


def check_names(names: Iterable[str]) -> None:
    """Raise a `DataError` unless there are names, each once, without the comma and colon of target names.

    Examples
    --------
    >>> check_names(["hypoxia"])
    """
    names = list(names)
    if not names or len(set(names)) < len(names):
        raise DataError("not a panel of signatures", parameter="signatures", expected="names, each once",
                        got=", ".join(names) or "none")  # fmt: skip
    if odd := [name for name in names if not name or "," in name or ":" in name or name != name.strip()]:
        raise DataError("a signature of a target cannot have this name", parameter="signatures",
                        expected="no comma, no colon, no space at its ends", got=repr(odd[0]),
                        hint="give the set another name")  # fmt: skip


register_target(
    SignaturePanel(
        name="signatures",
        description=f"scores of the gene signatures {', '.join(gene_sets())}",
        signatures=tuple(gene_sets()),
    )
)
