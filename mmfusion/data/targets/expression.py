"""Target: the expression of a panel of genes, as a vector of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from mmfusion.data.tables.gene_columns import WHOLE
from mmfusion.data.targets.base import register_target
from mmfusion.data.targets.rna_panel import RnaPanel
from mmfusion.errors import DataError

if TYPE_CHECKING:
    from mmfusion.data.cohort import Cohort

# the panel of the CSPAT paper
CSPAT = (
    "EGFR",
    "KRAS",
    "ALK",
    "ROS1",
    "MET",
    "ERBB2",
    "BRAF",
    "RET",
    "TP53",
    "STK11",
    "KEAP1",
    "CD274",
    "NKX2-1",
    "KRT5",
    "MKI67",
    "VEGFA",
)
PREFIX = "expression_"  # prefix of the columns among the outcomes


@dataclass(frozen=True, kw_only=True)
class ExpressionPanel(RnaPanel):
    """Expression of a panel of genes, with one number per gene.

    The values are read from the outcomes `expression_<gene>`, or if there are none, from the cohort's RNA
    table. The whole RNA block is forbidden as an input and is left out of `cohort.X`, as its genes are
    measured in the same sample as the panel. Genes that the cohort lacks are listed in `cohort.notes`. The
    name of a target can give another panel: "expression:EGFR,MET".

    TPM become log2(TPM + 1), and counts log2(CPM + 1). FPKM become log2(TPM + 1) if the table is a whole
    transcriptome, otherwise log2(FPKM + 1). Logarithms and z-scores are not changed. The values of a patient
    do not depend on other patients. `cohort.provenance["expression_unit"]` names the unit of the result.

    Parameters
    ----------
    genes : tuple of str
        Gene symbols, in the order of the columns of the labels.

    Raises
    ------
    DataError
        If the panel is empty or has a gene twice.

    Examples
    --------
    >>> ExpressionPanel(name="mine", description="two genes", genes=("EGFR", "MET")).kind
    'vector'
    """

    prefix: ClassVar[str] = PREFIX
    genes: tuple[str, ...] = CSPAT

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.genes or not all(self.genes) or len(set(self.genes)) < len(self.genes):
            raise DataError(
                "not a panel of genes", parameter="genes", expected="symbols, each once", got=self.genes
            )

    def found(self, cohort: Cohort) -> list[str]:
        """Return the genes of the panel that the cohort has."""
        rna = cohort.table["rna"].columns if "rna" in cohort.table.columns.unique(0) else ()
        return [gene for gene in self.genes if PREFIX + gene in cohort.outcomes or gene in rna]

    def lacks(self, cohort: Cohort) -> str:
        """Return the reason why the cohort has no expression of the panel, or ""."""
        return "" if self.found(cohort) else "none of the panel's genes is in its RNA table"

    def collect(self, cohort: Cohort) -> tuple[pd.DataFrame, Mapping[str, object]]:
        """Return the panel's genes that are only in the RNA table, and their unit."""
        genes = [gene for gene in self.found(cohort) if PREFIX + gene not in cohort.outcomes]
        if not genes:
            return super().collect(cohort)
        values, unit = _logged(cohort.table["rna"], genes, cohort.units.get("rna", "log"))
        return values.add_prefix(PREFIX), {"expression_unit": unit}

    def notes(self, cohort: Cohort) -> tuple[str, ...]:
        """Return a note about the unit of the values, and one about genes that the cohort lacks."""
        found = self.found(cohort)
        unit = cohort.provenance.get("expression_unit", "the unit in which they were recorded")
        notes = [f"expression of {', '.join(found)} in {unit}"]
        if absent := [gene for gene in self.genes if gene not in found]:
            of = f"{len(absent)} of the panel's {len(self.genes)} genes"
            notes.append(f"{of} are not in this cohort: {', '.join(absent)}")
        return tuple(notes)

    def with_argument(self, argument: str) -> ExpressionPanel:
        """Return a panel of other genes, given as symbols separated by commas."""
        genes = tuple(gene.strip() for gene in argument.split(","))
        return replace(
            self, name=f"{self.name}:{argument}", genes=genes, description=f"expression of {', '.join(genes)}"
        )


def _logged(rna: pd.DataFrame, genes: list[str], unit: str) -> tuple[pd.DataFrame, str]:
    """Return the values of some genes on a logarithmic scale, and the name of the scale."""
    chosen = rna[genes].astype("float64")
    if unit in ("log", "zscore"):
        return chosen, {
            "log": "the logarithm that the table has",
            "zscore": "the z-scores that the table has",
        }[unit]
    measure = unit.upper()
    if unit == "counts" or (unit == "fpkm" and rna.shape[1] >= WHOLE):
        measure = "CPM" if unit == "counts" else "TPM"
        total = rna.sum(axis=1)
        chosen = chosen.mul(1e6).div(total.where(total > 0), axis=0)
    return np.log2(chosen + 1), f"log2({measure} + 1)"


register_target(
    ExpressionPanel(
        name="expression", description=f"expression of {len(CSPAT)} genes of lung cancer: {', '.join(CSPAT)}"
    )
)
