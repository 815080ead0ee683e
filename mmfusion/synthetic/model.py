"""The phantom's generative model: latents, the stage they cause, and what the best possible reader makes of the data.

One standard normal latent per modality: tumour burden `B` (CT), gene programme `P` (RNA), clinical risk `R` (EHR),
with correlation 0.3 between any two, since who is worse off is so in more than one way. The stage is a
proportional-odds model of a score with an interaction,

    s = 1.2 B + 1.2 P + 1.2 R + 0.5 B P,      P(stage <= k) = expit((t_k - s) / 0.5),

with thresholds t_k that give I 45 %, II 30 %, III 25 %. Each modality's data are independent of everything else given
its latent, with a known likelihood, so each posterior is computed on a grid and P(stage | any subset) is a contraction
over the product of the grids.

The optimum is that of a reader of the *parameters* of the scans (diameter, attenuation, ...): an upper bound for one
who must measure them from noisy voxels. Its macro-AUC with the default arguments: CT .753, RNA .770, EHR .735, CT + RNA
.860, CT + EHR .836, RNA + EHR .848, all three .916.

A PET, if there is one, is a second view of the tumour burden: it shows the lesion's diameter, as the CT does, and its
uptake, which depends on the burden alone. What CT and PET say together counts the diameter once.
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
    """Patients before anything is rendered: latents (n, 3), stage (n,) in 0..2, and what each modality shows."""

    latents: np.ndarray
    stage: np.ndarray
    lesions: pd.DataFrame
    uptake: pd.DataFrame
    genes: pd.DataFrame
    record: pd.DataFrame


def stream(seed: int, name: str) -> np.random.Generator:
    """An independent generator for one purpose, so that changing one option leaves the rest of a cohort as it was."""
    return np.random.default_rng([seed, crc32(name.encode())])


def draw(n: int, seed: int, signal: str = "planted", programme: GeneProgramme | None = None) -> Draw:
    """`n` patients of the model. A null draw differs from a planted one of the same seed in the stage alone."""
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
    """Stage 0, 1 or 2 of each row of `latents`, shape (n,)."""
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
    """Return the posterior of each latent on `GRID`, shape (n, 41), rows summing to one, by modality.

    A modality of None is left out. With the uptake, the burden has three: "ct", "pet" and "ct+pet".
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
    """P(stage | the data of `modalities`), shape (n, 3), by integrating over the latents.

    `belief` has each latent's posterior as if it were independent of the others; the stage table carries the ratio of
    the joint prior to the product of its margins, so that what one modality says bears on the latents of the others.
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
    """One-vs-rest macro-AUC that calibrated `probabilities` (n, k) reach in expectation over the labels."""
    aucs = []
    for p in probabilities.T:
        p = np.sort(p)
        negative = 1 - p
        if np.ptp(p) < 1e-9:  # all patients tie
            aucs.append(0.5)
            continue
        aucs.append(float(p @ (negative.cumsum() - negative / 2) / (p.sum() * negative.sum())))
    return float(np.mean(aucs))


def subsets(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every non-empty subset, small ones first, in the order of `WITH_PET`."""
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
    """Return P(stage | subset) of `n_draws` patients of the model, shape (n_draws, 3), by subset; cached."""
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
    """Raise `DataError` unless `signal` is one of `SIGNALS`."""
    if signal not in SIGNALS:
        raise DataError("no such signal", expected=" or ".join(SIGNALS), got=repr(signal))


def _score(burden: np.ndarray, programme: np.ndarray, risk: np.ndarray) -> np.ndarray:
    return WEIGHTS[0] * burden + WEIGHTS[1] * programme + WEIGHTS[2] * risk + INTERACTION * burden * programme


def _draw_latents(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, 3)) @ np.linalg.cholesky(CORRELATION).T


@lru_cache(maxsize=1)
def _joint_over_margins() -> np.ndarray:
    """Prior of (B, P, R) over the product of its margins, on the product of the grids, shape (41, 41, 41)."""
    points = np.stack(np.meshgrid(GRID, GRID, GRID, indexing="ij"), axis=-1)
    excess = np.linalg.inv(CORRELATION) - np.eye(3)
    return np.exp(-0.5 * np.einsum("...i,ij,...j->...", points, excess, points))


@lru_cache(maxsize=1)
def _thresholds() -> np.ndarray:
    """Where the score passes from one stage to the next, so that the stages have the shares `BALANCE`."""
    score = _score(*np.meshgrid(GRID, GRID, GRID, indexing="ij"))
    weight = np.einsum("b,p,r->bpr", PRIOR, PRIOR, PRIOR) * _joint_over_margins()
    weight /= weight.sum()
    shares = np.cumsum(BALANCE)[:-1]
    return np.array(
        [brentq(lambda t, q=q: (expit((t - score) / SOFTNESS) * weight).sum() - q, -20, 20) for q in shares]
    )


@lru_cache(maxsize=2)
def _stage_table(signal: str) -> np.ndarray:
    """P(stage | B, P, R) times `_joint_over_margins` on the product of the grids, shape (3, 41, 41, 41)."""
    score = _score(*np.meshgrid(GRID, GRID, GRID, indexing="ij"))
    if signal == "null":
        return np.array(BALANCE)[:, None, None, None] * _joint_over_margins()
    first, second = (expit((t - score) / SOFTNESS) for t in _thresholds())
    return np.stack([first, second - first, 1 - second]) * _joint_over_margins()
