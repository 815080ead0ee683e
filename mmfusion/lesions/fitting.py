"""Fit and fine-tuning of a LesionSegmenter, and the patients that it has learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mmfusion.lesions.cases import Case, inner_split, table_of, training_cases
from mmfusion.lesions.detector import Detector
from mmfusion.lesions.inference import prediction_boxes, probability_map
from mmfusion.lesions.scans import ScanReader
from mmfusion.lesions.thresholds import best_threshold
from mmfusion.lesions.training import train
from mmfusion.nn.segmenters import Segmenter
from mmfusion.nn.training import TrainingPlan, check_device
from mmfusion.storage.hashing import hash_each_id

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

INNER_SHARE = 0.2  # of the training patients, on whom the threshold is chosen


def fit_segmenter(
    model: LesionSegmenter,
    X: pd.DataFrame,
    y: Sequence[object] | None,
    groups: Sequence[object] | None,
    *,
    start: Callable[[Segmenter], object] | None = None,
    checkpoint: str | Path | None = None,
) -> LesionSegmenter:
    """Fit a segmenter in place and return it; see `LesionSegmenter.fit`."""
    settings = model.settings
    check_device(model.device)
    settings.check()  # wrong options are found before scans are read
    reader = ScanReader(settings.modalities, settings.spacing)
    cases = training_cases(table_of(X), y, reader, groups)
    learned, held_out = _split(model, cases, settings.plan)
    model.fitted_, model.detector_ = settings, None
    if model.box_mode == "detector":
        model.detector_ = _fit_detector(model, X, y, [case.row for case in learned])

    def network() -> Segmenter:
        module = settings.build()
        if start is not None:
            start(module)
        return module

    model.module_, model.history_ = _train(model, network, learned, held_out, settings.plan, checkpoint)
    model.patients_ = sorted(hash_each_id(case.patient for case in cases))
    model.scans_ = sorted({case.content for case in cases})
    model.threshold_ = _threshold(model, X, held_out)
    model.feature_names_in_, model.n_features_in_ = X.columns, X.shape[1]
    return model


def fine_tune(
    model: LesionSegmenter,
    X: pd.DataFrame,
    y: Sequence[object] | None = None,
    groups: Sequence[object] | None = None,
    *,
    freeze: Mapping[str, int | None] | None = None,
    lr_groups: Mapping[str, float] | None = None,
    **training: object,
) -> LesionSegmenter:
    """Train the fitted network further on other patients; the threshold is chosen anew on some of them.

    Parameters
    ----------
    X, y, groups
        As for `fit`.
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
    cases = training_cases(table_of(X), y, model.reader, groups)
    changes = {"freeze": freeze or {}, "lr_groups": lr_groups or {}}
    plan = model.fitted_.plan.replace(**changes, **training)
    learned, held_out = _split(model, cases, plan)
    module, history = _train(model, deepcopy(model.module_), learned, held_out, plan)
    model.module_, model.history_ = module, [*model.history_, *history]
    model.patients_ = sorted({*model.patients_, *hash_each_id(case.patient for case in cases)})
    model.scans_ = sorted({*model.scans_, *(case.content for case in cases)})
    if held_out:
        model.threshold_ = _threshold(model, X, held_out)
    return model


def saw(model: LesionSegmenter, X: pd.DataFrame) -> list[object]:
    """Return the patients that the model was fitted on, by their id or by the voxels of their scan.

    Use it to see whether training patients are in a test set, also under another id.

    Parameters
    ----------
    X : DataFrame
        Rows of `Cohort.X`. Scans whose id is not known are read.
    """
    check_is_fitted(model, "module_")
    ids, known = set(model.patients_), set(model.scans_)
    hashes = zip(table_of(X).iterrows(), hash_each_id(X.index), strict=True)
    return [p for (p, row), h in hashes if h in ids or _content(model, row) in known]


def _content(model: LesionSegmenter, row: pd.Series) -> str | None:
    """Return the hash of the voxels of the first scan; None if the patient has none."""
    first = model.fitted_.modalities[0]
    return None if first in model.reader.lacking(row) else model.reader.content(row)


def _split(
    model: LesionSegmenter, cases: list[Case], plan: TrainingPlan
) -> tuple[list[Case], list[Case]]:  # fmt: skip
    share = plan.validation_fraction or (INNER_SHARE if model.threshold == "inner" else 0.0)
    return inner_split(cases, share, model.random_state)


def _train(
    model: LesionSegmenter,
    module: object,
    learned: Sequence[Case],
    held_out: Sequence[Case],
    plan: TrainingPlan,
    checkpoint: str | Path | None = None,
) -> tuple[Segmenter, list[dict[str, float]]]:
    return train(
        module,
        learned,
        held_out,
        model.fitted_,
        plan,
        box_mode=model.box_mode,
        seed=model.random_state,
        device=model.device,
        progress=model.progress,
        checkpoint=checkpoint,
    )


def _fit_detector(
    model: LesionSegmenter, X: pd.DataFrame, y: Sequence[object] | None, rows: list[int]
) -> Detector:
    """Train the detector on the patients that the network learns from."""
    params = Detector.settings(model.fitted_)
    same = {name: getattr(model, name) for name in ("augment", "random_state", "device", "progress")}
    coarse = type(model)(**params, **same)
    masks = None if y is None else [y.iloc[k] if isinstance(y, pd.Series) else y[k] for k in rows]
    return Detector(coarse.fit(X.iloc[rows], masks))


def _threshold(model: LesionSegmenter, X: pd.DataFrame, held_out: Sequence[Case]) -> float:
    """Return the threshold of the settings, or the best one on the patients who were held out."""
    if model.threshold != "inner":
        return float(model.threshold)

    def pairs():
        for case in held_out:
            boxes = prediction_boxes(model, X.iloc[case.row], case.scans, case.mask)
            yield probability_map(model, case.scans, boxes).array, case.mask

    return best_threshold(pairs())
