"""Cohorts of the lesion phantom, and the best result that a model can reach on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.imaging import write_nifti
from mmfusion.modalities import SEED
from mmfusion.synthetic.chest import appearance, genetics, scans
from mmfusion.synthetic.chest.checks import check, listed, plain
from mmfusion.synthetic.folder import ensure_folder

VERSION = 1  # version of the generated files; increase it if the same parameters give other files
NAME = "mmfusion.synthetic.lesion_phantom"
META = ("thickness_mm", "spacing_mm", "kernel", "noise_hu", "contrast")  # of the scan, not of the lesion


def lesion_phantom(
    n: int = 100,
    seed: int = 0,
    *,
    pet: bool = False,
    whole: bool = False,
    size: int = 64,
    spacing: float | None = None,
    grid: str = "cube",
    types: Sequence[str] = tuple(appearance.TYPES),
    diameters: tuple[float, float] = (appearance.LOW, appearance.HIGH),
    thickness: tuple[float, float] = (0.6, 8.0),
    lesions: tuple[int, int] = (1, 1),
    pet_spacing: float | None = 4.0,
    igtv: bool = False,
    genes: Sequence[str] = genetics.PANEL,
    strength: float = 1.0,
    root: str | Path | None = None,
    target: str = "lesion",
) -> Cohort:
    """Make a synthetic cohort with CT scans of lung lesions and their masks.

    Patient k of a seed is the same for every n. The chest has vessels, airways, fissures, pleura, ribs, a
    diaphragm, a heart and great vessels. Some large lesions have collapsed lung beside them. Slice thickness,
    reconstruction kernel, noise and contrast phase differ from patient to patient.

    Parameters
    ----------
    n : int
        Number of patients.
    seed : int
        Seed. Cohorts of other seeds share no patient.
    pet : bool
        Add a PET in SUVbw. The uptake of a lesion is lower at its upper and lower end, and is blurred by
        breathing. Heart, liver, blood and muscle have uptake too.
    whole : bool
        True: the whole chest, at 2.5 mm unless `spacing` is given. False: a crop around the first lesion,
        which is not exactly in the middle.
    size : int
        Side of a crop in voxels, 16 to 256.
    spacing : float, optional
        Size of a voxel, mm, 0.3 to 8. Default: for a crop, random for each patient, so that the diameter of
        the lesion is 15 to 72 % of the side. With a given spacing, a lesion that is larger than the crop is
        cut at its edge.
    grid : {"cube", "scanner"}
        "cube": cubic voxels, as of a scan that was resampled. "scanner": the slices of the scanner, so that
        the voxel size along z is the slice thickness. A crop then has as many slices as its side needs.
    types : sequence of str
        Types of lesions, equally often: solid, part-solid, ground-glass, juxtapleural, juxtavascular,
        mediastinal-contact, cavitated, calcified, lobulated, spiculated.
    diameters : (low, high)
        Range of the diameters, mm, within 3 to 100; log-uniform. Some types occur only in a part of the range
        (`mmfusion.synthetic.chest.appearance.TYPES`).
    thickness : (low, high)
        Range of the slice thickness, mm, within 0.6 to 8; log-uniform. Slices are not thicker than 1.2
        diameters, unless `low` is.
    lesions : (low, high)
        Range of the number of lesions of a patient, within 1 to 8. A crop shows the first lesion, and others
        if they are near.
    pet_spacing : float, optional
        Size of a voxel of the PET, mm, 1 to 8; the PET is at least 120 mm wide. None: the grid of the CT;
        a crop is then at least 96 mm wide.
    igtv : bool
        True: the masks are the internal gross tumour volume (IGTV), the union of the lesion over all
        respiratory phases. False: the masks are the lesion in the phase of the CT, the end of expiration.
    genes : sequence of str
        Genes of the expression panel, keys of `mmfusion.synthetic.chest.genetics.GENES`.
    strength : float
        How strongly genotype and expression depend on the appearance, 0 to 1. 0: they are random.
    root : path, optional
        Folder for the files. Default: a folder below `$MMFUSION_CACHE` or `~/.cache/mmfusion` whose name
        depends on the parameters, so that equal scans are made only once.
    target : str
        "lesion" (the mask), "egfr" or "expression".

    Returns
    -------
    Cohort
        `table`: ("ct", "volume"), ("ct", "mask") and ("ct", "seed_x"), ... (a point in the lesion, LPS mm);
        the same for "pet"; ("meta", "thickness_mm"), `kernel`, ... of the scan. `outcomes`: `egfr`,
        `expression_<gene>` in log2(TPM + 1), and of the first lesion `type`, `diameter_mm` (of the sphere of
        equal volume), `solidity`, `spiculation`, `lobulation`, `cavity`, `calcium`, and `volume_ml` (of the
        mask of the CT), `n_lesions`, `suv`, `breathing_mm`. These are never inputs.
        `provenance["lesions_file"]` is a table of all lesions with their centres in LPS mm. The best
        possible result is `lesion_optimum(cohort)`.

    Raises
    ------
    DataError
        If an argument is out of range, the lesions do not fit into the lungs, or `root` contains other files.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     cohort = lesion_phantom(2, seed=1, size=16, root=f"{folder}/scans")
    >>> cohort.y.name, cohort.with_target("egfr").y.cat.categories.tolist()
    ('lesion', ['wildtype', 'mutant'])
    """
    settings = scans.Settings(
        size=size,
        spacing=spacing,
        grid=grid,
        whole=whole,
        types=(types,) if isinstance(types, str) else listed("types", types),
        diameters=listed("diameters", diameters),
        thickness=listed("thickness", thickness),
        lesions=listed("lesions", lesions),
        pet=pet,
        pet_spacing=pet_spacing if pet else 4.0,
        igtv=igtv,
    )
    genes = listed("genes", genes)
    check(n, seed, settings, genes, strength)
    n, seed, settings = int(n), int(seed), plain(settings)
    ids = pd.Index([f"LP{seed:02d}-{i:04d}" for i in range(1, n + 1)], name="patient_id")
    key = {"generator": NAME, "version": VERSION, "n": n, "seed": seed, **_as_json(settings)}
    folder = ensure_folder(
        None if root is None else Path(root).absolute(),
        key,
        lambda draft: _fill(draft, settings, seed, ids),
        "lesion_phantom",
    )
    facts = pd.read_csv(folder / "facts.csv", index_col="patient_id")
    first = pd.concat([scans.appearances(settings, seed, k).iloc[:1] for k in range(n)]).set_index(ids)
    chance = np.array([_chance(seed, k, list(genes)) for k in range(n)])
    outcomes = genetics.sample(first, chance, genes, strength).join(first)
    outcomes = outcomes.join(facts[["volume_ml", "n_lesions", "breathing_mm", *(["suv"] if pet else [])]])
    table = {m: _paths(folder, ids, m).join(facts[list(SEED)]) for m in ("ct", *(["pet"] if pet else []))}
    table["meta"] = facts[list(META)]
    optimum = genetics.simulate(settings.types, settings.diameters, tuple(genes), strength)
    return Cohort(
        name=f"lesion-phantom-{seed}",
        table=pd.concat(table, axis=1, names=["modality", "feature"]),
        outcomes=outcomes,
        target=target,
        provenance={
            "generator": NAME,
            "version": VERSION,
            "parameters": {**key, "genes": list(genes), "strength": strength},
            "license": "CC0-1.0",
            "expression_unit": "log2(TPM + 1)",
            "lesions_file": str(folder / "lesions.csv"),
            "optimum": asdict(optimum),
            "notes": ["Synthetic patients: nothing here says anything about lung cancer."],
        },
    )


def lesion_optimum(cohort: Cohort) -> genetics.Optimum:
    """Return the best result that a model can reach on a cohort of the lesion phantom.

    Parameters
    ----------
    cohort : Cohort
        Cohort made by `lesion_phantom`.

    Returns
    -------
    Optimum
        `egfr_auc`, and `expression_r` by gene: the expected values over all possible patients. The values of
        one cohort differ from them by chance.

    Raises
    ------
    DataError
        If the cohort is not a lesion phantom.
    """
    if cohort.provenance.get("generator") != NAME:
        raise DataError("the optimum is known only for a lesion phantom", got=cohort.name)
    return genetics.Optimum(**cohort.provenance["optimum"])


def _fill(folder: Path, settings: scans.Settings, seed: int, ids: pd.Index) -> None:
    """Make and write the scans of all patients, the table of their facts and the table of all lesions."""
    facts, lesions = {}, {}
    for number, patient in enumerate(ids):
        made = scans.make(settings, seed, number)
        for name, volume in made.volumes.items():
            path = _path(folder, patient, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_nifti(volume, path)
        point = dict(zip(SEED, np.round(made.seed, 2)))
        facts[patient] = {**made.facts, "n_lesions": len(made.lesions), **point}
        lesions[patient] = made.lesions
    pd.DataFrame.from_dict(facts, orient="index").rename_axis("patient_id").to_csv(folder / "facts.csv")
    pd.concat(lesions, names=["patient_id", "lesion"]).to_csv(folder / "lesions.csv")


def _paths(folder: Path, ids: pd.Index, modality: str) -> pd.DataFrame:
    names = {"volume": modality, "mask": f"{modality}_mask"}
    return pd.DataFrame({k: [str(_path(folder, p, v)) for p in ids] for k, v in names.items()}, index=ids)


def _path(folder: Path, patient: str, name: str) -> Path:
    return folder / "scans" / patient / f"{name}.nii.gz"


def _chance(seed: int, number: int, genes: list[str]) -> list[float]:
    """Return the random numbers of a patient's genotype and genes; each gene has its own in any panel."""
    rng = np.random.default_rng([seed, number, 23])
    uniform, normal = rng.random(), dict(zip(genetics.GENES, rng.standard_normal(len(genetics.GENES))))
    return [uniform, *(normal[gene] for gene in genes)]


def _as_json(settings: scans.Settings) -> dict[str, object]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
