"""Phantom of radiomics: a table of features, health records and expression with a known best result.

The features are linear mixtures of independent latents whose variances fall like those of real radiomics of
the lung: ten principal components have 80 % of the variance, and the number of components is limited by the
number of patients. The shares of the clinical categories are invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from numbers import Real

import numpy as np
import pandas as pd
from scipy.stats import norm

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError, check_whole

N_LATENTS = 100
_DECAY = 1.5  # the variance of latent k is k ** -1.5
_NOISE = 0.01  # SD of the noise of a feature
_TELLING = slice(0, 1)  # latents whose mean depends on the genotype
_EXPRESSED = slice(1, 4)  # latents that the genes depend on
# gene -> best correlation apart from the noise of the features
PANEL = {"EGFR": 0.6, "KRAS": 0.35, "MET": 0.5, "NKX2-1": 0.6, "KRT5": 0.7, "MKI67": 0.65}
# column -> level -> (share among wild types, share among mutants)
LEVELS: dict[str, dict[str, tuple[float, float]]] = {
    "sex": {"male": (0.65, 0.40), "female": (0.35, 0.60)},
    "smoking_status": {"never": (0.10, 0.40), "former": (0.65, 0.50), "current": (0.25, 0.10)},
    "ethnicity": {"Caucasian": (0.80, 0.60), "Asian": (0.10, 0.35), "African-American": (0.10, 0.05)},
    "histology": {"adenocarcinoma": (0.80, 0.98), "squamous cell": (0.20, 0.02)},
    "ground_glass": {"0%": (0.70, 0.40), ">0 - 25%": (0.25, 0.35), "50 - 75%": (0.05, 0.25)},
    "site": {"A": (0.50, 0.65), "B": (0.50, 0.35)},
    "grade": {"G1": (0.15, 0.35), "G2": (0.50, 0.50), "G3": (0.35, 0.15)},
}


def radiomics_phantom(
    n: int = 240,
    seed: int = 0,
    signal: str = "planted",
    *,
    mutants: float = 0.3,
    auc: float = 0.85,
    n_features: int = 300,
    target: str = "egfr",
) -> Cohort:
    """Make a synthetic cohort with radiomics, health records, EGFR status and the expression of six genes.

    Parameters
    ----------
    n : int
        Number of patients.
    seed : int
        Seed of the patients. The features have the same meaning for every seed.
    signal : {"planted", "null"}
        "planted": features and records depend on the genotype, and the expression on the features. "null":
        they do not.
    mutants : float
        Share of the mutants, 0 to 1. Their number is rounded.
    auc : float
        Best possible AUC of the radiomics for the EGFR status, 0.5 to 0.999, if the signal is planted.
    n_features : int
        Number of radiomics features, 100 or more.
    target : str
        "egfr" or "expression".

    Returns
    -------
    Cohort
        `("ct", "radiomics_001")`, ... and `("ehr", "age")`, `pack_years` (both independent of all others) and
        the columns of `LEVELS`, which include the grade and the site. Outcomes are `egfr` and
        `expression_<gene>`. `radiomics_optimum(cohort)` is the best possible result.

    Raises
    ------
    DataError
        If an argument is out of range.

    Examples
    --------
    >>> cohort = radiomics_phantom(40, mutants=0.25)
    >>> cohort.y.value_counts().to_dict(), cohort.X["ct"].shape
    ({'wildtype': 30, 'mutant': 10}, (40, 300))
    """
    check_whole("n", n, 1, 100_000)
    check_whole("seed", seed, 0, 2**63 - 1)
    check_whole("n_features", n_features, N_LATENTS, 100_000)
    for name, value, low, high in (("mutants", mutants, 0.0, 1.0), ("auc", auc, 0.5, 0.999)):
        if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
            raise DataError("out of range", parameter=name, expected=f"{low:g} to {high:g}", got=repr(value))
    if signal not in ("planted", "null"):
        raise DataError("no such signal", parameter="signal", expected="planted or null", got=repr(signal))
    planted = signal == "planted"
    rng = np.random.default_rng([seed, 61])
    ids = pd.Index([f"RP{seed:02d}-{i:04d}" for i in range(1, n + 1)], name="patient_id")
    mutant = rng.permutation(np.arange(n) < round(mutants * n))
    latents = rng.standard_normal((n, N_LATENTS)) + np.outer(mutant, _shift(auc) if planted else 0.0)
    genes = _expression(latents, rng, planted=planted)
    outcomes = pd.DataFrame({"egfr": np.where(mutant, "mutant", "wildtype"), **genes}, index=ids)
    blocks = {
        "ct": pd.DataFrame(_features(latents, n_features, rng), ids, _names(n_features)),
        "ehr": _records(mutant, rng, planted=planted).set_axis(ids),
    }
    table = pd.concat(blocks, axis=1)
    groups = pd.DataFrame({"site": table["ehr", "site"]})
    facts = {"source": "mmfusion.synthetic.radiomics_phantom", "license": "CC0", "signal": signal}
    facts["optimum"] = {"ct": float(auc) if planted else 0.5, "expression_r": _best_r(planted=planted)}
    return Cohort(f"radiomics-phantom-{seed}", table, outcomes, target, groups=groups, provenance=facts)


def radiomics_optimum(cohort: Cohort, columns: Sequence[str] = ()) -> float:
    """Return the best possible AUC of the radiomics of a phantom, or of some columns of its health records.

    Parameters
    ----------
    cohort : Cohort
        Made by `radiomics_phantom`.
    columns : sequence of str
        Columns of the health records; empty for the radiomics.

    Examples
    --------
    >>> cohort = radiomics_phantom(10)
    >>> radiomics_optimum(cohort), round(radiomics_optimum(cohort, ["sex", "smoking_status"]), 2)
    (0.85, 0.74)
    """
    if not columns:
        return cohort.provenance["optimum"]["ct"]
    if cohort.provenance["signal"] == "null":
        return 0.5
    shares = [np.array(list(LEVELS[name].values())) for name in columns if name in LEVELS]
    joint = np.array([np.prod(levels, axis=0) for levels in product(*shares)])  # (combinations, 2)
    ratio = np.log(np.maximum(joint[:, 1], 1e-12) / np.maximum(joint[:, 0], 1e-12))
    order = np.argsort(ratio, kind="stable")
    wild, mutated = joint[order].T
    return float(mutated @ (wild.cumsum() - wild / 2))


def _shift(auc: float) -> np.ndarray:
    """Return the difference of the means of the latents that gives the best AUC, shape (N_LATENTS,)."""
    direction = np.zeros(N_LATENTS)
    direction[_TELLING] = 1.0
    return direction * np.sqrt(2) * norm.ppf(auc) / np.sqrt((direction**2 * _seen()).sum())


def _scales() -> np.ndarray:
    return np.arange(1, N_LATENTS + 1) ** (-_DECAY / 2)


def _seen() -> np.ndarray:
    """Return the share of the variance of each latent that the features show in spite of their noise."""
    variance = _scales() ** 2
    return variance / (variance + _NOISE**2)


def _features(latents: np.ndarray, n_features: int, rng: np.random.Generator) -> np.ndarray:
    mixing = np.linalg.qr(np.random.default_rng(n_features).standard_normal((n_features, N_LATENTS)))[0]
    noise = _NOISE * rng.standard_normal((len(latents), n_features))
    return latents * _scales() @ mixing.T + noise


def _names(n_features: int) -> list[str]:
    return [f"radiomics_{k:03d}" for k in range(1, n_features + 1)]


def _directions() -> np.ndarray:
    """Return the weights of the latents in the score of each gene, unit vectors, shape (n_genes, 3)."""
    weights = np.random.default_rng(6).standard_normal((len(PANEL), _EXPRESSED.stop - _EXPRESSED.start))
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def _expression(latents: np.ndarray, rng: np.random.Generator, *, planted: bool) -> dict[str, np.ndarray]:
    score = latents[:, _EXPRESSED] @ _directions().T
    noise = rng.standard_normal(score.shape)
    r = np.array(list(PANEL.values())) * planted
    values = r * score + np.sqrt(1 - r**2) * noise
    return {f"expression_{gene}": column for gene, column in zip(PANEL, values.T, strict=True)}


def _best_r(*, planted: bool) -> Mapping[str, float]:
    """Return the correlation with the expectation given the features, for each gene."""
    seen = np.sqrt(_directions() ** 2 @ _seen()[_EXPRESSED])
    return {gene: float(planted * r * s) for (gene, r), s in zip(PANEL.items(), seen, strict=True)}


def _records(mutant: np.ndarray, rng: np.random.Generator, *, planted: bool) -> pd.DataFrame:
    n = len(mutant)
    records: dict[str, object] = {
        "age": rng.normal(67, 10, n).round(),
        "pack_years": rng.gamma(2, 20, n).round(),
    }
    for column, levels in LEVELS.items():
        shares = np.array(list(levels.values()))[:, mutant.astype(int) * planted]  # (levels, n)
        picked = (rng.random(n) > shares.cumsum(axis=0)[:-1]).sum(axis=0)
        records[column] = np.array(list(levels), dtype=object)[picked]
    return pd.DataFrame(records)
