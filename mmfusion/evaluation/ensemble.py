"""The models of the outer folds as one predictor for new patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.result import NestedResult
from mmfusion.storage.hashing import hash_each_id

if TYPE_CHECKING:
    from mmfusion.staging.prediction import StagePrediction

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class FoldEnsemble:
    """Mean of the models that a nested cross-validation fitted in its outer folds.

    Each patient of the cross-validation is a training patient of most of these models. The ensemble
    therefore predicts new patients only, and its own performance is not that of the cross-validation: judge
    it on another cohort.

    Parameters
    ----------
    models : sequence of estimators
        Fitted classifiers with the same classes and with `patients_`, the hashes of their training patients.
    classes_ : ndarray of str, shape (K,)
        Classes in order of severity.

    Raises
    ------
    DataError
        If there is no model, or one has other classes.

    Examples
    --------
    >>> from types import SimpleNamespace as Model
    >>> X = pd.DataFrame({"age": [61.0]}, index=["p9"])
    >>> parts = [Model(predict_proba=lambda X, p=p: np.array([[p, 1 - p]]), patients_=[],
    ...                predict=lambda X: np.array(["I"]), classes_=["I", "II"]) for p in (0.5, 0.75)]
    >>> FoldEnsemble(parts, np.array(["I", "II"])).predict_proba(X).tolist()
    [[0.625, 0.375]]
    """

    models: Sequence[object]
    classes_: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.models):
            raise DataError("no models", parameter="models", expected="one fitted model or more", got="none")
        own = list(map(str, self.classes_))
        for model in self.models:
            if (found := list(map(str, getattr(model, "classes_", own)))) != own:
                problem = "a model with other classes"
                raise DataError(problem, parameter="models", expected=", ".join(own), got=", ".join(found))

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the mean probability of each class over the models, shape (n, K).

        Raises
        ------
        LeakageError
            If one of the models was fitted on a patient of `X`.
        """
        self._check_new(X)
        return np.mean([model.predict_proba(X) for model in self.models], axis=0)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the class that most models decide on, shape (n,); with equal votes, the more probable one.

        Raises
        ------
        LeakageError
            If one of the models was fitted on a patient of `X`.
        """
        decided = np.stack([np.asarray(model.predict(X)).astype(str) for model in self.models])
        return np.asarray(self.classes_)[vote(decided, self.predict_proba(X), self.classes_)]

    def predict_patient(self, *args: object, **options: object) -> StagePrediction:
        """Stage one new patient; the parameters are those of `StageClassifier.predict_patient`.

        Probabilities and training shares are means over the models. The stage is the one that most models
        name, and SHAP values are means over the models that name it. A stage is in `stage_set` if it is in
        the set of more than half of the models. The true stage can be missing from such a set up to twice as
        often as from the set of one model. The stated coverage is therefore lower: 0.8 if the sets of the
        models have 0.9, which is measured and not guaranteed (`StageSets`). The set is empty, and without a
        coverage, if a model has none.

        Raises
        ------
        LeakageError
            If one of the models was fitted on the patient.

        References
        ----------
        Gasparin and Ramdas 2024, "Merging uncertainty sets via majority vote", arXiv 2401.09379.
        """
        found = [model.predict_patient(*args, **options) for model in self.models]
        self._check_new(pd.DataFrame(index=[found[0].patient]))
        names = [str(c) for c in self.classes_]
        proba = np.mean([[one.probabilities[c] for c in names] for one in found], axis=0)
        shares = np.mean([[one.shares[c] for c in names] for one in found], axis=0)
        stage = names[vote(np.array([[one.stage] for one in found]), proba[None], names)[0]]
        coverage = found[0].coverage
        every = coverage is not None and all(one.coverage == coverage for one in found)
        inside = [c for c in names if every and 2 * sum(c in one.stage_set for one in found) > len(found)]
        return replace(
            found[0],
            stage=stage,
            probabilities=dict(zip(names, map(float, proba), strict=True)),
            shares=dict(zip(names, map(float, shares), strict=True)),
            top_genes=_mean_genes(found, stage),
            warnings=tuple(dict.fromkeys(note for one in found for note in one.warnings)),
            decision=f"The stage that most of the {len(found)} models name.",
            stage_set=tuple(inside),
            coverage=round(1 - 2 * (1 - coverage), 10) if every else None,
        )

    def _check_new(self, X: pd.DataFrame) -> None:
        if not isinstance(X, pd.DataFrame):
            raise DataError("X is not a cohort's frame", expected="rows of cohort.X", got=type(X).__name__)
        known = {one for model in self.models for one in model.patients_}
        seen = [str(p) for p, one in zip(X.index, hash_each_id(X.index)) if one in known]
        if seen:
            raise LeakageError(
                f"models of the folds were fitted on {len(seen)} of these {len(X)} patients",
                patient=", ".join(seen[:_SHOWN]),
                hint="the ensemble is for new patients; for these, use the out-of-fold predictions",
            )


def fold_ensemble(result: NestedResult, model: str | None = None) -> FoldEnsemble:
    """Return the saved models of the outer folds as one predictor for new patients.

    Parameters
    ----------
    result : NestedResult
        Result of `nested_cv(..., out=folder)`, so that the models of the folds were saved.
    model : str, optional
        Name of the model; it was saved if it is the main model or was given in `keep`. Default: the main one.

    Raises
    ------
    DataError
        If no model of the folds was saved, or the models have other classes.

    Examples
    --------
    >>> ensemble = fold_ensemble(result)  # doctest: +SKIP
    >>> ensemble.predict_proba(new_patients.X).shape  # doctest: +SKIP
    (40, 3)
    """
    from mmfusion.bundle import load

    name = model or result.main
    folders: list[Path] = list(result.bundles(name).values())
    if not folders:
        raise DataError(
            f"no saved models of {name!r}", hint="nested_cv(..., out=folder) saves them; see also keep="
        )
    models = [load(folder) for folder in folders]
    found = {tuple(map(str, one.classes_)) for one in models}
    if len(found) > 1:
        got = "; ".join(", ".join(one) for one in sorted(found))
        raise DataError("the models of the folds do not have the same classes", got=got)
    return FoldEnsemble(models, np.array(found.pop()))


def _mean_genes(found: Sequence[StagePrediction], stage: str) -> tuple[tuple[str, float], ...]:
    """Return the genes with the largest mean SHAP value over the models that name the stage.

    A gene that a model does not list counts as 0 there.
    """
    lists = [dict(one.top_genes) for one in found if one.stage == stage]
    mean = {g: sum(one.get(g, 0.0) for one in lists) / len(lists) for one in lists for g in one}
    top = sorted(mean.items(), key=lambda item: -abs(item[1]))
    return tuple(top[: max(map(len, lists))])


def vote(decided: np.ndarray, mean: np.ndarray, classes: Sequence[object]) -> np.ndarray:
    """Return the position of the class with the most votes; with equal votes, of the more probable one.

    Parameters
    ----------
    decided : ndarray of str, shape (n_models, n)
        Class that each model decided on.
    mean : ndarray, shape (n, K)
        Mean probabilities.
    classes : sequence, shape (K,)
        Classes.

    Examples
    --------
    >>> vote(np.array([["I"], ["II"]]), np.array([[0.4, 0.6]]), ["I", "II"]).tolist()
    [1]
    """
    votes = (decided[:, :, None] == np.array(classes).astype(str)).sum(axis=0)
    return (votes + 0.999 * mean).argmax(axis=1)


def together(predictions: Sequence[pd.DataFrame], classes: Sequence[str]) -> pd.DataFrame:
    """Return one table of the mean probabilities of several models, with the class that most decided on.

    Parameters
    ----------
    predictions : sequence of DataFrame
        Predictions of each model for the same patients, with `y_pred` and `p_<class>`.
    classes : sequence of str
        Classes.

    Examples
    --------
    >>> one = pd.DataFrame({"patient_id": ["p1"], "y_pred": ["I"], "p_I": [1.0], "p_II": [0.0]})
    >>> other = one.assign(y_pred="II", p_I=0.25, p_II=0.75)
    >>> together([one, other], ["I", "II"]).to_dict("records")
    [{'patient_id': 'p1', 'y_pred': 'I', 'p_I': 0.625, 'p_II': 0.375}]
    """
    columns = [f"p_{c}" for c in classes]
    mean = np.mean([p[columns].to_numpy() for p in predictions], axis=0)
    decided = np.stack([p["y_pred"].to_numpy().astype(str) for p in predictions])
    named = [classes[k] for k in vote(decided, mean, classes)]
    return predictions[0].assign(**dict(zip(columns, mean.T, strict=True)), y_pred=named)
