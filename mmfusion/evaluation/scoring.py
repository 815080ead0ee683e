"""The score that inner folds choose by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.metrics import macro_auc


def macro_auc_scorer(estimator: object, X: pd.DataFrame, y: Sequence[object], **_: object) -> float:
    """Macro-averaged one-vs-rest AUC of a fitted classifier; classes absent from `y` are left out.

    A scikit-learn scorer, usable where a validation fold may lack a rare class.
    """
    return macro_auc(
        np.asarray(y).astype(str), estimator.predict_proba(X), np.asarray(estimator.classes_).astype(str)
    )
