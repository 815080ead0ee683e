"""The study of a lesion report: its patients, its models, and how they were judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from sklearn.base import clone

from mmfusion.data.cohort import Cohort, presence
from mmfusion.data.load import load_cohort
from mmfusion.errors import MMFusionError, check_whole
from mmfusion.evaluation.mask_baselines import mask_baselines
from mmfusion.evaluation.result import NestedResult
from mmfusion.lesions.segmenter import LesionSegmenter
from mmfusion.modalities import IMAGING, SEED, scan_modality
from mmfusion.registry import SEGMENTERS, list_segmenters

PHANTOM = "lesion_phantom"
CROPS = {"pet": True, "size": 48, "spacing": 2.0, "diameters": (6.0, 60.0)}  # of the phantom; 96 mm wide
ORACLE = "oracle"


def load_study(
    name: str,
    root: str = "",
    modalities: Sequence[str] = (),
    *,
    n_patients: int = 0,
    seed: int = 0,
    phantom: Mapping[str, object] | None = None,
) -> tuple[Cohort, str]:
    """Load a cohort with masks of lesions; return the patients to judge, and a line about the others.

    Parameters
    ----------
    name, root : str
        See `load_cohort`; "" means its default.
    modalities : sequence of str
        Scans to read; empty for all of the cohort.
    n_patients : int
        Number of patients: of the phantom, how many are made (0: its default number); of another cohort, how
        many are used, from the first on (0: all).
    seed : int
        Seed of the phantom.
    phantom : mapping, optional
        Further parameters of the phantom, such as `{"pet": True}`.

    Returns
    -------
    cohort : Cohort
        Patients with a mask and a scan of each modality.
    left_out : str
        A sentence about the other patients; "" if there are none.

    Raises
    ------
    DataError
        If the cohort has no masks, or lacks a modality, or an argument cannot be used.
    """
    modalities = [scan_modality(m).name for m in modalities]  # an unknown one would be left out
    cohort = whole_cohort(name, root, n_patients=n_patients, seed=seed, phantom=phantom)
    if cohort.target_spec.kind != "mask":
        cohort = cohort.with_target("lesion")
    scans = [m for m in modalities or cohort.modalities if m in IMAGING]
    everybody = len(cohort.table)
    cohort = cohort.select(modalities=scans)
    has = presence(cohort.X)[scans].all(axis=1)
    parts = {
        "without a mask": everybody - len(has),
        f"without a scan of {' and '.join(m.upper() for m in scans)}": int((~has).sum()),
    }
    return first_patients(cohort, has, n_patients, parts)


def whole_cohort(
    name: str, root: str, *, n_patients: int, seed: int, phantom: Mapping[str, object] | None
) -> Cohort:
    """Return a cohort with all of its patients; the phantom has `n_patients`, or its default number for 0."""
    check_whole("n_patients", n_patients, 0)
    options = {"seed": seed, **({"n": n_patients} if n_patients else {}), **(phantom or {})}
    return load_cohort(name, root=root or None, **(options if name == PHANTOM else {}))


def first_patients(
    cohort: Cohort, has: pd.Series, n_patients: int, left_out: Mapping[str, int]
) -> tuple[Cohort, str]:
    """Return the first patients who have everything (0: all of them), and a sentence about the others."""
    chosen = list(has.index[has])[: n_patients or None]
    said = "; ".join(f"{n} {who}" for who, n in left_out.items() if n)
    return cohort.select(patients=chosen), f"Patients left out: {said}." if said else ""


def scans_of(cohort: Cohort) -> tuple[str, ...]:
    """Return the modalities of a cohort that are scans."""
    return tuple(m for m in cohort.modalities if m in IMAGING)


def make_segmenter(
    network: str, preset: str, modalities: Sequence[str], box_mode: str = "none", **changes: object
) -> LesionSegmenter:
    """Return a segmenter that reads these scans; `changes` are further parameters.

    Changes that are 0 or empty are ignored, so that the preset's value is used. The box mode "auto" is
    "detector" for a network that reads boxes, and "none" for others.

    Raises
    ------
    MMFusionError
        If the settings cannot be used, which is found here, before any scan is read.

    Examples
    --------
    >>> make_segmenter("unet", "demo", ["ct"], "auto", max_epochs=0).box_mode
    'none'
    """
    if box_mode == "auto":
        box_mode = "detector" if SEGMENTERS.get(network).uses_cue else "none"
    given = {name: value for name, value in changes.items() if value}
    model = LesionSegmenter(network, preset, modalities=tuple(modalities), box_mode=box_mode, **given)
    model.settings.check()
    return model


def oracle_beside(model: LesionSegmenter, *, wanted: bool) -> list[str]:
    """Return the box modes that are judged beside the main model: "oracle" if wanted and possible.

    Examples
    --------
    >>> oracle_beside(LesionSegmenter("raseg", box_mode="detector"), wanted=True)
    ['oracle']
    """
    return [ORACLE] if wanted and model.box_mode not in ("none", ORACLE) else []


def other_networks(model: LesionSegmenter, wanted: Sequence[str]) -> tuple[list[str], str]:
    """Return the other networks to judge, and a line about networks that are left out.

    Parameters
    ----------
    model : LesionSegmenter
        The main model.
    wanted : sequence of str
        Names of networks, or ["all"] for all that can read the scans of the model at its preset.

    Raises
    ------
    MMFusionError
        If a network that is named does not exist, or cannot read the scans.

    Examples
    --------
    >>> other_networks(LesionSegmenter("unet"), ["cspat", "unet"])
    (['cspat'], '')
    """
    every = list(wanted) == ["all"]
    names = list(list_segmenters().index) if every else list(wanted)
    found, unfit = [], []
    for name in (one for one in names if one != model.network):
        try:
            changes, _ = model.variants(model.settings.modalities, networks=[name])[name]
            clone(model).set_params(**changes).settings.check()
        except MMFusionError:
            if not every:
                raise
            unfit.append(name)
        else:
            found.append(name)
    scans = ", ".join(model.settings.modalities)
    why = f"Networks left out, because they cannot read {scans} at the preset {model.preset}: "
    return found, f"{why}{', '.join(unfit)}." if unfit else ""


def protocol(cohort: Cohort, result: NestedResult, left_out: str = "") -> list[str]:
    """Return sentences that tell who was judged, and how."""
    folds = result.settings["outer"]
    persons = cohort.groups.loc[cohort.X.index, "patient"].nunique()
    lines = [
        f"{result.n} patients ({persons} persons) with a mask and scans of "
        f"{' and '.join(m.upper() for m in scans_of(cohort))}. {left_out}".strip(),
        f"{folds} folds of persons: all slices and patches of a person are in one fold. Folds of slices "
        "would put neighbouring slices of one lesion into both the training set and the test set.",
        "Masks of test patients are removed before a model predicts. Thresholds of probabilities are chosen "
        "on patients within the training folds.",
    ]
    if any(reads_truth(name) for name in result.models):
        lines.append(oracle_note())
    if any((m, SEED[0]) in cohort.X for m in cohort.modalities) and rules_in(result):
        lines.append(
            "The rules without training keep only regions within 20 mm of a given point in the lesion. The "
            "networks do not read this point."
        )
    return lines


def reads_truth(model: str) -> bool:
    """Return True if the name of a model says that it reads the box of the true mask.

    Examples
    --------
    >>> reads_truth("raseg (oracle boxes)"), reads_truth("raseg (detector boxes)")
    (True, False)
    """
    return f"({ORACLE} boxes)" in model


def oracle_note() -> str:
    """Return the sentence about models that read the box of the true mask."""
    return (
        "Models with oracle boxes read the box of the true mask, also for test patients. Their scores show "
        "what a perfect detector would allow, and must not be compared with those of other models."
    )


def rules_in(result: NestedResult) -> list[str]:
    """Return the names of the judged models that are rules without training."""
    return [name for name in result.models if name in mask_baselines(IMAGING)]
