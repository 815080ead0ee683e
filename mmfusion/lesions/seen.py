"""Patients that a LesionSegmenter was fitted on, found in a table by their id or by their scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mmfusion.lesions.tables import table_of
from mmfusion.storage.hashing import hash_each_id

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter


def saw(model: LesionSegmenter, X: pd.DataFrame) -> list[object]:
    """Return the patients of X that the model was fitted on, by their id or by the voxels of their scan.

    Use it to see whether training patients are in a test set, also under another id.

    Parameters
    ----------
    X : DataFrame, shape (n, n_columns)
        Rows of `Cohort.X`. The scan of a patient is read if the id is not that of a training patient.
    """
    check_is_fitted(model, "module_")
    ids, known = set(model.patients_), set(model.scans_)
    hashes = zip(table_of(X).iterrows(), hash_each_id(X.index), strict=True)
    return [p for (p, row), h in hashes if h in ids or _content(model, row) in known]


def _content(model: LesionSegmenter, row: pd.Series) -> str | None:
    """Return the hash of the voxels of the first scan; None if the patient has none."""
    first = model.fitted_.modalities[0]
    return None if first in model.reader.lacking(row) else model.reader.content(row)
