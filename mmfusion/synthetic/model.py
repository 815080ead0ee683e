"""Generative model of the phantom: latents, the stage that depends on them, and the best possible prediction.

Each modality has one standard normal latent: tumour burden `B` (CT), gene programme `P` (RNA), clinical risk
`R` (EHR). The correlation between any two is 0.3, because severe disease shows in several modalities. The
stage is a proportional-odds model of a score with an interaction:

    s = 1.2 B + 1.2 P + 1.2 R + 0.5 B P,      P(stage <= k) = expit((t_k - s) / 0.5)

The thresholds t_k give 45 % stage I, 30 % stage II and 25 % stage III. Given its latent, the data of a
modality are independent of everything else, and their likelihood is known. Each posterior is therefore
computed on a grid, and P(stage | any subset of modalities) is a sum over the product of the grids.

The optimum uses the true parameters of the scans (diameter, attenuation, ...). A model that measures them
from noisy voxels cannot exceed it. Macro-AUC of the optimum with the default arguments: CT 0.753, RNA 0.770,
EHR 0.735, CT + RNA 0.860, CT + EHR 0.836, RNA + EHR 0.848, all three 0.916.

A PET is a second view of the tumour burden: it shows the lesion's diameter, as the CT does, and its uptake, which
depends on the burden alone. CT and PET together count the diameter once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from zlib import crc32

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from mmfusion.errors import DataError
from mmfusion.synthetic import clinical, lesions
from mmfusion.synthetic.genes import GeneProgramme, gene_programme

LATENTS = {"ct": "tumour burden", "rna": "gene programme", "ehr": "clinical risk"}
MODALITIES = tuple(LATENTS)
WITH_PET = ("ct", "pet", "rna", "ehr")
BURDEN = ("ct", "pet")  # modalities that show the tumour burden
STAGES = ("I", "II", "III")
BALANCE = (0.45, 0.30, 0.25)
WEIGHTS, INTERACTION, SOFTNESS = (1.2, 1.2, 1.2), 0.5, 0.5
CORRELATION = 0.3 + 0.7 * np.eye(3)  # of the latents
SIGNALS = ("planted", "null")
GRID = np.linspace(-4.0, 4.0, 41)
PRIOR = np.exp(-0.5 * GRID**2) / np.exp(-0.5 * GRID**2).sum()
N_DRAWS = 20_000


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
    genes : DataFrame, shape (n, n_genes)
        Gene expression, TPM.
    record : DataFrame, shape (n, 19)
        Health records.
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


def draw(n: int, seed: int, signal: str = "planted", programme: GeneProgramme | None = None) -> Draw:
    """Draw `n` patients of the model.

    A null draw and a planted draw with the same seed differ only in the stage.

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

    Examples
    --------
    >>> draw(5, seed=0).latents.shape
    (5, 3)
    """
    latents = _draw_latents(n, stream(seed, "latents"))
    return Draw(
        latents=latents,
        stage=draw_stage(latents, stream(seed, "stage"), signal),
        lesions=lesions.sample(latents[:, 0], stream(seed, "lesions")),
        uptake=lesions.sample(latents[:, 0], stream(seed, "uptake"), tuple(lesions.UPTAKE)),
        genes=(programme or gene_programme()).sample(latents[:, 1], stream(seed, "genes")),
        record=clinical.sample(latents[:, 2], stream(seed, "clinical")),
    )


def draw_stage(latents: np.ndarray, rng: np.random.Generator, signal: str = "planted") -> np.ndarray:
    """Draw the stage (0, 1 or 2) of each row of `latents` (n, 3); the result has shape (n,).

    Examples
    --------
    >>> draw_stage(np.array([[-9.0, 0, 0], [9.0, 9, 9]]), np.random.default_rng(0))
    array([0, 2])
    """
    if signal == "null":
        return rng.choice(len(STAGES), len(latents), p=BALANCE)
    cumulative = expit((_thresholds() - _score(*latents.T)[:, None]) / SOFTNESS)
    return (rng.random((len(latents), 1)) > cumulative).sum(axis=1)


def beliefs(
    lesion: pd.DataFrame | None,
    gene_score: np.ndarray | None,
    record: pd.DataFrame | None,
    programme: GeneProgramme,
    uptake: pd.DataFrame | None = None,
) -> dict[str, np.ndarray]:
    """Return the posterior of each latent on `GRID`, as modality -> array of shape (n, 41).

    Parameters
    ----------
    lesion : DataFrame, shape (n, 4), or None
        Appearance of the lesions; None leaves CT out.
    gene_score : ndarray, shape (n,), or None
        Score of the genes (`GeneProgramme.score`); None leaves RNA out.
    record : DataFrame, shape (n, 19), or None
        Health records; None leaves EHR out.
    programme : GeneProgramme
        Programme that the score belongs to.

    Returns
    -------
    dict of str to ndarray, shape (n, 41)
        Posteriors; rows sum to 1. With the uptake, the burden has three: "ct", "pet" and "ct+pet".
    """
    log = {
        "ct": None if lesion is None else lesions.log_likelihood(lesion, GRID),
        "rna": None if gene_score is None else programme.log_likelihood(gene_score, GRID),
        "ehr": None if record is None else clinical.log_likelihood(record, GRID),
    }
    if lesion is not None and uptake is not None:
        shown = lesion.assign(**uptake)
        log |= {m: lesions.log_likelihood(shown, GRID, lesions.SEEN_BY[m]) for m in ("pet", "ct+pet")}
    out = {}
    for modality, likelihood in log.items():
        if likelihood is not None:
            weight = np.exp(likelihood - likelihood.max(axis=1, keepdims=True)) * PRIOR
            out[modality] = weight / weight.sum(axis=1, keepdims=True)
    return out


def class_probabilities(
    belief: Mapping[str, np.ndarray], modalities: Sequence[str], signal: str
) -> np.ndarray:
    """Return P(stage | data of `modalities`), shape (n, 3), by summing over the latents.

    Parameters
    ----------
    belief : mapping of str to ndarray, shape (n, 41)
        Posterior of each latent given its own modality only, as `beliefs` returns it. The correlation of the
        latents is part of the stage table: it contains the ratio of the joint prior to the product of its
        margins.
    modalities : sequence of str
        Modalities to use; the others keep their prior.
    signal : {"planted", "null"}
        Signal of the cohort.

    Returns
    -------
    ndarray, shape (n, 3)
        Probabilities of stage I, II and III; rows sum to 1.
    """
    n = len(next(iter(belief.values())))
    burden = "+".join(m for m in BURDEN if m in modalities)
    seen = (burden, *(m if m in modalities else "" for m in MODALITIES[1:]))
    parts = [belief[m] if m else PRIOR[None] for m in seen]
    table = _stage_table(signal)
    out = np.empty((n, len(STAGES)))
    for rows in np.array_split(np.arange(n), n // 500 + 1):
        b, p, r = (q if len(q) == 1 else q[rows] for q in parts)
        inner = (r @ table.reshape(-1, len(GRID)).T).reshape(-1, *table.shape[:-1])  # (n, stage, b, p)
        inner = (inner @ p[:, None, :, None])[..., 0]
        out[rows] = (inner @ b[:, :, None])[..., 0]
    return out / out.sum(axis=1, keepdims=True)


def expected_macro_auc(probabilities: np.ndarray) -> float:
    """Return the expected one-vs-rest macro-AUC of calibrated probabilities.

    Parameters
    ----------
    probabilities : ndarray, shape (n, k)
        Class probabilities; the labels are assumed to follow them.

    Returns
    -------
    float
        Mean over classes of the AUC that is expected over the labels, 0 to 1.

    Examples
    --------
    >>> expected_macro_auc(np.array([[1.0, 0.0], [0.0, 1.0]]))
    1.0
    """
    aucs = []
    for p in probabilities.T:
        p = np.sort(p)
        negative = 1 - p
        if np.ptp(p) < 1e-9:  # all patients have the same probability
            aucs.append(0.5)
            continue
        aucs.append(float(p @ (negative.cumsum() - negative / 2) / (p.sum() * negative.sum())))
    return float(np.mean(aucs))


def subsets(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every non-empty subset of modalities, small ones first, in the order of `WITH_PET`.

    Examples
    --------
    >>> subsets(["rna", "ct"])
    [('ct',), ('rna',), ('ct', 'rna')]
    """
    ordered = [m for m in WITH_PET if m in modalities]
    return [s for k in range(1, len(ordered) + 1) for s in combinations(ordered, k)]


