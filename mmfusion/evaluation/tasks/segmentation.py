"""Task of masks: one Volume per patient, judged by overlap and distance on the grid of the scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from mmfusion.data.cohort import Cohort
from mmfusion.data.scans import part_of, scan_of
from mmfusion.errors import DataError, ScanError
from mmfusion.evaluation.fold_result import Predictions, json_rows
from mmfusion.evaluation.mask_baselines import mask_baselines
from mmfusion.evaluation.tasks.base import Task
from mmfusion.imaging import Volume, read, read_mask
from mmfusion.metrics.paired import detectable, same_rows
from mmfusion.metrics.ranked import wilcoxon_table
from mmfusion.metrics.segmentation import (
    MASK_SCORES,
    mask_predictions,
    mask_scores,
    segmentation_differences,
    segmentation_table,
)
from mmfusion.modalities import scan_modality

_MASKS = ("mask", "mask_part")


@dataclass(frozen=True)
class SegmentationTask(Task):
    """Prediction of the mask of a lesion.

    `model.predict(X)` returns one Volume of unit "mask" per patient, in the order of X, as a sequence or an
    iterator. The masks are removed from X before, so that the model cannot read the true masks. Only a model
    with `reads_masks = True` gets them; its name should say so. A prediction on another grid is resampled to
    the grid of the true mask.

    A label is the path of the file with the true mask, on the grid of the patient's scan, or a Volume. Only
    the scores of a mask are stored, not the mask (`mmfusion.metrics.segmentation`, which also explains the
    scores of empty masks).

    Parameters
    ----------
    modality : str
        Imaging modality on which the masks are drawn.

    Examples
    --------
    >>> SegmentationTask().modality, SegmentationTask.primary
    ('ct', 'dice')
    """

    modality: str = "ct"
    primary: ClassVar[str] = "dice"
    second: ClassVar[str | None] = "dice_pooled"

    @classmethod
    def of(cls, cohort: Cohort) -> SegmentationTask:
        """Return the task of a cohort's masks; its target may have a modality other than CT."""
        return cls(getattr(cohort.target_spec, "modality", "ct"))

    def predict(self, model: object, X: pd.DataFrame, y: pd.Series) -> Predictions:
        """Return the scores of each patient's predicted mask."""
        scores = [mask_scores(true.array, mask.array, true.spacing) for true, mask in self.pairs(model, X, y)]
        rows = np.array([[s[name] for name in MASK_SCORES] for s in scores]).reshape(-1, len(MASK_SCORES))
        return Predictions("scores", MASK_SCORES, json_rows(np.round(rows, 12)))

    def score(self, model: object, X: pd.DataFrame, y: pd.Series) -> float:
        """Return the mean Dice per patient."""
        dice = [
            mask_scores(true.array, mask.array, true.spacing, distances=False)["dice"]
            for true, mask in self.pairs(model, X, y)
        ]
        return float(np.mean(dice))

    def frame(self, predictions: Predictions) -> pd.DataFrame:
        """Return a table with one column per score."""
        return pd.DataFrame(predictions.array(), columns=list(predictions.names))

    def scores(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return every metric with intervals (`mmfusion.metrics.segmentation.segmentation_table`)."""
        return segmentation_table(table)

    def differences(self, table: pd.DataFrame, reference: str) -> pd.DataFrame:
        """Return differences in mean Dice per patient.

        The columns `wilcoxon_p` and `wilcoxon_p_holm` come from Wilcoxon's signed-rank test over patients.
        """
        found = segmentation_differences(table, reference, metric=self.primary)
        ranks = wilcoxon_table(table, reference, self.primary)[["p", "p_holm"]]
        return found.join(ranks.add_prefix("wilcoxon_"))

    def detectable(self, table: pd.DataFrame, model: str, reference: str) -> float:
        """Return the smallest difference in mean Dice that these patients can show with 80 % power."""
        table = table[table["model"].isin([model, reference])]
        return detectable(mask_predictions(same_rows(table)), model, reference, self.primary)

    def baselines(
        self, modalities: Sequence[str], *, inner: int = 3, random_state: int = 0
    ) -> dict[str, BaseEstimator]:
        """Return thresholds of uptake and of density (`mask_baselines`), which are not trained."""
        return mask_baselines(modalities)

    def pairs(self, model: object, X: pd.DataFrame, y: pd.Series) -> Iterator[tuple[Volume, Volume]]:
        """Yield the true and the predicted mask of each patient, on one grid, one patient at a time."""
        given = X if getattr(model, "reads_masks", False) else without_masks(X)
        predicted = iter(model.predict(given))
        for patient in X.index:
            mask = next(predicted, None)
            if not isinstance(mask, Volume):
                got = "nothing more" if mask is None else type(mask).__name__
                raise DataError(
                    "no predicted mask", patient=patient, expected="a Volume per patient", got=got
                )
            mask.expect("mask", patient=patient)
            try:
                true = self._true(X.loc[patient], y.loc[patient])
            except ScanError as error:
                error.patient = error.patient or patient
                raise
            yield true, mask.like(true)
        if next(predicted, None) is not None:
            raise DataError("more masks than patients", expected=len(X))

    def _true(self, row: pd.Series, label: object) -> Volume:
        if isinstance(label, Volume):
            return label
        block = row[self.modality].rename(row.name)
        reference = None
        if not pd.isna(block.get("volume")):
            path, series, _ = scan_of(block)
            unit = scan_modality(self.modality).unit
            reference = path if isinstance(path, Volume) else read(path, series, unit=unit)
        return read_mask(label, reference, part_of(block.get("mask_part")))


def without_masks(X: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of a cohort's table in which no patient has a mask; the columns stay.

    Examples
    --------
    >>> X = pd.DataFrame([["P1.nii.gz", "P1_mask.nii.gz"]], columns=[("ct", "volume"), ("ct", "mask")])
    >>> without_masks(X).notna().to_numpy().tolist()
    [[True, False]]
    """
    X = X.copy()
    for column in [c for c in X.columns if c[1] in _MASKS]:
        X[column] = pd.Series(np.nan, index=X.index, dtype=object)
    return X
