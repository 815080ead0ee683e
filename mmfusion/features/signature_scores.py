"""Signature scores of patients: hypoxia, T-cell exhaustion and other gene sets, as features of a cohort."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import RNA_UNITS, Cohort
from mmfusion.data.gene_scores import SHARE, coverage, singscore
from mmfusion.data.gene_sets import GeneSets, gene_sets
from mmfusion.data.tables.notes import listed
from mmfusion.data.targets.signatures import PREFIX, check_names
from mmfusion.errors import DataError, warn


class SignatureWarning(UserWarning):
    """A signature has too few genes in the table, or the unit changes the meaning of its score.

    Examples
    --------
    >>> from mmfusion.errors import gathered
    >>> with gathered() as found:
    ...     _ = signatures(pd.DataFrame({"GZMA": [1.0], "EGFR": [2.0]}, ["P1"]), "cytolytic_activity")
    >>> print(found[0])
    not estimable: cytolytic_activity (1 of 2 genes measured)
    """


def signatures(
    source: Cohort | pd.DataFrame,
    sets: GeneSets | str | Path | None = None,
    *,
    min_share: float = SHARE,
    unit: str | None = None,
) -> pd.DataFrame:
    """Return the score of each gene set for each patient with RNA, by singscore.

    The genes of a patient are ranked, and the score is the mean rank of the genes of the set, scaled to -0.5
    to 0.5 (`mmfusion.data.gene_scores.singscore`). A score does not depend on other patients, and it is the
    same in every unit that keeps the order of a patient's genes. Counts, CPM and their logarithms give the
    same score; so do TPM, FPKM and their logarithms. Scores from counts and from TPM differ, because TPM is
    corrected for gene length.

    Z-scores per gene change the meaning. A z-score compares a gene with the same gene in the other patients,
    so the score then depends on them. This gives a warning. The score also depends on which genes the table
    has, because a gene is ranked among the genes of the table.

    Parameters
    ----------
    source : Cohort or DataFrame
        A cohort with RNA, its `X`, or a table of expression, shape (n, G), with gene symbols as columns.
    sets : mapping, str, path, or None
        Gene sets, see `mmfusion.data.gene_sets.gene_sets`: name -> genes; a GMT file or a table with a column
        per set; names of signatures of the package. Default: all signatures of the package.
    min_share : float
        Share of the genes of a set that must be measured, 0 to 1. A table of few genes may need a smaller
        share; the score then says less about the whole set.
    unit : str, optional
        Unit of the expression. Default: that of the cohort or table.

    Returns
    -------
    DataFrame, shape (n_with_rna, n_sets)
        Scores from -0.5 to 0.5, index patient_id. A score is NaN, with a warning, if fewer than 5 genes of
        the set (all of them, if it has fewer) or a smaller share than `min_share` are measured.
        `signature_coverage` has the counts.

    Raises
    ------
    DataError
        If there is no RNA, a value is not a finite number, the unit is unknown, or the sets cannot be read.

    References
    ----------
    Foroutan et al. 2018, BMC Bioinformatics 19:404.

    Examples
    --------
    >>> genes = ["GZMA", "PRF1", "EGFR", "KRAS", "MET"]
    >>> table = pd.DataFrame([[9.0, 8.0, 1.0, 2.0, 3.0], [1.0, 2.0, 7.0, 8.0, 9.0]], ["P1", "P2"], genes)
    >>> signatures(table, "cytolytic_activity")["cytolytic_activity"].tolist()
    [0.5, -0.5]
    """
    rna, known_unit = _expression(source)
    if unit is not None and unit not in RNA_UNITS:
        raise DataError("unknown unit", parameter="unit", expected=", ".join(RNA_UNITS), got=unit)
    chosen = gene_sets(sets)
    scores = singscore(rna, chosen, min_share)
    if (unit or known_unit) == "zscore":
        text = "the expression is z-scored per gene, so a signature score depends on the other patients"
        warn(f"{text} of the table", SignatureWarning, stacklevel=2)
    for text in _too_few(rna, scores, coverage(rna.columns, chosen, min_share)):
        warn(text, SignatureWarning, stacklevel=2)
    return scores


def signature_coverage(
    source: Cohort | pd.DataFrame, sets: GeneSets | str | Path | None = None, *, min_share: float = SHARE
) -> pd.DataFrame:
    """Return how many genes of each set are measured.

    Parameters
    ----------
    source, sets, min_share
        As for `signatures`.

    Returns
    -------
    DataFrame, index signature
        genes (in the set), found (of them in the table), share (0 to 1), least (needed), estimable (bool).

    Examples
    --------
    >>> table = pd.DataFrame([[9.0, 8.0, 1.0]], ["P1"], ["GZMA", "PRF1", "EGFR"])
    >>> signature_coverage(table)["estimable"].to_dict()
    {'hypoxia': False, 't_cell_exhaustion': False, 'cytolytic_activity': True}
    """
    return coverage(_expression(source)[0].columns, gene_sets(sets), min_share)


def with_signatures(
    cohort: Cohort, sets: GeneSets | str | Path | None = None, *, min_share: float = SHARE
) -> Cohort:
    """Return the cohort with signature scores as the target, for models that predict them from scans.

    The scores are kept among the outcomes, and the whole RNA block is left out of `X`.

    Parameters
    ----------
    cohort : Cohort
        A cohort with RNA.
    sets : mapping, str, path, or None
        As for `signatures`. Sets that are not estimable are left out, with a warning.
    min_share : float
        As for `signatures`.

    Returns
    -------
    Cohort
        Its target is "signatures:<name>,<name>,...".

    Raises
    ------
    DataError
        As `signatures`, or if no set is estimable, or a name has a comma or a colon.

    Examples
    --------
    >>> from mmfusion.synthetic import phantom
    >>> cohort, _ = phantom(40, modalities=("rna", "ehr"), missing=0.0)
    >>> with_signatures(cohort, cohort.provenance["gene_sets"]).y.columns.tolist()
    ['hypoxia', 'exhaustion', 'proliferation', 'interferon', 'programme']
    """
    scores = signatures(cohort, sets, min_share=min_share).dropna(axis=1, how="all")
    if scores.empty:
        raise DataError(
            "no signature is estimable", file=cohort.name, expected=f"5 genes and {min_share:.0%} of a set"
        )
    check_names(scores.columns)
    old = [name for name in cohort.outcomes if not str(name).startswith(PREFIX)]
    new = scores.reindex(cohort.table.index).add_prefix(PREFIX)
    outcomes = pd.concat([cohort.outcomes[old], new], axis=1)
    return replace(cohort, outcomes=outcomes, target=f"signatures:{','.join(scores.columns)}")


def _expression(source: Cohort | pd.DataFrame) -> tuple[pd.DataFrame, str | None]:
    """Return the expression of the patients who have RNA, and its unit, or None if it is not known."""
    table = source.table if isinstance(source, Cohort) else source
    if not isinstance(table, pd.DataFrame):
        got = type(source).__name__
        raise DataError("no expression", parameter="source", expected="a Cohort or a DataFrame", got=got)
    if isinstance(table.columns, pd.MultiIndex):
        if "rna" not in table.columns.unique(0):
            raise DataError("no RNA to compute signatures from", file=getattr(source, "name", None),
                            expected="the block rna")  # fmt: skip
        rna = table["rna"]
    else:
        rna = table
    return rna.loc[rna.notna().any(axis=1)], table.attrs.get("units", {}).get("rna")


def _too_few(rna: pd.DataFrame, scores: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """Return sentences about scores that are missing, or 0 because all genes of a patient are equal."""
    lacking = found[~found["estimable"]]
    texts = [f"{name} ({row.found} of {row.genes} genes measured)" for name, row in lacking.iterrows()]
    told = [f"not estimable: {listed(texts)}"] if texts else []
    for name in found.index[found["estimable"]]:
        if (absent := scores[name].isna()).any():
            who = f"{absent.sum()} of {len(rna)} patients ({listed(scores.index[absent])})"
            told.append(f"{name} is not estimable for {who}: too few of its genes measured")
    if (same := rna.max(axis=1) == rna.min(axis=1)).any():
        who = f"{same.sum()} of {len(rna)} patients ({listed(rna.index[same])})"
        told.append(f"all genes of {who} have the same value: every score is 0 by definition")
    return told
