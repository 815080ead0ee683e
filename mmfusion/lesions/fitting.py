"""Fit and fine-tuning of a LesionSegmenter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mmfusion.errors import DataError
from mmfusion.lesions.cases import Case, inner_split, training_cases
from mmfusion.lesions.detector import Detector
from mmfusion.lesions.inference import prediction_boxes, probability_map
from mmfusion.lesions.nested import plan_for_expression
from mmfusion.lesions.objective import Objective
from mmfusion.lesions.panel import GenePanel, expression_table
from mmfusion.lesions.scans import ScanReader
from mmfusion.lesions.settings import SegmenterSettings
from mmfusion.lesions.tables import table_of
from mmfusion.lesions.thresholds import best_threshold
from mmfusion.lesions.training import train
from mmfusion.lesions.transfer import read_start
from mmfusion.nn.segmenters import Segmenter
from mmfusion.nn.training import TrainingPlan, check_device
from mmfusion.storage.hashing import hash_each_id

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

INNER_SHARE = 0.2  # share of the training patients on whom the threshold is chosen


def fit(
    model: LesionSegmenter,
    X: pd.DataFrame,
    y: Sequence[object] | None = None,
    groups: Sequence[object] | None = None,
    *,
    expression: pd.DataFrame | None = None,
    checkpoint: str | Path | None = None,
) -> LesionSegmenter:
    """Train the network on the scans and masks of these patients, and on their expression if it is given.

    Parameters
    ----------
    X : DataFrame, shape (n, n_columns)
        Rows of `Cohort.X`. Each volume is a path, or a Volume.
    y : sequence of path or Volume, shape (n,), optional
        Masks, on any grid; default the column `mask`. `mask_part` selects a region of a file. Patients
        without a label are left out with a warning. An empty mask means that there is no lesion.
    groups : sequence, shape (n,), optional
        Person of each row. A person is learned from or held out as a whole.
    expression : DataFrame, optional
        Expression of genes, one column per gene, index patient id; NaN, or no row, where it is not known.
        Networks whose `outputs` have expression learn it. Z-scores are computed with the patients of X.
        Patients may lack the mask or the expression. Without a mask, patches lie around the seed
        (`seed_x`, ...) if there is one, and anywhere otherwise. Expression is not learned from patches
        without a lesion.
    checkpoint : path, optional
        Folder for the state of the training, from which an interrupted fit continues.

    Raises
    ------
    DataError
        If settings contradict each other, there is no patient to learn from, no mask has a lesion, a
        patient has two rows, or the loss is not finite.
    ScanError
        If a scan or a mask cannot be read.
    """
    y = list(y) if isinstance(y, Iterator) else y  # it is read twice
    table = None if expression is None else expression_table(expression, table_of(X))
    panel = None if table is None else GenePanel.fit(table)
    settings = model.settings.for_genes(None if panel is None else len(panel.genes))
    if panel is not None:
        settings = replace(settings, plan=plan_for_expression(model))
    check_device(model.device)
    settings.check()  # wrong options are found before scans are read
    start = read_start(model.start, settings)
    cases = _cases(model, settings, X, y, groups, table)
    learned, held_out = _split(model, cases, settings.plan)
    new = copy(model)  # a fit that fails leaves the model as it was
    new.fitted_, new.detector_, new.panel_ = settings, None, panel
    if new.box_mode == "detector":
        new.detector_ = _fit_detector(new, X, y, learned, held_out)
    new.module_, new.history_ = _train(
        new, partial(start.build, settings), learned, held_out, settings.plan, table, checkpoint
    )
    new.patients_ = sorted({*start.patients, *hash_each_id(case.patient for case in cases)})
    new.scans_ = sorted({*start.scans, *(case.content for case in cases)})
    new.threshold_ = _threshold(new, X, held_out)
    new.feature_names_in_, new.n_features_in_ = X.columns, X.shape[1]
    vars(model).update(vars(new))
    return model


def fine_tune(
    model: LesionSegmenter,
    X: pd.DataFrame,
    y: Sequence[object] | None = None,
    groups: Sequence[object] | None = None,
    *,
    expression: pd.DataFrame | None = None,
    freeze: Mapping[str, int | None] | None = None,
    lr_groups: Mapping[str, float] | None = None,
    **training: object,
) -> LesionSegmenter:
    """Train the fitted network further on other patients, and choose the threshold on some of them.

    Parameters
    ----------
    X, y, groups
        As for `fit`.
    expression : DataFrame, optional
        As for `fit`, for a model that has learned expression. Its genes and their statistics do not change;
        other genes are ignored.
    freeze : mapping of str to int or None, optional
        Parts of the network that are not trained in the first epochs (None: in all); see `TrainingPlan`.
    lr_groups : mapping of str to float, optional
        Factors of the learning rate of parts of the network.
    **training
        Further changes of the training plan, such as `lr=1e-4, max_epochs=10`.

    Raises
    ------
    DataError, ScanError
        As `fit`.
    """
    check_is_fitted(model, "module_")
    if expression is not None and model.panel_ is None:
        raise DataError("the model has not learned expression", hint="fit(X, expression=table)")
    table = None if expression is None else expression_table(expression, table_of(X))
    cases = _cases(model, model.fitted_, X, y, groups, table)
    changes = {"freeze": freeze or {}, "lr_groups": lr_groups or {}}
    plan = model.fitted_.plan.replace(**changes, **training)
    learned, held_out = _split(model, cases, plan)
    module, history = _train(model, deepcopy(model.module_), learned, held_out, plan, table)
    model.module_, model.history_ = module, [*model.history_, *history]
    model.patients_ = sorted({*model.patients_, *hash_each_id(case.patient for case in cases)})
    model.scans_ = sorted({*model.scans_, *(case.content for case in cases)})
    if held_out:
        model.threshold_ = _threshold(model, X, held_out)
    return model


def _cases(
    model: LesionSegmenter,
    settings: SegmenterSettings,
    X: pd.DataFrame,
    y: Sequence[object] | None,
    groups: Sequence[object] | None,
    table: pd.DataFrame | None,
) -> list[Case]:
    return training_cases(
        table_of(X),
        y,
        ScanReader(settings.modalities, settings.spacing),
        groups,
        expression=table,
        tasks=settings.options.get("tasks", ("mask",)),
        unlabelled=model.consistency > 0,
    )


def _split(
    model: LesionSegmenter, cases: list[Case], plan: TrainingPlan
) -> tuple[list[Case], list[Case]]:  # fmt: skip
    share = plan.validation_fraction or (INNER_SHARE if model.threshold == "inner" else 0.0)
    labelled = [case for case in cases if case.labelled]
    learned, held_out = inner_split(labelled, share, model.random_state)
    out = {case.person for case in held_out}
    return learned + [c for c in cases if not c.labelled and c.person not in out], held_out


def _train(
    model: LesionSegmenter,
    module: object,
    learned: Sequence[Case],
    held_out: Sequence[Case],
    plan: TrainingPlan,
    table: pd.DataFrame | None = None,
    checkpoint: str | Path | None = None,
) -> tuple[Segmenter, list[dict[str, float]]]:
    return train(
        module,
        learned,
        held_out,
        model.fitted_,
        plan,
        objective=Objective.of(model),
        expression=_labels(model, table, learned, held_out),
        box_mode=model.box_mode,
        seed=model.random_state,
        device=model.device,
        progress=model.progress,
        checkpoint=checkpoint,
    )


def _labels(
    model: LesionSegmenter, table: pd.DataFrame | None, learned: Sequence[Case], held_out: Sequence[Case]
) -> np.ndarray | None:
    """Return z-scores of the expression by row; all are missing if no table is given."""
    if model.panel_ is None:
        return None
    if table is None:
        last = max(case.row for case in (*learned, *held_out))
        return np.full((last + 1, len(model.panel_.genes)), np.nan, np.float32)
    return model.panel_.scaled(table)


def _fit_detector(
    model: LesionSegmenter,
    X: pd.DataFrame,
    y: Sequence[object] | None,
    learned: Sequence[Case],
    held_out: Sequence[Case],
) -> Detector:
    """Train the detector on the patients that the network learns from, and choose its threshold.

    With few epochs its probabilities are low everywhere, and a fixed threshold would find nothing.
    """

    def some(cases: Sequence[Case]) -> tuple[pd.DataFrame, list[object] | None]:
        rows = [case.row for case in cases if case.mask is not None]
        masks = None if y is None else [y.iloc[k] if isinstance(y, pd.Series) else y[k] for k in rows]
        return X.iloc[rows], masks

    params = Detector.settings(model.fitted_)
    same = {name: getattr(model, name) for name in ("augment", "random_state", "device", "progress")}
    coarse = type(model)(**params, **same)
    coarse.fit(*some(learned))
    others, masks = some(held_out)
    if model.threshold == "inner" and len(others):
        cases = _cases(coarse, coarse.fitted_, others, masks, None, None)
        coarse.threshold_ = _best_threshold(coarse, others, cases)
    return Detector(coarse)


def _threshold(model: LesionSegmenter, X: pd.DataFrame, held_out: Sequence[Case]) -> float:
    """Return the threshold of the settings, or the best one on the patients who were held out."""
    if model.threshold != "inner":
        return float(model.threshold)
    return _best_threshold(model, X, held_out)


def _best_threshold(model: LesionSegmenter, X: pd.DataFrame, cases: Sequence[Case]) -> float:
    """Return the threshold with the highest mean Dice of these patients."""

    def pairs():
        for case in cases:
            if case.mask is None or "mask" not in model.module_.tasks:
                continue
            boxes = prediction_boxes(model, X.iloc[case.row], case.scans, case.mask)
            yield probability_map(model, case.scans, boxes).array, case.mask

    return best_threshold(pairs())
