"""Demonstration of the leak between slices: slices of one patient in the training set and in the test set.

Neighbouring slices of a scan look alike. After a split of slices, a model only has to recognise the patient.
It need not predict the label of a new patient, and the result is good even if nothing can be predicted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.evaluation.leakage.demos import PROTOCOLS, demo_rows, repeats
from mmfusion.evaluation.leakage.registry import register_demo
from mmfusion.imaging import read, read_mask
from mmfusion.synthetic.chest import lesion_phantom

DEMO = "slices"
_RING = 3  # voxels around the lesion that count as its surroundings
_LEAST = 5  # voxels of a lesion in a slice
_TREES = 50


@register_demo(
    "D4",
    DEMO,
    title="slices are split, not patients",
    leaky="Slices are split at random, so that slices of one patient are in the training and the test set.",
    honest="Patients are split, each with all slices.",
    metric="auc_patients",
    rows=("L-8",),
)
def slice_split_demo(seed: int = 0, n_rep: int = 3, *, n: int = 60, folds: int = 5) -> pd.DataFrame:
    """Predict the genotype of phantom lesions from slices, split by slice (leaky) and by patient (honest).

    A random forest reads intensities and sizes of the lesion in each axial slice. The probability of a
    patient is the mean over the patient's slices, each predicted by the forest that did not see it. In the
    cohort "planted", the genotype depends on the appearance of the lesion. In the cohort "null", the same
    genotypes are given to the patients at random, so that only the leak can give an AUC above 0.5.

    Parameters
    ----------
    seed : int
        Seed of the patients and of all random choices.
    n_rep : int
        Number of repeats. Each has its own patients, splits and random genotypes.
    n : int
        Number of patients of a repeat.
    folds : int
        Number of folds of the cross-validation.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metrics `auc_slices` (over slices) and `auc_patients`. In the honest protocol
        of the cohort "planted", `auc_patients` is at most `lesion_optimum(cohort).egfr_auc` on average.

    Raises
    ------
    DataError
        If a genotype has fewer patients than there are folds, or there is no repeat.

    References
    ----------
    Yagis et al. 2021, Sci Rep 11:22544 (the same effect for MRI).

    Examples
    --------
    >>> slice_split_demo(n_rep=1, n=10, folds=2)["protocol"].unique().tolist()
    ['leaky', 'honest']
    """
    runs: list[pd.DataFrame] = []
    for rep in repeats(n_rep):
        cohort = lesion_phantom(n, 1000 * seed + rep, size=32, target="egfr")
        runs += _runs(cohort, rep, np.random.default_rng([seed, rep]), folds)
    return pd.concat(runs, ignore_index=True)


def slice_features(cohort: Cohort) -> pd.DataFrame:
    """Return features of each axial slice of each lesion, read inside the mask and around it.

    Returns
    -------
    DataFrame
        Index (patient_id, z). Columns: area (mm2), mean, sd, low, middle, high (mean, standard deviation and
        10th, 50th and 90th percentile inside, HU), ring_mean and ring_sd (HU, within 3 voxels outside).
    """
    found = {}
    for patient, row in cohort.table["ct"].iterrows():
        scan, mask = read(row["volume"]), read_mask(row["mask"])
        for z in np.flatnonzero(mask.array.sum(axis=(1, 2)) >= _LEAST):
            found[patient, int(z)] = _of_slice(scan.array[z], mask.array[z] > 0, scan.spacing)
    table = pd.DataFrame.from_dict(found, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["patient_id", "z"])
    return table


def _of_slice(image: np.ndarray, inside: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    values = image[inside].astype(float)
    ring = image[ndimage.binary_dilation(inside, iterations=_RING) & ~inside].astype(float)
    around = {"ring_mean": ring.mean(), "ring_sd": ring.std()} if ring.size else {}
    percentiles = dict(zip(("low", "middle", "high"), np.percentile(values, [10, 50, 90]), strict=True))
    area = inside.sum() * spacing[1] * spacing[2]
    return {"area": area, "mean": values.mean(), "sd": values.std(), **percentiles, **around}


def _runs(cohort: Cohort, rep: int, rng: np.random.Generator, folds: int) -> Iterator[pd.DataFrame]:
    """Yield the rows of both cohorts and both protocols."""
    features = slice_features(cohort)
    real = (cohort.y == "mutant").astype(int)
    if (least := int(real.value_counts().reindex([0, 1], fill_value=0).min())) < folds:
        raise DataError("too few patients of one genotype", expected=f"{folds} or more", got=least,
                        hint="give a larger n")  # fmt: skip
    random = pd.Series(rng.permutation(real.to_numpy()), real.index)
    for name, label in (("null", random), ("planted", real)):
        for protocol in PROTOCOLS:
            yield demo_rows(DEMO, protocol, name, rep, **_aucs(features, label, protocol, folds, rep))


def _aucs(features: pd.DataFrame, label: pd.Series, protocol: str, folds: int, seed: int) -> dict[str, float]:
    """Return the AUC over slices and over patients, by cross-validation over slices or over patients."""
    patients = features.index.get_level_values("patient_id")
    x, y = features.to_numpy(), label.loc[patients].to_numpy()
    probability = np.empty(len(y))
    options = {"n_splits": folds, "shuffle": True, "random_state": seed}
    by_slice = StratifiedKFold(**options).split(x, y)
    by_patient = StratifiedGroupKFold(**options).split(x, y, patients)
    for train, test in by_slice if protocol == "leaky" else by_patient:
        forest = RandomForestClassifier(_TREES, min_samples_leaf=2, random_state=seed).fit(x[train], y[train])
        probability[test] = forest.predict_proba(x[test])[:, 1]
    of_patient = pd.Series(probability).groupby(patients).mean()
    return {
        "auc_slices": roc_auc_score(y, probability),
        "auc_patients": roc_auc_score(label.loc[of_patient.index], of_patient),
    }
