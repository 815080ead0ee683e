"""The study of a staging report: its patients, the size of the search, and the inputs of its models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from sklearn.model_selection import train_test_split

from mmfusion.data.cohort import Cohort, feature_names, presence
from mmfusion.data.load import load_cohort
from mmfusion.data.targets.stage import STAGE_GROUPS, StageTarget, normalise_stage
from mmfusion.errors import DataError
from mmfusion.evaluation.leakage.guards import check_forbidden
from mmfusion.modalities import IMAGING, RESERVED
from mmfusion.registry import FUSIONS, list_fusions
from mmfusion.staging import StageClassifier

_ENOUGH_SCANS = 0.2  # share of patients
GENERATED = ("demo", "phantom")

# the values that inner folds choose from; the paper gives no ranges, so these are our own
SEARCH: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(3e-4, 1e-2, log=True),
    "dropout": FloatDistribution(0.0, 0.6),
    "training__weight_decay": FloatDistribution(1e-4, 1e-1, log=True),
    "network__hidden": CategoricalDistribution([32, 64, 128]),
}


@dataclass(frozen=True)
class Plan:
    """Sizes of a nested cross-validation: outer folds, inner folds, trials of the search."""

    outer: int
    inner: int
    trials: int


def make_plan(cohort: Cohort, outer: int = 0, inner: int = 0, trials: int = 0) -> Plan:
    """Return the sizes of a nested cross-validation; 0 means the default.

    Defaults: 3 outer folds, 2 inner folds and 3 trials for a synthetic cohort, which takes minutes; 5, 3 and
    6 for a real cohort.
    """
    usual = (3, 2, 3) if is_synthetic(cohort) else (5, 3, 6)
    return Plan(*(given or default for given, default in zip((outer, inner, trials), usual, strict=True)))


def make_model(preset: str, fusion: str = "", **changes: object) -> StageClassifier:
    """Return the classifier of a preset, with changes; changes that are 0 or empty are ignored.

    The fusion "preset" or "" keeps the fusion of the preset. An unknown fusion is an error before a fit.
    """
    model = StageClassifier.from_preset(preset).set_params(**{k: v for k, v in changes.items() if v})
    if fusion not in ("", "preset", model.fusion):
        FUSIONS.get(fusion)
        model.set_params(fusion=fusion, network__fusion_options={})
    return model


def other_fusions(model: StageClassifier, wanted: Sequence[str]) -> list[str]:
    """Return the other fusions to judge: those that are wanted, or all of them for ["all"].

    If the model's fusion has options, none are returned, because another fusion does not have these options.
    """
    names = list(list_fusions().index) if list(wanted) == ["all"] else wanted
    return [] if model.settings.network.fusion_options else [name for name in names if name != model.fusion]


def is_synthetic(cohort: Cohort) -> bool:
    """Return True if a generator made the patients."""
    return "generator" in cohort.provenance


def optimum(cohort: Cohort) -> dict[str, float]:
    """Return the best possible macro-AUC per subset of modalities; empty if it is not known."""
    return {str(k): float(v) for k, v in (cohort.provenance.get("optimum") or {}).items()}


def subset(cohort: Cohort, n: int, seed: int = 0) -> Cohort:
    """Return `n` labelled patients with the same shares of classes; all of them if n is 0 or too large."""
    if not 0 < n < len(cohort):
        return cohort
    y = cohort.y
    chosen, _ = train_test_split(np.arange(len(y)), train_size=n, stratify=y, random_state=seed)
    return cohort.select(patients=list(y.index[np.sort(chosen)]))


def load_study(
    name: str,
    root: str = "",
    target: str = "",
    modalities: Sequence[str] = (),
    *,
    n_patients: int = 0,
    seed: int = 0,
) -> tuple[Cohort, Cohort | None, str]:
    """Load a cohort; return the patients of the main analysis, all patients, and a line about the others.

    Parameters
    ----------
    name, root, target : str
        See `load_cohort`; "" means its default.
    modalities : sequence of str
        Modalities to read; empty for all.
    n_patients : int
        Largest size of a synthetic cohort; 0 for no limit.
    seed : int
        Seed of the choice of patients.

    Returns
    -------
    headline : Cohort
        In a real cohort, the patients who have all modalities, so that all models can read every patient. In
        a synthetic cohort, where modalities are missing by design, all patients.
    everybody : Cohort or None
        All labelled patients. None if these are the patients of the main analysis.
    left_out : str
        The sentence of `left_out` about the whole cohort.
    """
    cohort = load_cohort(name, root=root or None, target=target or None)
    if modalities:
        cohort = cohort.select(modalities=list(modalities))
    cohort = without_rare_scans(cohort)
    others = left_out(cohort)
    cohort = cohort.select(patients=list(cohort.X.index[presence(cohort.X).any(axis=1)]))
    if is_synthetic(cohort):
        return subset(cohort, n_patients, seed), None, others
    complete = cohort.complete()
    return (cohort, None, others) if len(complete) == len(cohort) else (complete, cohort, others)


def left_out(cohort: Cohort) -> str:
    """Return one sentence about patients without a class or without any modality; "" if there are none.

    An example: "Left out by the target: IV 3; without a stage: 6."
    """
    what = "stage" if isinstance(cohort.target_spec, StageTarget) else f"label ({cohort.target})"
    known = (
        cohort.outcomes["stage"] if "stage" in cohort.outcomes and what == "stage" else pd.Series(dtype="str")
    )
    unlabelled = known.reindex(cohort.table.index)[~cohort.table.index.isin(cohort.X.index)]
    groups = unlabelled.dropna().map(normalise_stage).value_counts()
    names = [group for group in STAGE_GROUPS if group in groups]
    parts = (
        [f"left out by the target: {', '.join(f'{name} {groups[name]}' for name in names)}"] if names else []
    )
    empty = int((~presence(cohort.X).any(axis=1)).sum())
    counts = {f"without a {what}": int(unlabelled.isna().sum()), f"with a {what}, but nothing to read": empty}
    parts += [f"{who}: {n}" for who, n in counts.items() if n]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def without_rare_scans(cohort: Cohort) -> Cohort:
    """Return the cohort without its scans if few patients have them and there are features; add a note."""
    table, notes = cohort.table, list(cohort.provenance.get("notes", ()))
    for modality in [m for m in IMAGING if m in cohort.modalities]:
        if "volume" not in table[modality] or not feature_names(table[modality], modality):
            continue
        n = int(table[modality, "volume"].notna().sum())
        if n < _ENOUGH_SCANS * len(table):
            table = table.drop(columns=[(modality, c) for c in RESERVED if c in table[modality]])
            notes.append(f"only {n} of {len(table)} patients have a {modality} scan: scans are not used")
    return replace(cohort, table=table, provenance={**cohort.provenance, "notes": notes})


def load_external(name: str, root: str, cohort: Cohort, *, n_patients: int = 0) -> Cohort:
    """Load another cohort with the same target; a synthetic cohort is made with another seed.

    Raises
    ------
    DataError
        If it shares patients with `cohort`.
    """
    options = {}
    if name in GENERATED:
        made = cohort.provenance.get("parameters", {})
        options = {"n": n_patients or 120, "seed": int(made.get("seed", 0)) + 1}
    other = load_cohort(name, root=root or None, target=cohort.target, **options)
    shared = other.table.index.intersection(cohort.table.index)
    if len(shared):
        raise DataError(
            "the external cohort shares patients with the cohort",
            patient=", ".join(map(str, shared[:5])),
            file=other.name,
        )
    return other.select(modalities=[m for m in other.modalities if m in cohort.modalities])


def inputs_read(cohort: Cohort, *, many: int = 40, shown: int = 12) -> list[str]:
    """Return one line per modality with the features that models may read.

    If a modality has more than `many` features, `shown` of them are named.

    Raises
    ------
    LeakageError
        If a feature is known only at or after staging.
    """
    lines = []
    for modality in cohort.modalities:
        names = [str(c) for c in feature_names(cohort.table[modality], modality)]
        check_forbidden([(modality, name) for name in names], cohort.target)
        scan = ["the scan"] if "volume" in cohort.table[modality] else []
        more = [f"... ({len(names) - shown} more)"] if len(names) > many else []
        named = names[:shown] if more else names
        lines.append(f"{modality}, {len(names)} features: {', '.join([*scan, *named, *more])}")
    return lines


def paper_baseline(cohort: Cohort, *, random_state: int = 0) -> StageClassifier | None:
    """Return the stage paper's baseline; None if the cohort lacks CT features (no scans) or EHR."""
    if not {"ct", "ehr"} <= set(cohort.modalities) or "volume" in cohort.table["ct"]:
        return None
    if not feature_names(cohort.table["ct"], "ct"):
        return None
    return StageClassifier.from_preset("paper_baseline", random_state=random_state)
