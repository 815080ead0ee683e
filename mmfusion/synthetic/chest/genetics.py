"""Genotype and expression of the lesion phantom: how they depend on appearance, and the best possible result.

The weights are invented. Their signs follow reports about lung cancer (EGFR mutants are more often small and
ground glass). The module shows nothing about real tumours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import expit

from mmfusion.synthetic.chest import appearance
from mmfusion.synthetic.chest.appearance import TRAITS
from mmfusion.synthetic.optimum import expected_macro_auc

# logit of P(EGFR mutant) = OFFSET + strength * (weights . traits)
EGFR_OFFSET = -0.6
EGFR_WEIGHTS = {"size": -0.5, "ground_glass": 1.0, "spiculation": 0.9, "cavity": -0.5, "calcium": -0.6}
N_SIMULATED = 20_000


@dataclass(frozen=True)
class Gene:
    """Distribution of the expression of one gene, given the appearance of the lesion.

    The expression is mean + sd * (r * score + sqrt(1 - r^2) * noise), in log2(TPM + 1). The score is the
    weighted sum of the traits, with standard deviation 1 over lesions of all types.

    Attributes
    ----------
    mean, sd : float
        Mean and standard deviation, log2(TPM + 1).
    r : float
        Correlation with the score at strength 1.
    weights : mapping of str to float
        Weights of the traits of `appearance.TRAITS`; others have weight 0.

    Examples
    --------
    >>> GENES["MKI67"].r
    0.65
    """

    mean: float
    sd: float
    r: float
    weights: Mapping[str, float]


GENES = {
    "EGFR": Gene(5.5, 1.2, 0.60, {"ground_glass": 0.8, "spiculation": 0.6}),
    "KRAS": Gene(4.2, 0.7, 0.35, {"size": 0.5, "lobulation": 0.7}),
    "MET": Gene(4.8, 1.3, 0.50, {"spiculation": 0.9, "size": 0.3}),
    "NKX2-1": Gene(6.5, 2.0, 0.60, {"ground_glass": 0.9, "cavity": -0.6}),
    "KRT5": Gene(3.0, 2.4, 0.70, {"cavity": 0.9, "size": 0.6, "ground_glass": -0.4}),
    "MKI67": Gene(3.8, 1.1, 0.65, {"size": 0.9, "ground_glass": -0.5, "calcium": -0.5}),
    "ALK": Gene(1.2, 0.8, 0.20, {"lobulation": 1.0}),
    "ROS1": Gene(1.8, 1.1, 0.0, {"size": 1.0}),
    "ERBB2": Gene(5.2, 0.8, 0.30, {"spiculation": 1.0}),
    "BRAF": Gene(3.1, 0.5, 0.0, {"size": 1.0}),
    "RET": Gene(1.0, 0.7, 0.15, {"ground_glass": 1.0}),
    "TP53": Gene(4.6, 0.9, 0.40, {"size": 0.8, "cavity": 0.6}),
    "STK11": Gene(4.0, 0.6, 0.25, {"lobulation": 0.8, "spiculation": -0.5}),
    "KEAP1": Gene(5.0, 0.6, 0.30, {"size": 0.7, "lobulation": 0.7}),
    "CD274": Gene(2.6, 1.2, 0.40, {"ground_glass": -0.8, "cavity": 0.5}),
    "VEGFA": Gene(6.0, 1.1, 0.45, {"size": 1.0, "cavity": 0.3}),
}
PANEL = ("EGFR", "KRAS", "MET", "NKX2-1", "KRT5", "MKI67")


@dataclass(frozen=True)
class Optimum:
    """The best result that any model can reach on a lesion phantom.

    A model that knows the true appearance of each lesion and the formulas of this module reaches it. A model
    that reads the scans cannot exceed it, apart from chance.

    Attributes
    ----------
    egfr_auc : float
        AUC for "mutant" against "wildtype", 0.5 to 1.
    expression_r : mapping of str to float
        Pearson correlation for each gene, 0 to 1.

    Examples
    --------
    >>> best = simulate(tuple(appearance.TYPES), (3.0, 100.0))
    >>> 0.7 < best.egfr_auc < 0.95, round(best.expression_r["MKI67"], 1)
    (True, 0.6)
    """

    egfr_auc: float
    expression_r: Mapping[str, float]


def egfr_probability(lesions: pd.DataFrame, strength: float = 1.0) -> np.ndarray:
    """Return P(EGFR mutant | appearance) of each lesion, shape (n,).

    Examples
    --------
    >>> lesions = appearance.draw(np.full((1, 6), 0.5), ["ground-glass", "ground-glass"])
    >>> bool(egfr_probability(lesions)[0] > 0.7)
    True
    """
    weights = [EGFR_WEIGHTS.get(name, 0.0) for name in TRAITS]
    return expit(EGFR_OFFSET + strength * (appearance.traits(lesions) @ weights))


def expected_expression(
    lesions: pd.DataFrame, genes: Sequence[str] = PANEL, strength: float = 1.0
) -> pd.DataFrame:
    """Return the mean expression given the appearance, log2(TPM + 1), shape (n, n_genes).

    Parameters
    ----------
    lesions, genes, strength
        As for `sample`.

    Examples
    --------
    >>> lesions = appearance.draw(np.full((1, 6), 0.5))
    >>> list(expected_expression(lesions, ["MET", "KRT5"]))
    ['MET', 'KRT5']
    """
    scores = {gene: appearance.traits(lesions) @ _weights(gene) for gene in genes}
    laws = {gene: GENES[gene] for gene in genes}
    return pd.DataFrame(
        {g: laws[g].mean + laws[g].sd * strength * laws[g].r * scores[g] for g in genes}, index=lesions.index
    )


def sample(
    lesions: pd.DataFrame, chance: np.ndarray, genes: Sequence[str] = PANEL, strength: float = 1.0
) -> pd.DataFrame:
    """Return the genotype and the expression of each lesion.

    Parameters
    ----------
    lesions : DataFrame, shape (n, >= 7)
        As `appearance.draw` returns it.
    chance : ndarray, shape (n, 1 + n_genes)
        A uniform random number for the genotype, and normal ones for the genes.
    genes : sequence of str
        Keys of `GENES`.
    strength : float in [0, 1]
        How strongly genotype and expression depend on the appearance; 0 is not at all.

    Returns
    -------
    DataFrame, shape (n, 1 + n_genes)
        Columns `egfr` ("wildtype" or "mutant") and `expression_<gene>`, log2(TPM + 1).

    Examples
    --------
    >>> lesions = appearance.draw(np.full((1, 6), 0.5))
    >>> sample(lesions, np.array([[0.99, 0.0]]), ["MET"]).columns.tolist()
    ['egfr', 'expression_MET']
    """
    mutant = chance[:, 0] < egfr_probability(lesions, strength)
    out = pd.DataFrame({"egfr": np.where(mutant, "mutant", "wildtype")}, index=lesions.index)
    mean = expected_expression(lesions, genes, strength)
    for column, gene in enumerate(genes, start=1):
        rest = GENES[gene].sd * np.sqrt(1 - (strength * GENES[gene].r) ** 2)
        out[f"expression_{gene}"] = (mean[gene] + rest * chance[:, column]).round(4)
    return out


@lru_cache(maxsize=32)
def simulate(
    types: tuple[str, ...],
    diameters: tuple[float, float],
    genes: tuple[str, ...] = PANEL,
    strength: float = 1.0,
) -> Optimum:
    """Return the optimum for lesions of some types and diameters, from 20,000 simulated lesions.

    Parameters
    ----------
    types, diameters
        As for `appearance.draw`.
    genes, strength
        As for `sample`.

    Examples
    --------
    >>> simulate(("solid",), (10.0, 20.0), strength=0.0).egfr_auc
    0.5
    """
    lesions = appearance.draw(
        np.random.default_rng(1).random((N_SIMULATED, appearance.N_DRAWS)), types, diameters
    )
    p = egfr_probability(lesions, strength)
    mean = expected_expression(lesions, genes, strength)
    best = {}
    for gene in genes:
        explained = float(mean[gene].var(ddof=0))
        rest = GENES[gene].sd ** 2 * (1 - (strength * GENES[gene].r) ** 2)
        best[gene] = round(float(np.sqrt(explained / (explained + rest))), 4)
    return Optimum(round(expected_macro_auc(np.column_stack([1 - p, p])), 4), best)


@lru_cache(maxsize=len(GENES))
def _weights(gene: str) -> np.ndarray:
    """Return the weights of the traits that give the score a standard deviation of 1, shape (6,)."""
    weights = np.array([GENES[gene].weights.get(name, 0.0) for name in TRAITS])
    many = appearance.traits(
        appearance.draw(np.random.default_rng(0).random((N_SIMULATED, appearance.N_DRAWS)))
    )
    return weights / (many @ weights).std()
