"""Labels of a fit as integer codes, in order of severity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError


def encode_labels(X: pd.DataFrame, y: Sequence[object]) -> tuple[np.ndarray, np.ndarray]:
    """Return the code of each patient's class, shape (n,), and the classes in their order, shape (K,).

    Raises
    ------
    DataError
        If X is not a DataFrame, X and y have different patients, y is a table, a label is missing, there is
        only one class, or a class has only one patient.

    Examples
    --------
    >>> X = pd.DataFrame({"age": [60, 70, 65, 72]})
    >>> encode_labels(X, ["I", "II", "I", "II"])[0]
    array([0, 1, 0, 1])
    """
    if not isinstance(X, pd.DataFrame):
        raise DataError("X is not a cohort's frame", expected="rows of cohort.X", got=type(X).__name__)
    if len(X) != len(y):
        raise DataError("X and y differ in length", expected=f"{len(X)} labels", got=len(y))
    if np.ndim(y) != 1:
        name = "a table of labels" if isinstance(y, pd.DataFrame) else f"labels of shape {np.shape(y)}"
        hint = "choose a target with classes: mmfusion.list_targets()"
        raise DataError("not one class per patient", expected=f"{len(X)} labels", got=name, hint=hint)
    y = y if isinstance(y, pd.Series) else pd.Series(y, index=X.index)
    if not y.index.equals(X.index):
        raise DataError(
            "X and y are not about the same patients", hint="use cohort.X and cohort.y, with the same index"
        )
    if y.isna().any():
        raise DataError("a patient has no label", patient=", ".join(map(str, y.index[y.isna()][:5])))
    y = y.cat.remove_unused_categories() if isinstance(y.dtype, pd.CategoricalDtype) else y.astype("category")
    if len(y.cat.categories) < 2:
        raise DataError(
            "only one class among the labels",
            got=", ".join(map(str, y.cat.categories)),
            expected="two or more",
        )
    counts = y.value_counts()
    if counts.min() < 2:
        raise DataError(
            f"class {counts.idxmin()!r} has one patient in the rows given to fit",
            expected="at least 2",
            hint="choose a coarser target, such as stage2",
        )
    return y.cat.codes.to_numpy().astype(np.int64), np.array(list(y.cat.categories))