@lru_cache(maxsize=32)
def best_readings(
    signal: str,
    n_genes: int,
    n_planted: int,
    n_draws: int = N_DRAWS,
    modalities: tuple[str, ...] = MODALITIES,
) -> dict[tuple[str, ...], np.ndarray]:
    """Return subset of modalities -> P(stage | subset) of `n_draws` patients, shape (n_draws, 3); cached."""
    programme = gene_programme(n_genes, n_planted)
    latents = _draw_latents(n_draws, stream(0, "optimum"))
    belief = beliefs(
        lesions.sample(latents[:, 0], stream(0, "optimum lesions")),
        programme.sample_score(latents[:, 1], stream(0, "optimum genes")),
        clinical.sample(latents[:, 2], stream(0, "optimum clinical")),
        programme,
        lesions.sample(latents[:, 0], stream(0, "optimum uptake"), tuple(lesions.UPTAKE)),
    )
    readings = {s: class_probabilities(belief, s, signal) for s in subsets(modalities)}
    for array in readings.values():
        array.flags.writeable = False
    return readings


def check_signal(signal: str) -> None:
    """Raise a `DataError` if `signal` is not in `SIGNALS`."""
    if signal not in SIGNALS:
        raise DataError("unknown signal", expected=" or ".join(SIGNALS), got=repr(signal))


