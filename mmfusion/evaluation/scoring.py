"""Score by which the inner folds choose parameters of classifiers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.metrics import macro_auc


def macro_auc_scorer(estimator: object, X: pd.DataFrame, y: Sequence[object], **_: object) -> float:
    """Return the macro-averaged one-vs-rest AUC of a fitted classifier, 0 to 1.

    It is a scikit-learn scorer. Classes absent from `y` are left out, because a validation fold may have no
    patient of a rare class.

    Parameters
    ----------
    estimator : classifier
        Fitted; `classes_` and `predict_proba` are used.
    X : DataFrame, shape (n, n_columns)
        Rows of the validation fold.
    y : sequence, shape (n,)
        Their classes.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> X, y = pd.DataFrame({"age": [50, 60, 70, 80]}), ["I", "I", "II", "II"]
    >>> macro_auc_scorer(DummyClassifier().fit(X, y), X, y)
    0.5
    """
    return macro_auc(
        np.asarray(y).astype(str), estimator.predict_proba(X), np.asarray(estimator.classes_).astype(str)
    )
