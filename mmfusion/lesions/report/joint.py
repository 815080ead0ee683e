"""The study of a report on masks and expression: its patients, its models, and the masks of its models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mmfusion.bundle import load
from mmfusion.data.cohort import Cohort, presence
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.tasks import SegmentationTask
from mmfusion.lesions.expression_segmenter import ExpressionSegmenter
from mmfusion.lesions.report.study import first_patients, whole_cohort
from mmfusion.lesions.segmenter import LesionSegmenter

CROPS = {"size": 32, "spacing": 3.0, "diameters": (12.0, 45.0)}  # of the phantom; 96 mm wide
SMALL = {"embed_dim": 12, "depths": (1, 1, 1), "heads": (3, 3, 6), "width": 24}  # of the network
PATCH = {"size": (32, 32), "spacing": 3.0}  # of the network, slices; mm


def load_study(
    name: str,
    root: str = "",
    genes: Sequence[str] = (),
    *,
    n_patients: int = 0,
    seed: int = 0,
    phantom: Mapping[str, object] | None = None,
) -> tuple[Cohort, str]:
    """Load a cohort with CT, masks and expression; return the patients to judge, and a line about the others.

    Parameters
    ----------
    name, root : str
        See `load_cohort`; "" means its default.
    genes : sequence of str
        Genes of the panel; empty for the panel of the cohort.
    n_patients : int
        Number of patients: of the phantom, how many are made (0: its default number); of another cohort, how
        many are used, from the first on (0: all).
    seed : int
        Seed of the phantom.
    phantom : mapping, optional
        Further parameters of the phantom, such as `{"strength": 0.0}`.

    Returns
    -------
    cohort : Cohort
        Patients with a CT, a mask and expression; the target is expression.
    left_out : str
        A sentence about the other patients; "" if there are none.

    Raises
    ------
    DataError
        If no patient has all of them.
    """
    whole = whole_cohort(name, root, n_patients=n_patients, seed=seed, phantom=phantom)
    everybody = len(whole.table)
    cohort = whole.with_target(f"expression:{','.join(genes)}" if genes else "expression")
    cohort = cohort.select(modalities=["ct"] if "ct" in cohort.modalities else [])
    has = presence(cohort.X).get("ct", pd.Series(data=False, index=cohort.X.index))
    masks = cohort.X.get(("ct", "mask"), pd.Series(None, index=cohort.X.index, dtype=object))
    if not (has & masks.notna()).any():
        raise DataError("no patient has a CT, a mask and expression", file=name)
    parts = {
        "without expression": everybody - len(has),
        "without a CT": int((~has).sum()),
        "without a mask": int((has & ~masks.notna()).sum()),
    }
    return first_patients(cohort, has & masks.notna(), n_patients, parts)


def joint_model(preset: str, *, small: bool, **changes: object) -> ExpressionSegmenter:
    """Return the main model: CSPAT with both tasks, which records the cosine of their gradients.

    Parameters
    ----------
    preset : str
        Size of the network.
    small : bool
        Use a small network of slices instead, for a demonstration in minutes. Its threshold is 0.5; otherwise
        it is chosen on inner patients.
    **changes
        Further parameters of `ExpressionSegmenter`; those that are 0 or empty are ignored.

    Raises
    ------
    MMFusionError
        If the settings cannot be used, which is found here, before any scan is read.

    Examples
    --------
    >>> joint_model("demo", small=True, max_epochs=0).settings.size
    (32, 32)
    """
    given = {name: value for name, value in changes.items() if value}
    if small:
        given = {"options": SMALL, "threshold": 0.5, **PATCH, **given}
    model = ExpressionSegmenter(preset="demo2d" if small else preset, log_cosine=True, **given)
    model.settings.check()
    return model


def splits_of(cohort: Cohort, outer: int, seed: int) -> Splits:
    """Return the folds of persons that all models of a report share.

    Parameters
    ----------
    cohort : Cohort
        The patients to judge.
    outer : int
        Number of folds.
    seed : int
        Seed of the draw.
    """
    persons = cohort.groups.loc[cohort.X.index, "patient"]
    return Splits.make(cohort.y, persons, outer, 1, random_state=seed, stratify=False)


def mask_model(model: ExpressionSegmenter, cohort: Cohort) -> tuple[LesionSegmenter, Cohort]:
    """Return the same network for masks alone, and the cohort with the masks as the target.

    Parameters
    ----------
    model : ExpressionSegmenter
        Main model of the report.
    cohort : Cohort
        The patients to judge.
    """
    options = {**(model.options or {}), "tasks": ("mask",)}
    alone = LesionSegmenter(**model.get_params(deep=False)).set_params(options=options, log_cosine=False)
    return alone, cohort.with_target("lesion").select(patients=list(cohort.X.index))


def masks_of(result: NestedResult, cohort: Cohort, models: Sequence[str]) -> pd.DataFrame:
    """Return the scores of the masks that expression models predict for their test patients.

    The model of the fold in which a patient was held out predicts the mask.

    Parameters
    ----------
    result : NestedResult
        Result of `nested_cv(..., out=folder, keep=models)`.
    cohort : Cohort
        The same patients, with the masks as the target.
    models : sequence of str
        Models to judge. Those that predict no masks are left out.

    Returns
    -------
    DataFrame
        As `NestedResult.predictions` of masks: model, repeat, fold, patient_id, person, and the scores.

    Raises
    ------
    DataError
        If a model was not saved.
    """
    task, tables = SegmentationTask.of(cohort), []
    by_text = {str(patient): patient for patient in cohort.X.index}
    for name in models:
        bundles = result.bundles(name)
        if not bundles:
            raise DataError("the models of the folds were not saved", got=name, hint="keep=[...], out=folder")
        rows = result.of([name])
        for (repeat, fold), folder in bundles.items():
            model = load(folder)
            if "mask" not in model.module_.tasks:
                continue
            mine = rows[(rows["repeat"] == repeat) & (rows["fold"] == fold)]
            patients = [by_text[one] for one in mine["patient_id"]]
            found = task.predict(model.segmenter(), cohort.X.loc[patients], cohort.y.loc[patients])
            keys = mine[["model", "repeat", "fold", "patient_id", "person"]].reset_index(drop=True)
            tables.append(pd.concat([keys, task.frame(found)], axis=1))
    return pd.concat(tables, ignore_index=True)


def with_mask_scores(
    result: NestedResult, of_masks: NestedResult, cohort: Cohort, models: Sequence[str]
) -> pd.DataFrame:
    """Return the scores of the masks of all models: those of `masks_of`, and those of the mask alone."""
    return pd.concat([masks_of(result, cohort, models), of_masks.predictions], ignore_index=True)


def cosine_table(result: NestedResult) -> pd.DataFrame:
    """Return the cosine between the gradients of both tasks by fold and epoch.

    Returns
    -------
    DataFrame
        Columns fold, epoch, cosine; empty if it was not recorded (`log_cosine=True` records it).
    """
    found, name = result.histories(), "cosine_mask_expression"
    if name not in found:
        return pd.DataFrame(columns=["fold", "epoch", "cosine"])
    first = found[found["repeat"] == found["repeat"].min()]
    return first.rename(columns={name: "cosine"})[["fold", "epoch", "cosine"]].dropna()
