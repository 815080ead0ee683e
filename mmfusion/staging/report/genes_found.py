"""Patients and sentences of the report on explanations."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.gene_sets import GeneSets
from mmfusion.errors import DataError, MMFusionError, check_installed
from mmfusion.evaluation.unseen import check_unseen
from mmfusion.explain.gene_enrichment import enrichment
from mmfusion.staging.report.patients import choose_patients

WORDS = (
    "A gene in this list is a candidate association: the model used it for these patients. It is not a "
    "biomarker, and it need not have an effect on the tumour."
)

LIMITATIONS = (
    "Genes that are expressed together share their contributions: a gene can stand for its neighbours.",
    "q is guaranteed to be valid if the label is independent of all inputs. Otherwise it is an estimate. If "
    "settings of the model were chosen with the same labels, q is slightly too small.",
    "The interval of a gene is over patients, for one model. It does not cover the choice of the training "
    "patients, which the section on stability shows.",
    "The test of gene sets treats genes as independent. Its p is therefore often too small.",
    "With mean vectors in the place of the other modalities, the inputs are not those of a real patient.",
)


def split(
    cohort: Cohort, n: int, model: object | None = None, *, seed: int = 0
) -> tuple[Cohort | None, Cohort]:
    """Return the patients to fit a model on, and n other patients to explain.

    With a saved model, no patients are needed to fit one, so the first part is None.

    Parameters
    ----------
    cohort : Cohort
        Labelled patients.
    n : int
        Number of patients to explain.
    model : StageClassifier, optional
        A saved model.
    seed : int
        Seed of the choice.

    Raises
    ------
    LeakageError
        If the saved model was fitted on one of the patients to explain.
    """
    if model is None:
        chosen, rest = choose_patients(cohort, n, fitted=False, seed=seed)
        return rest, cohort.select(patients=list(chosen.index))
    others = cohort.select(patients=list(cohort.X.index[:n]))
    check_unseen(model, cohort, list(others.X.index), "give a cohort of other patients")
    return None, others


def estimable(
    function: Callable[..., pd.DataFrame], *arguments: object, **options: object
) -> tuple[pd.DataFrame | None, str]:
    """Return what a function returns, or None and the reason why the model does not allow it.

    Examples
    --------
    >>> def refuse():
    ...     raise DataError("the model reads no genes")
    >>> estimable(refuse)
    (None, 'Not estimable: the model reads no genes')
    """
    try:
        return function(*arguments, **options), ""
    except DataError as error:
        return None, f"Not estimable: {error}"


def summary(genes: pd.DataFrame, planted: Collection[str] = (), *, fdr: float = 0.1) -> dict[str, object]:
    """Return the numbers about genes that `metrics.json` holds.

    Examples
    --------
    >>> table = pd.DataFrame({"mean_abs_shap": [0.2, 0.1], "q": [0.05, 0.5]}, index=["EGFR", "KRAS"])
    >>> summary(table)["found"]
    ['EGFR']
    """
    found = list(genes.index[genes["q"] < fdr])
    numbers: dict[str, object] = {"tested": len(genes), "top": list(genes.index[:20]), "found": found}
    if planted:
        numbers["planted_tested"] = len(set(planted) & set(genes.index))
        numbers["planted_in_top_10"] = len(set(planted) & set(genes.index[:10]))
        numbers["planted_found"] = len(set(planted) & set(found))
    return numbers


def findings(
    genes: pd.DataFrame, *, planted: Collection[str] = (), auc: float | None = None, fdr: float = 0.1
) -> list[str]:
    """Return the lines of the result: how many genes were found, and how far they can be trusted.

    Parameters
    ----------
    genes : DataFrame
        From `mmfusion.explain.genes`.
    planted : collection of str
        Genes that carry the signal of a synthetic cohort, if they are known.
    auc : float, optional
        Macro-AUC of the model on patients that it was not fitted on.
    fdr : float
        False discovery rate.

    Examples
    --------
    >>> row = {"mean_abs_shap": 0.1, "lower": 0.1, "upper": 0.1, "p": 0.01, "q": 0.05}
    >>> table = pd.DataFrame([row], index=["EGFR"])
    >>> table.attrs.update(n_patients=20, n_null=20)
    >>> findings(table)[0]
    '1 of 1 genes has q < 0.1: a candidate association'
    """
    n, many = genes.attrs["n_patients"], genes.attrs["n_null"]
    if not genes["q"].notna().any():
        lines = [
            f"{len(genes)} genes were ranked. Without refits on permuted labels, none can be called found"
        ]
    else:
        found = int((genes["q"] < fdr).sum())
        what = {0: "have q < {}: no candidate association", 1: "has q < {}: a candidate association"}
        text = what.get(found, "have q < {}: candidate associations").format(f"{fdr:g}")
        lines = [f"{found} of {len(genes)} genes {text}"]
        lines += [f"q compares the model with {many} models fitted to permuted labels."]
        if many < 10:
            lines += [f"With {many} such models no q can be below {1 / (1 + many):.2f}. Use 20 or more."]
    lines += [f"{n} patients were explained. The model was not fitted on them."]
    if auc is not None:
        weak = " An explanation of a model that predicts so poorly says little." if auc < 0.6 else ""
        lines += [f"Macro-AUC of such models on held-out patients: {auc:.2f}.{weak}"]
    if planted:
        numbers = summary(genes, planted, fdr=fdr)
        lines += [
            f"The model tested {numbers['planted_tested']} of the {len(planted)} planted genes. "
            f"{numbers['planted_found']} of them have q < {fdr:g}, "
            f"and {numbers['planted_in_top_10']} are among the first 10."
        ]
    return [*lines, WORDS]


def enriched(
    genes: pd.DataFrame, sets: str | GeneSets, *, n_top: int = 20
) -> tuple[pd.DataFrame | None, str]:
    """Return the enrichment of gene sets, or None and the reason why it cannot be estimated.

    One reason is that gseapy is not installed.

    The leading genes are those with q < 0.1 if there are at least three of them, otherwise the first `n_top`.

    Parameters
    ----------
    genes : DataFrame
        From `mmfusion.explain.genes`.
    sets : str or mapping
        File, or name of a set -> its genes; see `mmfusion.data.gene_sets`.
    n_top : int
        Number of leading genes if too few have a small q.
    """
    try:
        check_installed("gseapy", "enrichment")
    except MMFusionError as error:
        return None, f"Not tested: {error}"
    significant = int((genes["q"] < 0.1).sum()) >= 3
    who = "with q < 0.1" if significant else f"that rank first ({n_top})"
    table, reason = estimable(enrichment, genes, sets, n_top=None if significant else n_top)
    if table is None:
        return None, reason
    small = table.attrs["not_tested"]
    return (
        table,
        f"{len(table)} sets were tested among the genes {who}. Too small or too large for a test: {small}.",
    )
