"""GenotypeClassifier: a genotype from radiomics or deep features, with every step fitted inside the fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.classes import encode_labels
from mmfusion.errors import DataError, check_seed, check_whole
from mmfusion.evaluation.leakage.guards import check_forbidden
from mmfusion.evaluation.leakage.probe import assert_no_leak
from mmfusion.evaluation.tasks import ClassificationTask
from mmfusion.lesions.tables import check_ids, persons_of, table_of
from mmfusion.nn.params import unusable
from mmfusion.radiogenomics.extraction import check_vary, extractor_of, features_of, fit_extractor
from mmfusion.radiogenomics.persistence import is_savable, restore, save
from mmfusion.radiogenomics.pipeline import Setting, all_settings, fit_pipeline
from mmfusion.radiogenomics.search import METRICS, check_classes, search
from mmfusion.radiogenomics.steps import CLASSIFIERS, REDUCERS, Grid, check_grid, names_of
from mmfusion.storage.hashing import hash_each_id


class GenotypeClassifier(ClassifierMixin, BaseEstimator):
    """Predict the status of a gene, such as EGFR, from radiomics or from deep features.

    A pipeline of scaling, a reducer and a classifier. Inner folds choose among all reducers and classifiers
    that are named, and among their settings; then the pipeline is fitted on all rows. Nothing is fitted on
    other rows than those given to `fit`, so that `mmfusion.nested_cv` judges the whole procedure.

    Deep features come from an `extractor`, such as a segmenter, which is fitted inside `fit` too. The
    features of test patients therefore come from a segmenter that never saw them. With `cross_fit`, the same
    holds in the inner folds.

    Parameters
    ----------
    reducer : {"none", "pca", "lda", "select"} or list of them
        "pca": principal components with a share of the variance. "lda": linear discriminant. "select": the
        features with the highest F statistic. The inner folds choose one of several.
    classifier : {"qda", "dt", "rf", "svc"} or list of them
        QDA with a shrunken covariance, decision tree, random forest, SVC with a sigmoid kernel.
    modalities : sequence of str
        Modalities of X that are read.
    extractor : transformer, optional
        Object with `fit(X, y=None)` and `transform(X)` that turns rows of `Cohort.X` into features, shape
        (n, d). In `fit` it gets the masks of the training patients; `transform` never gets a mask. Default:
        all columns of the modalities as one table (`mmfusion.preprocessing.flat.FlatTransformer`).
    cross_fit : bool
        Fit the extractor again in every inner fold. If False, the inner folds share the extractor that was
        fitted on all rows given to `fit`. That is faster, and makes the choice of the settings, but not the
        result on the outer folds, slightly optimistic.
    inner : int
        Number of inner folds.
    preset : {"demo", "full"}
        Number of settings that the inner folds try; "full" has those of the paper.
    grid : mapping, optional
        Name of a reducer or classifier -> parameter grid that replaces that of the preset, such as
        `{"pca": {"n_components": [5, 10]}}`.
    metric : {"macro_auc", "macro_f1"}
        What the inner folds maximise.
    allow_leaky : bool
        Accept inputs that determine the label, to demonstrate a leak.
    random_state : int
        Seed of the inner folds and of all estimators.

    Attributes
    ----------
    classes_ : ndarray of str, shape (2,)
        The classes; the second is the positive one.
    chosen_ : dict
        Parameters of this class that give the chosen pipeline alone: reducer, classifier, grid.
    search_ : DataFrame
        One row per setting that was tried: reducer, classifier, params, score on the inner folds.
    threshold_ : float
        Probability from which on the second class is named: the one with the highest macro-F1 on the inner
        folds.
    extractor_ : transformer
        The fitted extractor.
    pipeline_ : Pipeline
        The fitted pipeline.
    patients_ : list of str
        Hash of the id of each patient given to `fit`; `external_validation` refuses these patients.

    References
    ----------
    arXiv 2211.06620, which fits LDA before its cross-validation.

    Examples
    --------
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> cohort = radiomics_phantom(60)
    >>> model = GenotypeClassifier(["pca", "lda"], "qda", inner=3, preset="demo").fit(cohort.X, cohort.y)
    >>> sorted(model.chosen_), model.predict_proba(cohort.X[:2]).shape
    (['classifier', 'grid', 'reducer'], (2, 2))
    """

    def __init__(
        self,
        reducer: str | Sequence[str] = "pca",
        classifier: str | Sequence[str] = "svc",
        *,
        modalities: Sequence[str] = ("ct",),
        extractor: BaseEstimator | None = None,
        cross_fit: bool = True,
        inner: int = 4,
        preset: str = "full",
        grid: Mapping[str, Grid] | None = None,
        metric: str = "macro_auc",
        allow_leaky: bool = False,
        random_state: int = 0,
    ) -> None:
        self.reducer = reducer
        self.classifier = classifier
        self.modalities = modalities
        self.extractor = extractor
        self.cross_fit = cross_fit
        self.inner = inner
        self.preset = preset
        self.grid = grid
        self.metric = metric
        self.allow_leaky = allow_leaky
        self.random_state = random_state

    @property
    def short_name(self) -> str:
        """Name of the model in reports: reducer and classifier, or that the inner folds choose them."""
        names = [self.reducer, self.classifier]
        return " + ".join(name if isinstance(name, str) else "chosen" for name in names)

    def fit(self, X: pd.DataFrame, y: Sequence[object], groups: Sequence[object] | None = None) -> Self:
        """Choose reducer, classifier and settings on inner folds, and fit the pipeline on all rows.

        Parameters
        ----------
        X : DataFrame, shape (n, n_columns)
            Rows of `Cohort.X`.
        y : array-like, shape (n,)
            Status of each patient; two classes.
        groups : sequence, shape (n,), optional
            Person of each row; the rows of a person are in one inner fold. Default: each row is a person.

        Raises
        ------
        DataError
            If there are not two classes, a class has too few patients for the inner folds, the features are
            not numbers or all constant, or a parameter cannot be used.
        LeakageError
            If a column is known only with or after the label, or determines it.
        """
        self._check_params()
        check_ids(table_of(X))
        persons = persons_of(X, groups)
        codes, self.classes_ = encode_labels(X, y)
        check_classes(codes, self.classes_, persons, self.inner)
        if not self.allow_leaky:
            read = X.loc[:, X.columns.get_level_values(0).isin(list(self.modalities))]
            check_forbidden(read.columns, getattr(y, "name", None))
            assert_no_leak(read, y)
        extractor = extractor_of(self.extractor, self.modalities)
        self.extractor_ = fit_extractor(extractor, X, persons)
        features = features_of(self.extractor_, X)
        check_vary(features)
        parts = []
        task = ClassificationTask(tuple(map(str, self.classes_)))
        for train, test in task.inner_folds(X, codes, np.array(persons), self.inner, self.random_state):
            seen, unseen = features[train], features[test]
            if self.cross_fit:
                fitted = fit_extractor(extractor, X.iloc[train], [persons[k] for k in train])
                seen, unseen = (features_of(fitted, X.iloc[rows]) for rows in (train, test))
            parts.append((train, test, seen, unseen))
        found = search(self._settings(), parts, codes, metric=self.metric, seed=self.random_state)
        best = found.best
        self.search_, self.threshold_ = found.table, found.threshold
        self.chosen_ = {"reducer": best.reducer, "classifier": best.classifier, "grid": best.grid()}
        self.pipeline_ = fit_pipeline(best, features, codes, self.random_state)
        self.patients_ = sorted(hash_each_id(X.index))
        self.n_features_in_, self.feature_names_in_ = X.shape[1], X.columns
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the probability of each class, shape (n, 2); masks in X are not read."""
        check_is_fitted(self, "pipeline_")
        if not len(table_of(X)):
            return np.empty((0, 2))
        return self.pipeline_.predict_proba(features_of(self.extractor_, X))

    def decide(self, proba: np.ndarray) -> np.ndarray:
        """Return the class that is named for each row of probabilities (n, 2), shape (n,)."""
        check_is_fitted(self, "pipeline_")
        return self.classes_[(np.asarray(proba)[:, 1] >= self.threshold_).astype(int)]

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the named class of each patient, shape (n,); see `threshold_`."""
        return self.decide(self.predict_proba(X))

    @property
    def is_savable(self) -> bool:
        """True if the fitted model holds no row of a patient, and its extractor has a saved form."""
        check_is_fitted(self, "pipeline_")
        return is_savable(self.extractor_, self.pipeline_)

    def save(self, folder: str | Path, *, patient_rows: bool = False) -> Self:
        """Save everything that prediction needs to `folder`; `mmfusion.load` returns the same model.

        The support vectors of an SVC are rows of features of training patients. Without `patient_rows`, an
        SVC is a `BundleError`. So is an extractor or a parameter without a saved form.
        """
        check_is_fitted(self, "pipeline_")
        fitted = {name: getattr(self, name) for name in ("chosen_", "threshold_", "patients_")}
        fitted |= {"classes_": list(map(str, self.classes_)), "search_": self.search_.to_dict("list")}
        parts = {"extractor": self.extractor_, "pipeline": self.pipeline_, "fitted": fitted}
        return save(self, folder, **parts, patient_rows=patient_rows)

    @classmethod
    def from_bundle(cls, state: Mapping[str, object], tensors: Mapping[str, object]) -> Self:
        """Return the fitted classifier that `save` described; `mmfusion.load` calls it."""
        return restore(cls, state, cls._put)

    def _put(self, saved: dict[str, Any]) -> None:
        """Set the fitted attributes that `save` wrote, after checking them."""
        self.classes_ = np.array(list(map(str, saved["classes_"])))
        self.threshold_, self.chosen_ = float(saved["threshold_"]), dict(saved["chosen_"])
        self.patients_, self.search_ = list(map(str, saved["patients_"])), pd.DataFrame(saved["search_"])
        self.extractor_, self.pipeline_ = saved["extractor"], saved["pipeline"]
        if len(self.classes_) != 2 or list(self.pipeline_.classes_) != [0, 1]:
            raise DataError("not two classes", got=", ".join(self.classes_))
        if not 0 <= self.threshold_ <= 1:
            raise DataError("threshold out of range", expected="0 to 1", got=self.threshold_)

    def _check_params(self) -> None:
        self._settings()
        check_whole("inner", self.inner, 2)
        check_seed(self.random_state)
        if self.metric not in METRICS:
            raise unusable("metric", " or ".join(METRICS), repr(self.metric))
        if isinstance(self.modalities, str) or not len(self.modalities):
            raise unusable("modalities", "a list of modalities", repr(self.modalities))

    def _settings(self) -> list[Setting]:
        check_grid(self.grid, self.preset)
        reducers = names_of("reducer", self.reducer, REDUCERS)
        classifiers = names_of("classifier", self.classifier, CLASSIFIERS)
        return all_settings(reducers, classifiers, self.preset, self.grid)
