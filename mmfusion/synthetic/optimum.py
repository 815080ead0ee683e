"""Best possible prediction of the phantom's stage, for any subset of modalities.

The likelihood of each modality given its latent is known. Each posterior is therefore computed on a grid, and
P(stage | any subset of modalities) is a sum over the product of the grids.

The optimum uses the true parameters of the scans (diameter, attenuation, ...). A model that measures them
from noisy voxels cannot exceed it. Macro-AUC of the optimum with the default arguments: CT 0.753, RNA 0.770,
EHR 0.735, CT + RNA 0.860, CT + EHR 0.836, RNA + EHR 0.848, all three 0.916. In the family "nominal": CT
0.718, RNA 0.767, EHR 0.706, CT + RNA 0.881, CT + EHR 0.786, RNA + EHR 0.873, all three 0.928. If a patient
has CT and PET, which both show the diameter of the lesion, the diameter is used once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd

from mmfusion.modalities import IMAGING
from mmfusion.synthetic import clinical, lesions
from mmfusion.synthetic.genes import GeneProgramme, gene_programme
from mmfusion.synthetic.model import (
    BALANCE,
    GRID,
    MODALITIES,
    PRIOR,
    STAGES,
    WITH_PET,
    cumulative,
    draw_latents,
    joint_over_margins,
    stream,
)

BURDEN = IMAGING  # modalities that show the tumour burden
N_DRAWS = 20_000


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
    uptake : DataFrame, shape (n, 1), or None
        Uptake of the lesions; None leaves PET out.

    Returns
    -------
    dict of str to ndarray, shape (n, 41)
        Posteriors; rows sum to 1. With the uptake, the burden has three posteriors: "ct", "pet" and "ct+pet".

    Examples
    --------
    >>> burden = np.array([-2.0, 0.0, 2.0])
    >>> lesion = lesions.sample(burden, np.random.default_rng(0))
    >>> belief = beliefs(lesion, None, None, gene_programme(50, 5))
    >>> belief["ct"].shape, belief["ct"].sum(axis=1).round(6).tolist()
    ((3, 41), [1.0, 1.0, 1.0])
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
    belief: Mapping[str, np.ndarray], modalities: Sequence[str], signal: str, family: str = "ordered"
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
    family : {"ordered", "nominal"}
        Family of the cohort.

    Returns
    -------
    ndarray, shape (n, 3)
        Probabilities of stage I, II and III; rows sum to 1.

    Examples
    --------
    >>> lesion = lesions.sample(np.array([-2.0, 2.0]), np.random.default_rng(0))
    >>> belief = beliefs(lesion, None, None, gene_programme(50, 5))
    >>> proba = class_probabilities(belief, ["ct"], "planted")
    >>> proba.shape, bool(proba[1, 2] > proba[0, 2])  # stage III is more probable with a large burden
    ((2, 3), True)
    """
    n = len(next(iter(belief.values())))
    burden = "+".join(m for m in BURDEN if m in modalities)
    seen = (burden, *(m if m in modalities else "" for m in MODALITIES[1:]))
    parts = [belief[m] if m else PRIOR[None] for m in seen]
    table = _stage_table(signal, family)
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
    family: str = "ordered",
) -> dict[tuple[str, ...], np.ndarray]:
    """Return subset of modalities -> P(stage | subset) of `n_draws` patients, shape (n_draws, 3); cached.

    Examples
    --------
    >>> readings = best_readings("planted", 50, 5, n_draws=100, modalities=("ct", "ehr"))
    >>> list(readings), readings["ct", "ehr"].shape
    ([('ct',), ('ehr',), ('ct', 'ehr')], (100, 3))
    """
    programme = gene_programme(n_genes, n_planted)
    latents = draw_latents(n_draws, stream(0, "optimum"))
    belief = beliefs(
        lesions.sample(latents[:, 0], stream(0, "optimum lesions")),
        programme.sample_score(latents[:, 1], stream(0, "optimum genes")),
        clinical.sample(latents[:, 2], stream(0, "optimum clinical")),
        programme,
        lesions.sample(latents[:, 0], stream(0, "optimum uptake"), tuple(lesions.UPTAKE)),
    )
    readings = {s: class_probabilities(belief, s, signal, family) for s in subsets(modalities)}
    for array in readings.values():
        array.flags.writeable = False
    return readings


@lru_cache(maxsize=2)
def _stage_table(signal: str, family: str) -> np.ndarray:
    """Return P(stage | B, P, R) times `joint_over_margins` on the grids, shape (3, 41, 41, 41)."""
    if signal == "null":
        return np.array(BALANCE)[:, None, None, None] * joint_over_margins()
    first, second = cumulative(*np.meshgrid(GRID, GRID, GRID, indexing="ij"), family)
    return np.stack([first, second - first, 1 - second]) * joint_over_margins()
