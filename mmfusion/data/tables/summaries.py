"""Names of rows and columns that are summaries: no gene and no patient."""

from __future__ import annotations

import re
from collections.abc import Collection

import pandas as pd

from mmfusion.data.tables.notes import TableNotes, listed, note

# lines that the programs which count reads add to the genes: STAR, HTSeq, featureCounts
_COUNTERS = re.compile(
    r"N_(unmapped|multimapping|noFeature|ambiguous)|(__)?(no_feature|ambiguous|too_low_aQual|not_aligned)"
    r"|(__)?alignment_not_unique|Assigned|Unassigned_\w+",
    re.IGNORECASE,
)
_LONG = (
    "mean,average,total,median,stdev,std dev,std deviation,standard deviation,grand total,subtotal,variance"
    ",mittelwert,summe,gesamt"
    ",basemean,log2foldchange,logfc,lfcse,pvalue,p value,padj,adj p val,fdr,qvalue,aveexpr"
)
_SHORT = "avg,sum,sd,std,sem,cv,min,max,stat,logcpm"  # may be initials of a patient, and MAX is a gene
SUMMARIES = frozenset(_LONG.split(","))
SHORT_SUMMARIES = frozenset(_SHORT.split(","))


def summaries(names: Collection[object], *, genes: bool = False, known: Collection[str] = ()) -> list[str]:
    """Return the names that are summaries, such as "Mean" or "N_unmapped".

    Short words (SD, Sum, Max) are summaries only if they are not names of genes in capitals, and if not all
    names are as short.

    Parameters
    ----------
    names : collection of str
        Names of the rows or columns.
    genes : bool
        The names are those of genes, and otherwise those of patients.
    known : collection of str
        Names that are no summaries.

    Examples
    --------
    >>> summaries(["EGFR", "MAX", "N_unmapped", "__no_feature", "Mean"], genes=True)
    ['N_unmapped', '__no_feature', 'Mean']
    >>> summaries(["R01-001", "R01-002", "SD"])
    ['SD']
    """
    short = any(len(str(name).strip()) > 4 for name in names) or any(
        re.search(r"\d", str(name)) for name in names
    )
    return [str(name) for name in names if str(name) not in known and _is_summary(str(name), genes, short)]


def _is_summary(name: str, genes: bool, short: bool) -> bool:  # noqa: FBT001
    key = re.sub(r"[\s._-]+", " ", name).strip(" :").lower()
    if key in SUMMARIES or _COUNTERS.fullmatch(name.strip()):
        return True
    return key in SHORT_SUMMARIES and short and not (genes and name.strip().isupper())


def without_summaries(
    table: pd.DataFrame,
    file: object = None,
    notes: TableNotes | None = None,
    *,
    known: Collection[str] = (),
) -> pd.DataFrame:
    """Return the table without the rows that summarise the others; its index is the patient ids.

    Examples
    --------
    >>> notes = TableNotes()
    >>> table = pd.DataFrame({"age": [60, 70, 65]}, ["A1", "B1", "Mean"])
    >>> without_summaries(table, notes=notes).index.tolist()
    ['A1', 'B1']
    >>> notes.texts
    ['rows that are no patients were not read: Mean']
    """
    found = summaries(table.index, known=known)
    if not found:
        return table
    note(notes, f"rows that are no patients were not read: {listed(found)}", file)
    return table[~table.index.isin(found)]
