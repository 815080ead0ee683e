"""Agreement of four measures of the importance of genes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.explain.attributions import GeneAttribution
from mmfusion.explain.conditional import FittedModel
from mmfusion.explain.gene_attribution import gene_shap, integrated_gradients
from mmfusion.explain.permutation import gene_permutation
from mmfusion.metrics.ranks import rank_correlation

METHODS = ("shap_observed", "shap_mean", "integrated_gradients", "permutation")


def cross_check(
    model: FittedModel,
    X: object,
    y: Sequence[object],
    *,
    n_samples: int = 50,
    n_steps: int = 50,
    n_repeats: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the importance of each gene by four methods, and their rank correlation over patients.

    Do not rely on a gene whose importance depends on the method. `table[list(METHODS)].corr("spearman")` says
    how well the rankings of all genes agree.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or StreamInputs
        n held-out patients. Patients without genes are left out.
    y : sequence, shape (n,)
        Their labels, for the permutation importance.
    n_samples, n_steps, n_repeats : int
        Gradients per patient and class of `gene_shap`, steps of `integrated_gradients`, and shuffles per gene
        of `gene_permutation`.
    random_state : int
        Seed of gradients and shuffles.

    Returns
    -------
    DataFrame
        Index gene, largest `shap_observed` first. Columns:

        - `shap_observed`, `shap_mean`: mean |SHAP value| (probability) with the other modalities as observed,
          and with their mean vectors
        - `integrated_gradients`: mean |integrated gradient| (probability), other modalities as observed
        - `permutation`: rise of the log-loss in nats when the gene is shuffled between patients; NaN if there
          is one patient
        - `rho_mean`, `rho_gradients`: Spearman's rank correlation of the gene's contributions to the last
          class over patients, between `shap_observed` and `shap_mean`, and between `shap_observed` and
          `integrated_gradients`; -1 to 1, NaN if a contribution does not vary or there is one patient

    Raises
    ------
    DataError
        If the model reads no genes, no patient has them, or a label is not one of the model's classes.

    References
    ----------
    Erion et al. 2021, Nature Machine Intelligence 3 (expected gradients); Sundararajan et al. 2017, ICML
    (integrated gradients); Breiman 2001, Machine Learning 45 (permutation).

    Examples
    --------
    >>> import mmfusion as mf
    >>> cohort, _ = mf.phantom(40, modalities=("rna",), missing=0.0, n_genes=20, n_planted=4)
    >>> model = mf.StageClassifier(max_epochs=1, n_members=1).fit(cohort.X[:34], cohort.y[:34])
    >>> few = {"n_samples": 5, "n_steps": 5, "n_repeats": 1}
    >>> table = mf.explain.cross_check(model, cohort.X[34:], cohort.y[34:], **few)
    >>> table[["shap_observed", "integrated_gradients"]].corr("spearman").shape
    (2, 2)
    """
    permuted = gene_permutation(model, X, y, n_repeats=n_repeats, random_state=random_state)
    options = {"n_samples": n_samples, "random_state": random_state}
    observed = gene_shap(model, X, conditioning="observed", **options)
    mean = gene_shap(model, X, conditioning="mean", **options)
    gradients = integrated_gradients(model, X, n_steps=n_steps)
    sizes = [observed.mean_abs(), mean.mean_abs(), gradients.mean_abs(), permuted]
    table = pd.concat(dict(zip(METHODS, sizes, strict=True)), axis=1)
    rho = pd.DataFrame(
        {
            "rho_mean": _rank_correlation(observed, mean),
            "rho_gradients": _rank_correlation(observed, gradients),
        },
        index=list(observed.genes),
    )
    return table.join(rho).rename_axis("gene").loc[observed.mean_abs().index]


def _rank_correlation(one: GeneAttribution, other: GeneAttribution) -> np.ndarray:
    """Return Spearman's correlation over patients of each gene's contributions to the last class."""
    return rank_correlation(*(found.values[:, :, -1] for found in (one, other)))
