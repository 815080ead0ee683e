"""The two cohorts of an external validation: the training patients, and those of another place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmfusion.data.by_site import split_by_site
from mmfusion.data.cohort import Cohort, feature_names, presence
from mmfusion.data.load import load_cohort
from mmfusion.data.tables.notes import listed
from mmfusion.data.targets.base import label_counts
from mmfusion.errors import DataError, check_whole
from mmfusion.evaluation.external_comparison import check_pair
from mmfusion.staging.report.study import GENERATED, Plan, left_out, load_external, subset, without_rare_scans

_LEAST = 2  # patients of a class that a model is fitted on


@dataclass(frozen=True)
class Pair:
    """The cohort that models learn from, and the cohort that they are judged on.

    Parameters
    ----------
    train, external : Cohort
        They share their target and their modalities.
    notes : list of str
        Who and what was left out of them.
    """

    train: Cohort
    external: Cohort
    notes: list[str]


def load_pair(
    name: str,
    root: str = "",
    target: str = "",
    modalities: Sequence[str] = (),
    *,
    external: str = "",
    external_root: str = "",
    site: str = "",
    n_patients: int = 0,
    seed: int = 0,
) -> Pair:
    """Load the two cohorts of an external validation.

    Parameters
    ----------
    name, root, target : str
        See `load_cohort`; "" means its default.
    modalities : sequence of str
        Modalities to read; empty for all that both cohorts have.
    external, external_root : str
        Name or manifest of the external cohort, and the folder of its files.
    site : str
        Instead of `external`: the site of the cohort whose patients are the external cohort.
    n_patients : int
        Largest size of a synthetic cohort; 0 for no limit.
    seed : int
        Seed of a synthetic cohort.

    Raises
    ------
    DataError
        If both or none of `external` and `site` are given, the cohorts share patients, have no modality in
        common, have other units or no column of a modality in common, a cohort has no patient left, or the
        labels cannot be compared (`mmfusion.evaluation.external_comparison.check_pair`). Nothing is fitted
        before.
    """
    if external and site:
        got = f"external={external}, split_by_site={site}"
        raise DataError("two external cohorts", expected="external or split_by_site", got=got)
    if not external and not site:
        if name not in GENERATED:
            hint = "give external= (a cohort or a manifest), or split_by_site= (a site of the cohort)"
            raise DataError("no external cohort", file=name, hint=hint)
        external = name
    options = {"seed": seed, **({"n": n_patients} if n_patients else {})} if name in GENERATED else {}
    cohort = load_cohort(name, root=root or None, target=target or None, **options)
    cohort = without_rare_scans(subset(cohort, n_patients if name in GENERATED else 0, seed))
    notes = [one for one in (left_out(cohort),) if one]
    if site:
        train, other = split_by_site(cohort, site)
    else:
        train, other = cohort, load_external(external, external_root, cohort, n_patients=n_patients)
        notes += [f"{other.name}: {one[:1].lower()}{one[1:]}" for one in (left_out(other),) if one]
    train, other, dropped = _same_modalities(train, other, modalities)
    parts = []
    for part in (train, other):
        kept, line = _with_inputs(part)
        parts.append(kept)
        notes += line
    check_pair(parts[0], parts[1], _LEAST)
    _check_inputs(parts[0], parts[1])
    return Pair(parts[0], parts[1], [*notes, *dropped, *_editions(train, other)])


def check_enough(cohort: Cohort, plan: Plan) -> None:
    """Raise a `DataError` if a class has too few patients for the folds of a nested cross-validation.

    Two patients of each class must be left for the fit inside an inner fold.
    """
    for name, folds in (("outer", plan.outer), ("inner", plan.inner)):
        check_whole(name, folds, 2)
    for name, n in label_counts(cohort.y).items():
        in_outer = n - -(-n // plan.outer)
        left = in_outer - -(-in_outer // plan.inner)
        if n and (n < plan.outer or in_outer < plan.inner or left < _LEAST):
            raise DataError(
                f"class {name} has too few patients for {plan.outer} outer and {plan.inner} inner folds",
                file=cohort.name,
                expected=f"{_LEAST} left to fit on in each inner fold",
                got=f"{n} patients, {max(left, 0)} left",
                hint="choose a coarser target, such as stage2, or fewer folds",
            )


def _same_modalities(
    train: Cohort, other: Cohort, modalities: Sequence[str]
) -> tuple[Cohort, Cohort, list[str]]:
    """Return both cohorts with the modalities that patients of both have, and sentences about the others."""
    has = [set(presence(c.X).columns[presence(c.X).any()]) & set(c.modalities) for c in (train, other)]
    wanted = list(modalities) or list(train.modalities)
    if unknown := [m for m in wanted if m not in train.modalities]:
        raise DataError("unknown modality", got=", ".join(unknown), expected=", ".join(train.modalities))
    shared = [m for m in wanted if m in has[0] & has[1]]
    if not shared:
        got = "; ".join(f"{c.name}: {', '.join(sorted(one))}" for c, one in zip((train, other), has))
        raise DataError("the two cohorts have no modality in common", expected=", ".join(wanted), got=got)
    only: dict[str, list[str]] = {}
    for c, one in zip((train, other), has, strict=True):
        for modality in sorted(one - set(shared)):
            only.setdefault(modality, []).append(c.name)
    why = "the other cohort lacks it, or it was not asked for"
    lines = [f"Not used: {m} of {' and '.join(names)} ({why})." for m, names in only.items()]
    return train.select(modalities=shared), other.select(modalities=shared), lines


def _check_inputs(train: Cohort, other: Cohort) -> None:
    """Raise an error if a modality has another unit in the other cohort, or none of the training columns."""
    for modality in train.modalities:
        units = [c.units.get(modality) for c in (train, other)]
        if all(units) and units[0] != units[1]:
            hint = "convert the table, or leave this input out: modalities="
            raise DataError("the cohorts have two units", file=other.name, column=modality,
                            expected=units[0], got=units[1], hint=hint)  # fmt: skip
        blocks = [c.table[modality] for c in (train, other)]
        own, there = ([str(f) for f in feature_names(block, modality)] for block in blocks)
        scans = all("volume" in block for block in blocks)
        if own and there and not scans and not set(own) & set(there):
            hint = "name them as in the training cohort, or leave this input out: modalities="
            raise DataError("no column of the training cohort is in the external one", file=other.name,
                            column=modality, expected=listed(own), got=listed(there), hint=hint)  # fmt: skip


def _with_inputs(cohort: Cohort) -> tuple[Cohort, list[str]]:
    """Return the labelled patients who have any input, and a sentence about the number of the others."""
    X = cohort.X
    empty = X.index[~presence(X).any(axis=1)]
    if len(empty) == len(X):
        raise DataError("no patient has a label and an input", file=cohort.name)
    line = f"{cohort.name}: left out, with a label but none of these inputs: {len(empty)}."
    return cohort.select(patients=list(X.index.difference(empty))), [line] if len(empty) else []


def _editions(train: Cohort, other: Cohort) -> list[str]:
    found = [str(c.provenance.get("ajcc_edition", "")) for c in (train, other)]
    if found[0] == found[1] or not all(found):
        return []
    return [
        f"The stages follow other AJCC editions: {found[0]} in {train.name}, {found[1]} in {other.name}. "
        "A part of the difference between the cohorts may come from the labels."
    ]
