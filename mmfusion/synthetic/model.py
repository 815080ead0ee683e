"""Generative model of the phantom: latents, and the stage that depends on them.

Each modality has one standard normal latent: tumour burden `B` (CT), gene programme `P` (RNA), clinical risk
`R` (EHR). The correlation between any two is 0.3, because severe disease shows in several modalities. The
stage is a proportional-odds model of a score with an interaction:

    s = 1.2 B + 1.2 P + 1.2 R + 0.5 B P,      P(stage <= k) = expit((t_k - s) / 0.5)

The thresholds t_k give 45 % stage I, 30 % stage II and 25 % stage III. Given its latent, the data of a
modality are independent of everything else, and their likelihood is known (`mmfusion.synthetic.optimum`).

In the second family, "nominal", the stages are not ordered in one score. Each has signs of its own. The log
odds of stage II and of stage III over stage I depend on different latents:

    stage I:   u = -1.2 B - 1.2 P - 1.2 R
    stage II:  u = -0.9 B + 2.4 P - 0.9 R
    stage III: u =  2.1 B - 1.2 P + 2.1 R + 0.75 B P
    P(stage) = softmax(u + c), where the constants c give the same shares of the stages

A PET also shows the tumour burden. It shows the diameter of the lesion, as the CT does, and its uptake,
which depends on the burden only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, softmax

from mmfusion import modalities
from mmfusion.errors import DataError
from mmfusion.synthetic import clinical, lesions
from mmfusion.synthetic.genes import GeneProgramme, gene_programme

LATENTS = {"ct": "tumour burden", "rna": "gene programme", "ehr": "clinical risk"}
MODALITIES = tuple(LATENTS)
WITH_PET = tuple(modalities.MODALITIES)
STAGES = ("I", "II", "III")
BALANCE = (0.45, 0.30, 0.25)
WEIGHTS, INTERACTION, SOFTNESS = (1.2, 1.2, 1.2), 0.5, 0.5
CORRELATION = 0.3 + 0.7 * np.eye(3)  # of the latents
OWN_SIGNS = np.array([[-1.2, -1.2, -1.2], [-0.9, 2.4, -0.9], [2.1, -1.2, 2.1]])  # stage x latent
OWN_INTERACTION = 0.75  # of B P, for stage III
SIGNALS = ("planted", "null")
FAMILIES = ("ordered", "nominal")
GRID = np.linspace(-4.0, 4.0, 41)
PRIOR = np.exp(-0.5 * GRID**2) / np.exp(-0.5 * GRID**2).sum()


@dataclass(frozen=True)
class Draw:
    """Patients of the model, before scans are rendered.

    Attributes
    ----------
    latents : ndarray, shape (n, 3)
        Tumour burden, gene programme and clinical risk.
    stage : ndarray of int, shape (n,)
        0, 1 or 2 for stage I, II or III.
    lesions : DataFrame, shape (n, 4)
        Appearance of the lesions.
    uptake : DataFrame, shape (n, 1)
        Uptake of the lesions, SUVbw.
    genes : DataFrame, shape (n, n_genes)
        Gene expression, TPM.
    record : DataFrame, shape (n, 19)
        Health records.

    Examples
    --------
    >>> patients = draw(5, seed=0)
    >>> patients.stage.shape, patients.lesions.shape, patients.uptake.columns.tolist()
    ((5,), (5, 4), ['suv'])
    """

    latents: np.ndarray
    stage: np.ndarray
    lesions: pd.DataFrame
    uptake: pd.DataFrame
    genes: pd.DataFrame
    record: pd.DataFrame


def stream(seed: int, name: str) -> np.random.Generator:
    """Return an independent random generator for one purpose; other options then do not change its data.

    Examples
    --------
    >>> stream(0, "site").integers(10) == stream(0, "site").integers(10)
    np.True_
    """
    return np.random.default_rng([seed, crc32(name.encode())])


def draw(
    n: int,
    seed: int,
    signal: str = "planted",
    programme: GeneProgramme | None = None,
    family: str = "ordered",
) -> Draw:
    """Draw `n` patients of the model.

    Draws with the same seed, and another signal or family, differ only in the stage.

    Parameters
    ----------
    n : int
        Number of patients.
    seed : int
        Seed.
    signal : {"planted", "null"}
        "planted": the stage depends on the latents. "null": it is random.
    programme : GeneProgramme, optional
        Gene programme. Default: `gene_programme()`.
    family : {"ordered", "nominal"}
        "ordered": the stages follow one score. "nominal": each stage has signs of its own.

    Examples
    --------
    >>> draw(5, seed=0).latents.shape
    (5, 3)
    """
    latents = draw_latents(n, stream(seed, "latents"))
    return Draw(
        latents=latents,
        stage=draw_stage(latents, stream(seed, "stage"), signal, family),
        lesions=lesions.sample(latents[:, 0], stream(seed, "lesions")),
        uptake=lesions.sample(latents[:, 0], stream(seed, "uptake"), tuple(lesions.UPTAKE)),
        genes=(programme or gene_programme()).sample(latents[:, 1], stream(seed, "genes")),
        record=clinical.sample(latents[:, 2], stream(seed, "clinical")),
    )


def draw_stage(
    latents: np.ndarray, rng: np.random.Generator, signal: str = "planted", family: str = "ordered"
) -> np.ndarray:
    """Draw the stage (0, 1 or 2) of each row of `latents` (n, 3); the result has shape (n,).

    Examples
    --------
    >>> draw_stage(np.array([[-9.0, 0, 0], [9.0, 9, 9]]), np.random.default_rng(0))
    array([0, 2])
    """
    if signal == "null":
        return rng.choice(len(STAGES), len(latents), p=BALANCE)
    return (rng.random(len(latents)) > cumulative(*latents.T, family)).sum(axis=0)


def cumulative(
    burden: np.ndarray, programme: np.ndarray, risk: np.ndarray, family: str = "ordered"
) -> np.ndarray:
    """Return P(stage <= I) and P(stage <= II) for latents of equal shape (...), shape (2, ...).

    Examples
    --------
    >>> cumulative(np.array([0.0]), np.array([3.0]), np.array([0.0]), "nominal").round(2).tolist()
    [[0.0], [1.0]]
    """
    if family == "nominal":
        shares = softmax(_utilities(burden, programme, risk, constants()), axis=0)
        return np.stack([shares[0], shares[0] + shares[1]])
    score = stage_score(burden, programme, risk)
    return np.stack([expit((t - score) / SOFTNESS) for t in thresholds()])


def check_law(signal: str, family: str = "ordered") -> None:
    """Raise a `DataError` if `signal` is not in `SIGNALS`, or `family` not in `FAMILIES`.

    Examples
    --------
    >>> check_law("planted", "nominal")
    >>> check_law("strong")
    Traceback (most recent call last):
        ...
    mmfusion.errors.DataError: unknown signal (expected planted or null; got 'strong')
    """
    for name, value, known in (("signal", signal, SIGNALS), ("family", family, FAMILIES)):
        if value not in known:
            raise DataError(f"unknown {name}", expected=" or ".join(known), got=repr(value))


def stage_score(burden: np.ndarray, programme: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Return the score s of the stage for latents of equal shape.

    Examples
    --------
    >>> stage_score(np.array([1.0]), np.array([1.0]), np.array([0.0])).round(2)
    array([2.9])
    """
    return WEIGHTS[0] * burden + WEIGHTS[1] * programme + WEIGHTS[2] * risk + INTERACTION * burden * programme


