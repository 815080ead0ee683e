"""The demo cohort: patients of the generative model as a `Cohort`, and the optimum that a model can reach on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.targets.stage import target_labels
from mmfusion.errors import DataError
from mmfusion.synthetic import model
from mmfusion.synthetic.anatomy import SCANNERS
from mmfusion.synthetic.genes import gene_network, gene_programme
from mmfusion.synthetic.scans import ensure_scans

VERSION = 2  # of what is generated: raise it when the same parameters give other files
PET_VERSION = 1  # likewise, of the PET
RIGHT_LOBES = ("lobe_rul", "lobe_rml", "lobe_rll")
LACKS_TWO = 0.25  # of the patients who lack a modality, those who lack two


def phantom(
    n: int = 400,
    seed: int = 0,
    signal: str = "planted",
    *,
    missing: float = 0.1,
    n_genes: int = 500,
    n_planted: int = 20,
    modalities: Sequence[str] = model.MODALITIES,
    sites: int = 3,
    pet: bool = False,
    root: str | Path | None = None,
    target: str = "stage3_ajcc7",
) -> tuple[Cohort, pd.DataFrame]:
    """Return a synthetic cohort with CT, RNA, EHR and, if asked for, PET, whose best possible macro-AUC is known.

    The generative model is the same for every seed: `phantom(seed=1)` is an external cohort for `phantom(seed=0)`.
    A null cohort differs from the planted one of the same seed in its labels alone.

    Parameters
    ----------
    n : int
        Patients.
    seed : int
        Draws the patients, their scans and what is missing.
    signal : {"planted", "null"}
        Whether the stage depends on the latents, or on nothing.
    missing : float
        Probability that a patient lacks at least one modality, completely at random; no patient lacks all.
    n_genes, n_planted : int
        Genes, and those of them that carry the programme.
    modalities : sequence of str
        Some of ct, rna, ehr. Without ct and PET nothing is written to disk.
    sites : int
        1 to 4 sites, each with its scanner; independent of the stage.
    pet : bool
        Add a PET in SUVbw of the same lesions, with masks and seeds of its own: the lesion's size, and an uptake that
        depends on the tumour burden. All else is as without. A PET is missing with probability `missing`, whatever
        else the patient lacks.
    root : path, optional
        Folder for the scans; by default one below `$MMFUSION_CACHE` or `~/.cache/mmfusion`, found again by its
        parameters.
    target : str
        A named target that the stage groups I, II and III have a class under.

    Returns
    -------
    cohort : Cohort
        RNA in TPM; log2(TPM + 1) is Gaussian. `provenance` names `planted_genes`, `gene_sets`, and `gene_network`
        (edges gene, gene, weight).
    optimum : DataFrame, shape (n_subsets + 1, 1)
        Bayes-optimal one-vs-rest `macro_auc` by subset of modalities ("ct", ..., "ct+rna+ehr"; with PET "pet",
        "ct+pet", ... too: CT and PET show one latent, and the lesion's diameter both), for patients who have
        them all, and "observed": with this cohort's own missing modalities. Over the rendered lesions' parameters, thus
        an upper bound for a reader of voxels; 20,000 draws, standard error about .001.

    Raises
    ------
    DataError
        If an argument is out of range, or `root` holds something else.
    """
    _check(n, signal, missing, modalities, sites)
    modalities = tuple(m for m in model.MODALITIES if m in modalities)
    groups = _stage_groups(target)
    ids = pd.Index([f"PH{seed:02d}-{i:04d}" for i in range(1, n + 1)], name="patient_id")
    programme = gene_programme(n_genes, n_planted)
    drawn = model.draw(n, seed, signal, programme)
    site = model.stream(seed, "site").integers(sites, size=n)
    blocks = {"rna": drawn.genes.set_index(ids), "ehr": drawn.record.set_index(ids)}
    if "ct" in modalities or pet:
        patients = drawn.lesions.set_index(ids).assign(
            site=site, right=blocks["ehr"][list(RIGHT_LOBES)].sum(axis=1) > 0
        )
        key = {
            "generator": "mmfusion.synthetic.phantom",
            "version": VERSION,
            "n": n,
            "seed": seed,
            "sites": sites,
        }
        folder = None if root is None else Path(root).absolute()
        if "ct" in modalities:
            blocks["ct"] = ensure_scans(folder, key, patients, seed)
        if pet:
            patients, key = patients.assign(**drawn.uptake.set_index(ids)), {**key, "pet": PET_VERSION}
            blocks["pet"] = ensure_scans(folder and folder / "pet", key, patients, seed, pet=True)
    has = _presence(n, seed, missing, modalities, pet=pet)
    table = {m: blocks[m].where(has[m].set_axis(ids), axis=0) for m in has}
    names = np.array([chr(ord("A") + k) for k in range(sites)])
    scanners = np.array([SCANNERS[k].name for k in range(sites)])
    table["meta"] = pd.DataFrame({"site": names[site], "scanner": scanners[site]}, index=ids)
    cohort = Cohort(
        name=f"phantom-{signal}-{seed}",
        table=pd.concat(table, axis=1, names=["modality", "feature"]),
        stage=pd.Series(np.array(model.STAGES)[drawn.stage], index=ids, name="stage"),
        target=target,
        units={"rna": "tpm"} if "rna" in modalities else {},
        groups=pd.DataFrame({"site": names[site]}, index=ids),
        provenance={
            "generator": "mmfusion.synthetic.phantom",
            "version": VERSION,
            "parameters": {"n": n, "seed": seed, "signal": signal, "missing": missing, "n_genes": n_genes,
                           "n_planted": n_planted, "modalities": list(modalities), "sites": sites, "target": target,
                           **({"pet": True} if pet else {})},
            "license": "CC0-1.0",
            "planted_genes": programme.planted,
            "gene_sets": programme.gene_sets,
            "gene_network": [list(edge) for edge in gene_network(programme)],
            "notes": ["Synthetic patients: nothing here says anything about lung cancer."],
        },
    )  # fmt: skip
    return cohort, _optimum(signal, n_genes, n_planted, has, groups)


def posterior(cohort: Cohort, modalities: Sequence[str] | None = None) -> pd.DataFrame:
    """What the best possible reader says of a phantom's patients: P(class | data), shape (n, k), rows summing to one.

    Parameters
    ----------
    cohort : Cohort
        From `phantom`, also with patients or modalities selected.
    modalities : sequence of str, optional
        Read these only; default: all that a patient has.

    Raises
    ------
    DataError
        If the cohort is no phantom.
    """
    given = cohort.provenance.get("parameters")
    if given is None or cohort.provenance.get("generator") != "mmfusion.synthetic.phantom":
        raise DataError("only a phantom's posterior is known", got=cohort.name)
    programme = gene_programme(given["n_genes"], given["n_planted"])
    drawn = model.draw(given["n"], given["seed"], given["signal"], programme)
    belief = model.beliefs(drawn.lesions, programme.score(drawn.genes), drawn.record, programme, drawn.uptake)
    has = _presence(
        given["n"], given["seed"], given["missing"], tuple(given["modalities"]), pet=given.get("pet", False)
    )
    seen = [m for m in (has if modalities is None else modalities) if m in cohort.modalities]
    rows = {m: (has[m] & (m in seen)).to_numpy()[:, None] if m in has else False for m in model.WITH_PET}
    for m in ("rna", "ehr"):  # what was not seen is believed as before seeing
        belief[m] = np.where(rows[m], belief[m], model.PRIOR)
    alone = np.where(rows["ct"], belief["ct"], np.where(rows["pet"], belief["pet"], model.PRIOR))
    belief["ct"] = np.where(rows["ct"] & rows["pet"], belief["ct+pet"], alone)
    probabilities = model.class_probabilities(belief, model.MODALITIES, given["signal"]) @ _stage_groups(
        cohort.target
    )
    ids = [f"PH{given['seed']:02d}-{i:04d}" for i in range(1, given["n"] + 1)]
    frame = pd.DataFrame(
        probabilities, index=pd.Index(ids, name="patient_id"), columns=list(cohort.y.cat.categories)
    )
    return frame.loc[cohort.X.index]


def _check(n: int, signal: str, missing: float, modalities: Sequence[str], sites: int) -> None:
    model.check_signal(signal)
    if n < 1:
        raise DataError("no patients", expected="n >= 1", got=n)
    if not 0 <= missing <= 1:
        raise DataError("missing is a probability", expected="0 to 1", got=missing)
    if isinstance(modalities, str) or not modalities or set(modalities) - set(model.MODALITIES):
        raise DataError(
            "unknown modality", expected=f"some of {', '.join(model.MODALITIES)}", got=repr(modalities)
        )
    if not 1 <= sites <= len(SCANNERS):
        raise DataError("no such number of sites", expected=f"1 to {len(SCANNERS)}", got=sites)


def _stage_groups(target: str) -> np.ndarray:
    """Which class each of I, II, III falls into under the target: 0 and 1, shape (3, k)."""
    labels = target_labels(pd.Series(list(model.STAGES)), target)
    if labels.isna().any():
        raise DataError(
            f"the phantom's stages I, II and III have no class each under {target!r}", hint="try stage3_ajcc7"
        )
    return np.eye(len(labels.cat.categories))[labels.cat.codes]


def _presence(
    n: int, seed: int, missing: float, modalities: tuple[str, ...], *, pet: bool = False
) -> pd.DataFrame:
    """Return who has what, bool (n, n_modalities): drawn apart from everything else, the PET apart from the rest."""
    rng = model.stream(seed, "missing")
    lacks = np.where(rng.random(n) < missing, 1 + (rng.random(n) < LACKS_TWO), 0)
    order = rng.permuted(np.tile(np.arange(len(modalities)), (n, 1)), axis=1)
    has = pd.DataFrame(order >= np.minimum(lacks, len(modalities) - 1)[:, None], columns=list(modalities))
    if pet:
        has["pet"] = model.stream(seed, "missing pet").random(n) >= missing
    return has[[m for m in model.WITH_PET if m in has]]


def _optimum(
    signal: str,
    n_genes: int,
    n_planted: int,
    has: pd.DataFrame,
    groups: np.ndarray,
) -> pd.DataFrame:
    modalities = tuple(has.columns)
    every = model.WITH_PET if "pet" in modalities else model.MODALITIES
    readings = model.best_readings(signal, n_genes, n_planted, modalities=every)
    auc = {"+".join(s): model.expected_macro_auc(readings[s] @ groups) for s in model.subsets(modalities)}
    patterns = [tuple(m for m, there in zip(modalities, row) if there) for row in has.to_numpy()]
    share, mixed = len(next(iter(readings.values()))) / len(patterns), []
    start = 0.0
    for pattern in sorted(set(patterns)):  # as many draws with each pattern as the cohort's patients have it
        stop = start + share * patterns.count(pattern)
        mixed.append(readings[pattern][round(start) : round(stop)])
        start = stop
    auc["observed"] = model.expected_macro_auc(np.concatenate(mixed) @ groups)
    return pd.DataFrame({"macro_auc": auc}).rename_axis("modalities")
