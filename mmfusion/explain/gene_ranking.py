"""`genes`: the genes of a fitted model, ranked, with intervals and a comparison with permuted labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import clone

from mmfusion.compute import check_jobs
from mmfusion.data.classes import encode_labels
from mmfusion.errors import DataError, check_seed, check_whole, gathered
from mmfusion.evaluation.leakage import probed
from mmfusion.explain.attributions import GeneAttribution
from mmfusion.explain.conditional import FittedModel
from mmfusion.explain.gene_attribution import gene_shap
from mmfusion.explain.permuted_labels import null_attribution
from mmfusion.metrics.intervals import bootstrap_weights
from mmfusion.storage.hashing import hash_each_id

COLUMNS = ("mean_abs_shap", "lower", "upper", "p", "q")


def genes(
    model: FittedModel,
    X: object,
    y: Sequence[object] | None = None,
    *,
    conditioning: str = "observed",
    null: tuple[pd.DataFrame, Sequence[object]] | None = None,
    n_null: int | None = None,
    n_samples: int = 50,
    n_boot: int = 1000,
    n_jobs: int = 1,
    random_state: int = 0,
) -> pd.DataFrame:
    """Rank genes by their mean |SHAP value|, with a 95 % interval, and p and q against permuted labels.

    A gene with a small q is a candidate association with the label. It is not a biomarker, and it need not be
    a cause: correlated genes share their contributions.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or StreamInputs
        Patients to explain, if possible held-out ones. Patients without genes are left out.
    y : sequence, shape (n,), optional
        Labels of `X`. They are used only for p and q, if `X` are the patients on which the model was fitted:
        `genes(model, X, y, n_null=20)` is the same as `genes(model, X, null=(X, y))`.
    conditioning : {"observed", "mean"}
        What the other modalities are: those of the patient, or the mean vectors of the background. See
        `gene_shap`.
    null : (X_train, y_train), optional
        Rows and labels on which the model was fitted. The model is fitted again on these rows with permuted
        labels. Every refit explains the same patients `X`.
    n_null : int, optional
        Number of refits, each of which takes as long as fitting the model. Default: 20 with `null`, else 0.
        With fewer than 10, no q is below 0.1; with fewer than 3, p and q are NaN.
    n_samples : int
        Number of gradients per patient and class.
    n_boot : int
        Resamples of patients for the interval.
    n_jobs : int
        Processes for the refits. The result does not depend on it.
    random_state : int
        Seed of gradients, resamples, permutations and refits.

    Returns
    -------
    DataFrame, shape (G, 6)
        One row per gene, the most important first; the index has the names of the genes too. Columns:

        - `gene`: name of the gene
        - `mean_abs_shap`: mean over patients and classes of the |SHAP value|, in units of probability
        - `lower`, `upper`: percentile interval of the bootstrap over patients, for the model as fitted; NaN
          for a single patient
        - `p`, `q`: see `compare_with_refits`; NaN without refits. q is a false discovery rate.

        `attrs["n_patients"]` and `attrs["n_null"]` are the numbers of patients explained and of refits.

    Raises
    ------
    DataError
        If the model reads no genes, no patient has them, an argument is out of range, refits are wanted
        without the training rows, or the training rows are not those of the model.

    Notes
    -----
    If settings of the model were chosen with the true labels, the refits use the chosen values, so that p and
    q are slightly too small. `benchmarks/gene_fdr.py` measures the false discovery rate.

    Examples
    --------
    >>> import mmfusion as mf
    >>> cohort, _ = mf.phantom(60, modalities=("rna",), n_genes=40, n_planted=4)
    >>> model = mf.StageClassifier(max_epochs=1, n_members=1).fit(cohort.X[:50], cohort.y[:50])
    >>> table = mf.explain.genes(model, cohort.X[50:], n_samples=5)
    >>> list(table.columns), len(table)
    (['gene', 'mean_abs_shap', 'lower', 'upper', 'p', 'q'], 40)
    """
    check_whole("n_null", 0 if n_null is None else n_null, 0)
    check_whole("n_boot", n_boot)
    check_seed(random_state)
    check_jobs(n_jobs)
    training = _pair(null) if null is not None or not n_null else _from_labels(X, y)
    n_null = (20 if training else 0) if n_null is None else n_null
    explain = partial(
        gene_shap, X=X, conditioning=conditioning, n_samples=n_samples, random_state=random_state
    )
    if n_null:
        _check_training(model, *training)
    found = explain(model)
    out = _with_interval(found, n_boot, random_state).assign(p=np.nan, q=np.nan)
    if n_null:
        refit = partial(refit_importance, model, *training, explain)
        compared = null_attribution(
            refit,
            training[1],
            found.mean_abs(),
            n_permutations=n_null,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        out[["p", "q"]] = compared[["p", "q"]]
    out.insert(0, "gene", out.index)
    out.attrs.update(n_patients=len(found.patients), n_null=n_null)
    return out.rename_axis(None)  # an index and a column of one name are ambiguous in pandas


def refit_importance(
    model: FittedModel, X: pd.DataFrame, y: pd.Series, explain: object, labels: Sequence[object], seed: int
) -> pd.Series:
    """Fit a clone of the model to permuted labels, and return the mean |contribution| of each gene.

    Parameters
    ----------
    model : fitted model
        A scikit-learn estimator; its settings are used.
    X, y : DataFrame, Series
        Rows and labels on which the model was fitted; `y` gives the kind of the labels.
    explain : callable
        `explain(model)` returns a `GeneAttribution`.
    labels : sequence, shape (n,)
        The permuted labels.
    seed : int
        Seed of the fit.
    """
    dtype = getattr(y, "dtype", None)
    permuted = pd.Series(labels, X.index, dtype=dtype, name=getattr(y, "name", None))
    with probed(), gathered():  # the rows were probed, and their warnings given, when the model was fitted
        refitted = clone(model).set_params(random_state=seed).fit(X, permuted)
        return explain(refitted).mean_abs()


def _with_interval(found: GeneAttribution, n_boot: int, seed: int) -> pd.DataFrame:
    """Return mean |SHAP| of each gene, largest first, and its interval over patients."""
    by_name = np.argsort(found.patients, kind="stable")  # so that the order of the patients does not matter
    each = np.abs(found.values).mean(axis=2)[by_name]  # (n, G)
    n, size = len(each), found.mean_abs()
    lower = upper = np.full(each.shape[1], np.nan)
    if n > 1:
        weights = bootstrap_weights(np.zeros(n, int), n_boot, seed)[:, 1:]
        lower, upper = np.quantile(weights.T @ each / n, [0.025, 0.975], axis=0)
    table = pd.DataFrame({"lower": lower, "upper": upper}, index=list(found.genes)).reindex(size.index)
    return table.assign(mean_abs_shap=size)[["mean_abs_shap", "lower", "upper"]]


def _pair(null: object) -> tuple[object, object] | None:
    if null is None or (isinstance(null, (tuple, list)) and len(null) == 2):
        return None if null is None else (null[0], null[1])
    got = f"{len(null)} objects" if isinstance(null, (tuple, list)) else type(null).__name__
    raise DataError("not rows and labels", parameter="null", expected="(X_train, y_train)", got=got)


def _from_labels(X: object, y: Sequence[object] | None) -> tuple[pd.DataFrame, Sequence[object]]:
    if y is None:
        raise DataError(
            "refits need the rows and labels on which the model was fitted",
            parameter="null",
            expected="(X_train, y_train)",
            hint="or n_null=0, which leaves p and q empty",
        )
    return X, y


def _check_training(model: FittedModel, X: object, y: Sequence[object]) -> None:
    """Raise an error if these are not the rows on which the model was fitted, or the labels do not fit."""
    if not isinstance(X, pd.DataFrame):
        got = type(X).__name__
        raise DataError("training rows are a table", parameter="null", expected="rows of Cohort.X", got=got)
    _, found = encode_labels(X, y)
    known, given = list(map(str, model.classes_)), list(map(str, found))
    if sorted(given) != sorted(known):
        raise DataError(
            "these are not the labels on which the model was fitted",
            parameter="null",
            expected=", ".join(known),
            got=", ".join(given),
        )
    fitted_on = getattr(model, "patients_", None)
    given = sorted(hash_each_id(X.index))
    if fitted_on is not None and list(fitted_on) != given:
        other = len(set(given) - set(fitted_on)), len(set(fitted_on) - set(given))
        raise DataError(
            "these are not the rows on which the model was fitted",
            parameter="null",
            expected=f"{len(fitted_on)} patients of the fit",
            got=f"{len(given)} patients: {other[0]} not in the fit, and {other[1]} of the fit are absent",
            hint="null=(X_train, y_train)",
        )