def draw_latents(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw burden, programme and risk of n patients, shape (n, 3).

    Examples
    --------
    >>> draw_latents(5, np.random.default_rng(0)).shape
    (5, 3)
    """
    return rng.standard_normal((n, 3)) @ np.linalg.cholesky(CORRELATION).T


@lru_cache(maxsize=1)
def joint_over_margins() -> np.ndarray:
    """Return the prior of (B, P, R) divided by the product of its margins, on the grids (41, 41, 41).

    Examples
    --------
    >>> joint_over_margins().shape
    (41, 41, 41)
    """
    points = np.stack(np.meshgrid(GRID, GRID, GRID, indexing="ij"), axis=-1)
    excess = np.linalg.inv(CORRELATION) - np.eye(3)
    return np.exp(-0.5 * np.einsum("...i,ij,...j->...", points, excess, points))


@lru_cache(maxsize=1)
def thresholds() -> np.ndarray:
    """Return the thresholds of the score between the stages, which give the shares in `BALANCE`.

    Examples
    --------
    >>> bool(thresholds()[0] < thresholds()[1])
    True
    """
    points, weight = _prior_on_grid()
    scores = stage_score(*points)
    shares = np.cumsum(BALANCE)[:-1]
    return np.array(
        [brentq(lambda t, q=q: (expit((t - scores) / SOFTNESS) * weight).sum() - q, -20, 20) for q in shares]
    )


@lru_cache(maxsize=1)
def constants() -> np.ndarray:
    """Return the constants of the family "nominal", which give the shares in `BALANCE`, shape (3,).

    Examples
    --------
    >>> constants().shape
    (3,)
    """
    points, weight = _prior_on_grid()
    found = np.zeros(len(STAGES))
    for _ in range(100):  # each step raises the stages that are too rare; 60 steps reach 1e-12
        shares = (softmax(_utilities(*points, found), axis=0) * weight).sum(axis=(1, 2, 3))
        found += np.log(np.array(BALANCE) / shares)
    return found


def _utilities(burden: np.ndarray, programme: np.ndarray, risk: np.ndarray, added: np.ndarray) -> np.ndarray:
    out = np.einsum("kl,l...->k...", OWN_SIGNS, np.stack([burden, programme, risk]))
    out[2] += OWN_INTERACTION * burden * programme
    return out + added.reshape(-1, *[1] * np.ndim(burden))


def _prior_on_grid() -> tuple[list[np.ndarray], np.ndarray]:
    """Return the grids of (B, P, R), and the prior of their points, which sums to 1."""
    weight = np.einsum("b,p,r->bpr", PRIOR, PRIOR, PRIOR) * joint_over_margins()
    return np.meshgrid(GRID, GRID, GRID, indexing="ij"), weight / weight.sum()
