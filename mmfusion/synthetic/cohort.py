"""Make phantom cohorts: patients of the generative model, and the best result that a model can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.targets.stage import target_labels
from mmfusion.errors import DataError, check_whole
from mmfusion.limits import check_memory
from mmfusion.synthetic import model, optimum
from mmfusion.synthetic.anatomy import SCANNERS
from mmfusion.synthetic.genes import gene_network, gene_programme
from mmfusion.synthetic.scans import ensure_scans

VERSION = 2  # version of the generated files; increase it if the same parameters give other files
PET_VERSION = 1  # the same for PET files
RIGHT_LOBES = ("lobe_rul", "lobe_rml", "lobe_rll")
_MOST = {"n": 100_000, "seed": 2**63 - 1, "n_genes": 100_000, "n_planted": 100_000, "sites": 1000}
LACKS_TWO = 0.25  # share of patients without two modalities, among those who lack at least one


def phantom(
    n: int = 400,
    seed: int = 0,
    signal: str = "planted",
    *,
    family: str = "ordered",
    missing: float = 0.1,
    n_genes: int = 500,
    n_planted: int = 20,
    modalities: Sequence[str] = model.MODALITIES,
    sites: int = 3,
    pet: bool = False,
    root: str | Path | None = None,
    target: str = "stage3_ajcc7",
) -> tuple[Cohort, pd.DataFrame]:
    """Make a synthetic cohort with CT, RNA, EHR and optional PET, whose best possible macro-AUC is known.

    The generative model is the same for every seed: `phantom(seed=1)` is an external cohort for
    `phantom(seed=0)`. A null cohort and a planted cohort of the same seed differ only in their labels.

    Parameters
    ----------
    n : int
        Number of patients.
    seed : int
        Seed for the patients, their scans and their missing modalities.
    signal : {"planted", "null"}
        "planted": the stage depends on the latents. "null": the stage is random.
    family : {"ordered", "nominal"}
        "ordered": the stages follow one score of severity. "nominal": each stage has signs of its own, so
        that no single score separates them. All other data are the same.
    missing : float
        Probability that a patient lacks at least one modality, completely at random. Every patient has at
        least one.
    n_genes, n_planted : int
        Number of genes, and number of genes that carry the gene programme.
    modalities : sequence of str
        Modalities of the cohort: some of "ct", "rna", "ehr". Without "ct" and PET no file is written.
    sites : int
        Number of sites, 1 to 4. Each has its own scanner. The site is independent of the stage.
    pet : bool
        Add a PET in SUVbw of the same lesions, with its own masks and seeds. It shows the size of the lesion,
        and an uptake that depends on the tumour burden. All other data stay the same. A PET is missing with
        probability `missing`, independently of the other modalities.
    root : path, optional
        Folder for the scans. Default: a folder below `$MMFUSION_CACHE` or `~/.cache/mmfusion` whose name
        depends on the parameters, so that equal scans are made only once.
    target : str
        Name of a stage target under which each of the stage groups I, II and III belongs to one class.

    Returns
    -------
    cohort : Cohort
        RNA is in TPM; log2(TPM + 1) is Gaussian. `provenance` contains `planted_genes`, `gene_sets` and
        `gene_network` (edges: gene, gene, weight).
    optimum : DataFrame, shape (n_subsets + 1, 1)
        Column `macro_auc`: the Bayes-optimal one-vs-rest macro-AUC. One row per subset of modalities ("ct",
        ..., "ct+rna+ehr"; with PET also "pet", "ct+pet", ...), for patients who have all of them. CT and PET
        show the same latent, and both show the diameter of the lesion. The row "observed" is for the
        modalities that the patients of this cohort have. A reader of voxels cannot exceed it, because the
        optimum uses the true parameters of the lesions. It is estimated from 20,000 draws; its standard error
        is about 0.001.

    Raises
    ------
    DataError
        If an argument is out of range, or if `root` contains other files.
    """
    numbers = {"n": n, "seed": seed, "n_genes": n_genes, "n_planted": n_planted, "sites": sites}
    _check_numbers(numbers, missing)
    _check(n, signal, family, missing, modalities, sites)
    if not isinstance(pet, bool):
        raise DataError("pet is neither True nor False", expected="True or False", got=repr(pet))
    modalities = tuple(m for m in model.MODALITIES if m in modalities)
    groups = _stage_groups(target)
    ids = pd.Index([f"PH{seed:02d}-{i:04d}" for i in range(1, n + 1)], name="patient_id")
    programme = gene_programme(n_genes, n_planted)
    drawn = model.draw(n, seed, signal, programme, family)
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
        name=f"phantom-{signal}-{seed}" if family == "ordered" else f"phantom-{family}-{signal}-{seed}",
        table=pd.concat(table, axis=1, names=["modality", "feature"]),
        outcomes=pd.DataFrame({"stage": np.array(model.STAGES)[drawn.stage]}, index=ids),
        target=target,
        units={"rna": "tpm"} if "rna" in modalities else {},
        groups=pd.DataFrame({"site": names[site]}, index=ids),
        provenance={
            "generator": "mmfusion.synthetic.phantom",
            "version": VERSION,
            "parameters": {
                "n": n,
                "seed": seed,
                "signal": signal,
                "missing": missing,
                "n_genes": n_genes,
                "n_planted": n_planted,
                "modalities": list(modalities),
                "sites": sites,
                "target": target,
                **({"pet": True} if pet else {}),
                **({"family": family} if family != "ordered" else {}),
            },
            "license": "CC0-1.0",
            "ajcc_edition": "7, 8 and 9",  # stages are drawn, not derived from an edition's rules
            "planted_genes": programme.planted,
            "gene_sets": programme.gene_sets,
            "gene_network": [list(edge) for edge in gene_network(programme)],
            "notes": ["Synthetic patients: nothing here says anything about lung cancer."],
        },
    )
    return cohort, _optimum((signal, family), n_genes, n_planted, has, groups)


def posterior(cohort: Cohort, modalities: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the class probabilities of the best possible model for the patients of a phantom.

    Parameters
    ----------
    cohort : Cohort
        Cohort made by `phantom`, or a selection of its patients or modalities.
    modalities : sequence of str, optional
        Modalities that are used. Default: all modalities of each patient.

    Returns
    -------
    DataFrame, shape (n, k)
        P(class | data): one row per patient, one column per class; rows sum to 1.

    Raises
    ------
    DataError
        If the cohort is not a phantom.
    """
    given = cohort.provenance.get("parameters")
    if given is None or cohort.provenance.get("generator") != "mmfusion.synthetic.phantom":
        raise DataError("the posterior is known only for a phantom", got=cohort.name)
    programme = gene_programme(given["n_genes"], given["n_planted"])
    law = given["signal"], given.get("family", "ordered")
    drawn = model.draw(given["n"], given["seed"], law[0], programme, law[1])
    belief = optimum.beliefs(
        drawn.lesions, programme.score(drawn.genes), drawn.record, programme, drawn.uptake
    )
    has = _presence(
        given["n"], given["seed"], given["missing"], tuple(given["modalities"]), pet=given.get("pet", False)
    )
    seen = [m for m in (has if modalities is None else modalities) if m in cohort.modalities]
    rows = {m: (has[m] & (m in seen)).to_numpy()[:, None] if m in has else False for m in model.WITH_PET}
    for m in ("rna", "ehr"):  # a modality that is not used keeps the prior
        belief[m] = np.where(rows[m], belief[m], model.PRIOR)
    alone = np.where(rows["ct"], belief["ct"], np.where(rows["pet"], belief["pet"], model.PRIOR))
    belief["ct"] = np.where(rows["ct"] & rows["pet"], belief["ct+pet"], alone)
    probabilities = optimum.class_probabilities(belief, model.MODALITIES, *law) @ _stage_groups(cohort.target)
    ids = [f"PH{given['seed']:02d}-{i:04d}" for i in range(1, given["n"] + 1)]
    frame = pd.DataFrame(
        probabilities, index=pd.Index(ids, name="patient_id"), columns=list(cohort.y.cat.categories)
    )
    return frame.loc[cohort.X.index]