def _score(burden: np.ndarray, programme: np.ndarray, risk: np.ndarray) -> np.ndarray:
    return WEIGHTS[0] * burden + WEIGHTS[1] * programme + WEIGHTS[2] * risk + INTERACTION * burden * programme


def _draw_latents(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, 3)) @ np.linalg.cholesky(CORRELATION).T


@lru_cache(maxsize=1)
def _joint_over_margins() -> np.ndarray:
    """Return the prior of (B, P, R) divided by the product of its margins, on the grids (41, 41, 41)."""
    points = np.stack(np.meshgrid(GRID, GRID, GRID, indexing="ij"), axis=-1)
    excess = np.linalg.inv(CORRELATION) - np.eye(3)
    return np.exp(-0.5 * np.einsum("...i,ij,...j->...", points, excess, points))


@lru_cache(maxsize=1)
def _thresholds() -> np.ndarray:
    """Return the thresholds of the score between the stages, which give the shares in `BALANCE`."""
    score = _score(*np.meshgrid(GRID, GRID, GRID, indexing="ij"))
    weight = np.einsum("b,p,r->bpr", PRIOR, PRIOR, PRIOR) * _joint_over_margins()
    weight /= weight.sum()
    shares = np.cumsum(BALANCE)[:-1]
    return np.array(
        [brentq(lambda t, q=q: (expit((t - score) / SOFTNESS) * weight).sum() - q, -20, 20) for q in shares]
    )


@lru_cache(maxsize=2)
def _stage_table(signal: str) -> np.ndarray:
    """Return P(stage | B, P, R) times `_joint_over_margins` on the grids, shape (3, 41, 41, 41)."""
    score = _score(*np.meshgrid(GRID, GRID, GRID, indexing="ij"))
    if signal == "null":
        return np.array(BALANCE)[:, None, None, None] * _joint_over_margins()
    first, second = (expit((t - score) / SOFTNESS) for t in _thresholds())
    return np.stack([first, second - first, 1 - second]) * _joint_over_margins()
