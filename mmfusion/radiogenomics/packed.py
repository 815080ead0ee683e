"""Fitted scikit-learn pipelines as bytes and back, without pickle (skops)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.tree._tree import Tree

from mmfusion.errors import BundleError
from mmfusion.limits import check_memory

# what a saved pipeline may hold beside the classes and functions that skops trusts itself
TRUSTED = (
    "mmfusion.evaluation.regression_baselines.RidgePerTarget",
    "mmfusion.evaluation.scoring.macro_auc_scorer",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.tree._tree.Tree",
)
_DEPTH = 8  # estimators within estimators


def pack(pipeline: Pipeline) -> np.ndarray:
    """Return a fitted pipeline as an array of bytes.

    The bytes are a ZIP file of JSON and npy files, as skops writes it.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> pipeline = Pipeline([("scale", StandardScaler())]).fit(np.array([[1.0], [3.0]]))
    >>> unpack(pack(pipeline)).transform(np.array([[3.0]])).tolist()
    [[1.0]]
    """
    from skops.io import dumps

    return np.frombuffer(dumps(pipeline, compression=zipfile.ZIP_DEFLATED), dtype=np.uint8)


def unpack(data: np.ndarray) -> Pipeline:
    """Return the pipeline in an array of bytes; only classes of scikit-learn and `TRUSTED` are made.

    Raises
    ------
    BundleError
        If it holds another class or function, is no pipeline, has a damaged tree, or needs more memory than
        the limit.
    zipfile.BadZipFile, LookupError, TypeError, ValueError
        If it is damaged.
    """
    from skops.io import get_untrusted_types, loads

    data = data.tobytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(part.file_size for part in archive.infolist())
    check_memory(2.0 * size, "the saved pipeline", error=BundleError)
    if others := sorted(set(get_untrusted_types(data=data)) - set(TRUSTED)):
        raise BundleError("the pipeline holds something else than models", got=", ".join(others[:3]))
    found = loads(data, trusted=list(TRUSTED))
    if not isinstance(found, Pipeline):
        raise BundleError("not a pipeline", got=type(found).__name__)
    for part in parts_of(found):
        if isinstance(part, Tree):
            _check_tree(part)
    return found


def parts_of(model: object, depth: int = _DEPTH) -> Iterator[object]:
    """Yield a model, the models within it, and their trees.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> [type(part).__name__ for part in parts_of(Pipeline([("scale", StandardScaler())]))]
    ['Pipeline', 'StandardScaler']
    """
    yield model
    if not depth or isinstance(model, Tree):
        return
    values = list(vars(model).values())
    while values:
        value = values.pop(0)
        if isinstance(value, list | tuple):
            values += value
        elif isinstance(value, np.ndarray) and value.dtype == object:
            values += value.ravel().tolist()
        elif isinstance(value, BaseEstimator | Tree) or type(value).__module__ == "sklearn.calibration":
            yield from parts_of(value, depth - 1)


def holds_rows(model: object) -> bool:
    """Return True if a model holds rows of patients: the support vectors of an SVC are such rows.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> holds_rows(Pipeline([("classify", SVC().fit(np.array([[0.0], [1.0]]), [0, 1]))]))
    True
    """
    return any(hasattr(part, "support_vectors_") for part in parts_of(model))


def _check_tree(tree: Tree) -> None:
    """Raise a `BundleError` unless every path of a tree ends in a leaf; scikit-learn does not check it."""
    left, right, n = tree.children_left, tree.children_right, tree.node_count
    inner = left != -1
    here, feature = np.arange(n), tree.feature
    ends = (left == -1) == (right == -1)
    below = (left > here) & (right > here) & (left < n) & (right < n)
    read = (feature >= 0) & (feature < tree.n_features)
    if not n or not ends.all() or not (below & read)[inner].all():
        raise BundleError("not a decision tree", expected="children after their parents, and known features")