def _check_numbers(numbers: Mapping[str, object], missing: object) -> None:
    """Raise a `DataError` unless these are whole numbers in range."""
    for name, value in numbers.items():
        check_whole(name, value, 0, _MOST[name])
    if isinstance(missing, bool) or not isinstance(missing, Real):
        raise DataError("missing is out of range", expected="0 to 1", got=repr(missing)[:60])
    table = 8.0 * numbers["n"] * numbers["n_genes"]
    check_memory(4 * table, "the cohort")  # with working copies


def _check(n: int, signal: str, family: str, missing: float, modalities: Sequence[str], sites: int) -> None:
    model.check_law(signal, family)
    if n < 1:
        raise DataError("no patients", expected="n >= 1", got=n)
    if not 0 <= missing <= 1:
        raise DataError("missing is out of range", expected="0 to 1", got=missing)
    listed = isinstance(modalities, Sequence) and all(isinstance(m, str) for m in modalities)
    if (
        not listed
        or isinstance(modalities, str)
        or not set(modalities)
        or set(modalities) - set(model.MODALITIES)
    ):
        raise DataError(
            "unknown modality", expected=f"some of {', '.join(model.MODALITIES)}", got=repr(modalities)
        )
    if not 1 <= sites <= len(SCANNERS):
        raise DataError("number of sites out of range", expected=f"1 to {len(SCANNERS)}", got=sites)


