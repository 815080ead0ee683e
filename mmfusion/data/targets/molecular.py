"""Targets: the mutation status of EGFR and KRAS, wild type or mutant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from mmfusion.data.tables.cells import clean_cells
from mmfusion.data.tables.files import header_key
from mmfusion.data.tables.mutations import mutation_status
from mmfusion.data.targets.base import Target, register_target
from mmfusion.errors import DataError

if TYPE_CHECKING:
    from mmfusion.data.cohort import Cohort

_DRIVERS = "egfr|kras|nras|hras|alk|ros1|braf|ret|erbb2|her2|met|ntrk[123]?|nrg1|map2k1"
_FINDING = (
    r"mut\w*|status|exon|ex ?\d+|wild ?type|wt|transloc\w*|rearr\w*|fusion|amplif\w*|variant|result|test\w*"
    r"|positiv\w*|negativ\w*|detected"
)
_ALONE = re.compile(rf"({_DRIVERS})")
_TOLD = re.compile(
    rf"\b({_DRIVERS})\b.*\b({_FINDING})\b|\b({_FINDING})\b.*\b({_DRIVERS})\b"
    r"|\bmutations?\b|\bmutated\b|\bmutant\b|\bmutational\b|\bwild ?type\b|\bgenotype\b"
    r"|\bdriver (gene|alteration)s?\b"
    r"|\bmolecular (test\w*|panel|profile|status|subtype|results?)\b|\bl858r\b|\bt790m\b|\bg12[a-z]\b"
    # drugs against one of these mutations
    r"|\btkis?\b|\w+tinib\b|\bsotorasib\b|\badagrasib\b"
)


def tells_molecular_status(modality: str, feature: object) -> bool:
    """Return True if a column's header names the result of a molecular test, or a drug given after it.

    A gene symbol alone is a mutation status in a health record, but expression in an RNA table.

    Examples
    --------
    >>> tells_molecular_status("ehr", "KRAS mutation status"), tells_molecular_status("ehr", "egfr")
    (True, True)
    >>> tells_molecular_status("rna", "EGFR")
    False
    """
    if modality == "meta":
        return False
    key = header_key(feature)
    return bool(_TOLD.search(key)) or (modality != "rna" and bool(_ALONE.fullmatch(key)))


@dataclass(frozen=True, kw_only=True)
class MolecularTarget(Target):
    """Mutation status of one gene, "wildtype" or "mutant"; "mutant" is the positive class.

    The status is read from the cohort's outcome with the name of the gene. If there is no such outcome, it is
    read from the column with this name in the health records.

    The results of all molecular tests are forbidden as inputs and left out of `cohort.X`, not only the result
    for this gene. EGFR, KRAS and ALK are tested together, and a patient with a mutation of KRAS very rarely
    has a mutation of EGFR. The other results therefore reveal much of the label, and a new patient without an
    EGFR status has no other results either. Drugs against these mutations are forbidden too, because they are
    given after the test. All treatments, outcomes and dates are forbidden as well. Stage, grade and
    expression of genes are allowed: they are not the label and do not follow from it.

    Examples
    --------
    >>> from mmfusion.data.targets import get_target
    >>> egfr = get_target("egfr")
    >>> egfr.classes, egfr.forbids("ehr", "KRAS mutation status"), egfr.forbids("ehr", "age")
    (('wildtype', 'mutant'), True, False)
    """

    kind: str = "binary"
    classes: tuple[str, ...] = ("wildtype", "mutant")

    def labels(self, cohort: Cohort) -> pd.Series:
        """Return the status of each patient; missing if it was not tested or is unknown."""
        cells = self.outcomes(cohort)[self.name].astype("object")
        cells = clean_cells(cells.where(cells.notna(), ""))
        known = {text: mutation_status(text) for text in cells.dropna().unique()}
        for text, status in known.items():
            if status is None:
                raise DataError(
                    "not a mutation status",
                    patient=cells.index[(cells == text).to_numpy()][0],
                    column=self.name,
                    expected="wildtype or mutant",
                    got=repr(text),
                    hint="leave the cell empty where the status is unknown",
                )
        dtype = pd.CategoricalDtype(self.classes)
        return pd.Series(pd.Categorical(cells.map(known), dtype=dtype), index=cells.index, name=self.name)

    def lacks(self, cohort: Cohort) -> str:
        """Return the reason why the cohort has no status of the gene, or ""."""
        found = self.name in cohort.outcomes or ("ehr", self.name) in cohort.table
        return "" if found else f"no column {self.name} among its outcomes or health records"

    def collect(self, cohort: Cohort) -> tuple[pd.DataFrame, Mapping[str, object]]:
        """Return the status in the health records, if it is not among the outcomes."""
        if self.name in cohort.outcomes:
            return super().collect(cohort)
        return cohort.table["ehr"][[self.name]], {}

    def forbids(self, modality: str, feature: object) -> bool:
        """Return True if a column reveals a molecular status, or is known only after the diagnosis."""
        return tells_molecular_status(modality, feature) or super().forbids(modality, feature)

    def withholds(self, modality: str, feature: object) -> bool:
        """Return True if a column reveals a molecular status."""
        return tells_molecular_status(modality, feature)


for _gene in ("egfr", "kras"):
    register_target(MolecularTarget(name=_gene, description=f"{_gene.upper()} wild type or mutant"))
