"""Steps of the classifier of a genotype: reducers, classifiers, and the settings that inner folds try.

Source of the steps and of most settings: arXiv 2211.06620 (deep features of a segmenter, then PCA or LDA,
then QDA, a decision tree, a random forest or an SVC). There, LDA was fitted on all patients before the
cross-validation. Here every step is part of one pipeline, which is fitted on training rows only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.model_selection import ParameterGrid
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from mmfusion.errors import DataError
from mmfusion.nn.params import unusable

PRESETS = ("demo", "full")
Grid = Mapping[str, Sequence[object]] | Sequence[Mapping[str, Sequence[object]]]


@dataclass(frozen=True)
class Step:
    """One way to reduce features, or to classify.

    Attributes
    ----------
    title : str
        Name in reports.
    make : callable
        Function without arguments that returns the estimator; None is no step.
    demo, full : parameter grid
        Settings that inner folds try, as in scikit-learn's `ParameterGrid`.
    """

    title: str
    make: Callable[[], BaseEstimator | None]
    demo: Grid
    full: Grid


def _svc() -> BaseEstimator:
    # SVC has no probabilities of its own; the sigmoid is fitted on rows that its SVC did not learn from
    return CalibratedClassifierCV(SVC(kernel="sigmoid"), ensemble=False, cv=3)


REDUCERS = {
    "none": Step("no reduction", lambda: None, {}, {}),
    "pca": Step("PCA", PCA, {"n_components": [0.8]}, {"n_components": [0.8, 0.95]}),
    "lda": Step(
        "LDA",
        LinearDiscriminantAnalysis,
        {"solver": ["svd"]},
        [{"solver": ["svd"]}, {"solver": ["eigen"], "shrinkage": ["auto"]}],
    ),
    "select": Step("best features (ANOVA)", lambda: SelectKBest(f_classif), {"k": [20]}, {"k": [10, 20, 40]}),
}
CLASSIFIERS = {
    "qda": Step(
        "QDA",
        # classes with fewer patients than features have a singular covariance
        lambda: QuadraticDiscriminantAnalysis(solver="eigen", shrinkage="auto"),
        {},
        {},
    ),
    "dt": Step(
        "decision tree",
        DecisionTreeClassifier,
        {"max_depth": [1, 3]},
        {"max_depth": [1, 2, 3, None], "min_samples_leaf": [1, 3, 5]},
    ),
    "rf": Step(
        "random forest",
        lambda: RandomForestClassifier(200),
        {"n_estimators": [50]},
        {"max_features": ["sqrt", 0.1], "class_weight": [None, "balanced"]},
    ),
    "svc": Step(
        "SVC",
        _svc,
        {"estimator__C": [0.1, 1.0, 10.0]},
        {
            "estimator__C": [0.1, 1.0, 10.0, 100.0],
            "estimator__gamma": ["scale", 1e-3, 1e-2],
            "estimator__coef0": [0.0, 0.1],
        },
    ),
}
STEPS = {**REDUCERS, **CLASSIFIERS}


def names_of(parameter: str, given: str | Sequence[str], known: Mapping[str, Step]) -> tuple[str, ...]:
    """Return one name, or several names, as a tuple after checking them.

    Raises
    ------
    DataError
        If a name is unknown or occurs twice, or there is none.

    Examples
    --------
    >>> names_of("reducer", "pca", REDUCERS), names_of("reducer", ["pca", "lda"], REDUCERS)
    (('pca',), ('pca', 'lda'))
    """
    several = isinstance(given, list | tuple)
    names = tuple(given) if several else (given,)
    wrong = [name for name in names if not isinstance(name, str) or name not in known]
    if not names or wrong or len(set(names)) < len(names):
        raise unusable(parameter, f"one or some of {', '.join(known)}, each once", repr(given))
    return names


def settings_of(name: str, preset: str, grid: Mapping[str, Grid] | None) -> list[dict[str, object]]:
    """Return the settings of one step that inner folds try, at least one.

    Parameters
    ----------
    name : str
        Name of the step.
    preset : {"demo", "full"}
        Size of the grid.
    grid : mapping, optional
        Name of a step -> grid that replaces that of the preset.

    Raises
    ------
    DataError
        If the grid names a step or a parameter that does not exist, or has no setting.

    Examples
    --------
    >>> settings_of("pca", "full", None)
    [{'n_components': 0.8}, {'n_components': 0.95}]
    """
    step = STEPS[name]
    chosen = (grid or {}).get(name, getattr(step, preset))
    estimator = step.make()
    known = {} if estimator is None else estimator.get_params()
    try:
        settings = list(ParameterGrid(chosen))
    except (TypeError, ValueError) as error:
        raise unusable("grid", f"lists of values for parameters of {name}", error) from error
    if unknown := sorted({key for setting in settings for key in setting} - set(known)):
        raise unusable("grid", f"parameters of {name}: {', '.join(known) or 'none'}", ", ".join(unknown))
    if not settings:
        raise unusable("grid", f"at least one setting of {name}", "none")
    return settings


def check_grid(grid: object, preset: object) -> None:
    """Raise a `DataError` if the preset does not exist, or the grid is no mapping of steps to grids.

    Examples
    --------
    >>> check_grid({"pca": {"n_components": [5]}}, "full")
    """
    if preset not in PRESETS:
        raise unusable("preset", " or ".join(PRESETS), repr(preset))
    if grid is not None and not isinstance(grid, Mapping):
        raise unusable("grid", "a mapping of steps to grids", type(grid).__name__)
    if unknown := [name for name in grid or {} if name not in STEPS]:
        raise DataError("the grid names steps that do not exist", parameter="grid",
                        expected=", ".join(STEPS), got=", ".join(map(str, unknown)))  # fmt: skip