def _stage_groups(target: str) -> np.ndarray:
    """Return the class of the stages I, II and III under a target: 0 or 1, shape (3, k)."""
    labels = target_labels(pd.Series(list(model.STAGES)), target)
    if labels.isna().any():
        raise DataError(
            f"a stage of the phantom (I, II, III) has no class under {target!r}", hint="try stage3_ajcc7"
        )
    return np.eye(len(labels.cat.categories))[labels.cat.codes]


def _presence(
    n: int, seed: int, missing: float, modalities: tuple[str, ...], *, pet: bool = False
) -> pd.DataFrame:
    """Draw the modalities that each patient has, bool (n, n_modalities), independent of all other data."""
    rng = model.stream(seed, "missing")
    lacks = np.where(rng.random(n) < missing, 1 + (rng.random(n) < LACKS_TWO), 0)
    order = rng.permuted(np.tile(np.arange(len(modalities)), (n, 1)), axis=1)
    has = pd.DataFrame(order >= np.minimum(lacks, len(modalities) - 1)[:, None], columns=list(modalities))
    if pet:
        has["pet"] = model.stream(seed, "missing pet").random(n) >= missing
    return has[[m for m in model.WITH_PET if m in has]]


def _optimum(
    law: tuple[str, str],
    n_genes: int,
    n_planted: int,
    has: pd.DataFrame,
    groups: np.ndarray,
) -> pd.DataFrame:
    modalities = tuple(has.columns)
    every = model.WITH_PET if "pet" in modalities else model.MODALITIES
    readings = optimum.best_readings(law[0], n_genes, n_planted, modalities=every, family=law[1])
    auc = {"+".join(s): optimum.expected_macro_auc(readings[s] @ groups) for s in optimum.subsets(modalities)}
    patterns = [tuple(m for m, there in zip(modalities, row) if there) for row in has.to_numpy()]
    share, mixed = len(next(iter(readings.values()))) / len(patterns), []
    start = 0.0
    for pattern in sorted(set(patterns)):  # each pattern gets the share of draws that it has in the cohort
        stop = start + share * patterns.count(pattern)
        mixed.append(readings[pattern][round(start) : round(stop)])
        start = stop
    auc["observed"] = optimum.expected_macro_auc(np.concatenate(mixed) @ groups)
    return pd.DataFrame({"macro_auc": auc}).rename_axis("modalities")
