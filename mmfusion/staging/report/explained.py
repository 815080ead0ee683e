"""Explanations by the models of the outer folds, each on its held-out patients, and an external cohort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.bundle import load
from mmfusion.data.cohort import Cohort
from mmfusion.errors import gathered
from mmfusion.evaluation import NestedResult, external_validation
from mmfusion.evaluation.ensemble import together
from mmfusion.evaluation.external import SecondLookWarning, read_looks
from mmfusion.explain.gene_attribution import gene_shap
from mmfusion.explain.gene_ranking import refit_importance
from mmfusion.explain.modalities import ModalityAttribution, leave_one_modality_out, modality_shapley
from mmfusion.explain.permuted_labels import null_attribution
from mmfusion.explain.stability import mean_over_folds, top_k_stability
from mmfusion.metrics import fold_scores, score_table
from mmfusion.storage.atomic import cache_folder
from mmfusion.storage.hashing import hash_path, hash_text
from mmfusion.streams import GENES, StreamInputs


@dataclass(frozen=True)
class FoldGenes:
    """Attributions of genes, averaged over folds.

    Parameters
    ----------
    sizes : DataFrame
        Mean |SHAP value| over folds: index gene, largest first; one column per class; 0 if a gene was not
        selected.
    table : DataFrame
        `mean_over_folds`: mean, sd, folds.
    stability : DataFrame
        `top_k_stability`; empty if there is one fold, or there are few genes.
    n_patients : int
        Number of held-out patients that were explained.
    """

    sizes: pd.DataFrame
    table: pd.DataFrame
    stability: pd.DataFrame
    n_patients: int


@dataclass(frozen=True)
class External:
    """Result of the folds' models on an external cohort.

    Parameters
    ----------
    table : DataFrame
        Columns fold, metric, cv, external, as `figures.cv_vs_external` reads them.
    scores : DataFrame
        Scores of the mean probability of the folds' models, see `NestedResult.scores`.
    predictions : DataFrame
        The mean probabilities, as in `NestedResult.predictions`; the model is called "external".
    notes : list of str
        A line about earlier evaluations of these models on these patients, and the warnings, each once.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    predictions: pd.DataFrame
    notes: list[str]


def fold_models(result: NestedResult, cohort: Cohort) -> Iterator[tuple[object, StreamInputs]]:
    """Yield the model of each outer fold with the inputs of its held-out patients."""
    rows = result.of([result.main])
    for (repeat, fold), path in result.bundles().items():
        held_out = rows.loc[(rows["repeat"] == repeat) & (rows["fold"] == fold), "patient_id"]
        model = load(path)
        with gathered():  # `result.warnings()` has the warnings already
            inputs = model.transformer_.transform(cohort.X[cohort.X.index.astype(str).isin(held_out)])
        yield model, inputs


def fold_genes(
    result: NestedResult, cohort: Cohort, *, n_patients: int = 8, n_samples: int = 50, random_state: int = 0
) -> FoldGenes | None:
    """Return the mean |SHAP value| of genes, from each fold's model on some of its held-out patients.

    None if no model reads genes.

    Parameters
    ----------
    n_patients : int
        Number of patients per fold, chosen at random among those who have RNA.
    n_samples : int
        Number of gradients per patient and class.
    """
    rng = np.random.default_rng(random_state)
    by_class, importances, n = [], [], 0
    for model, inputs in fold_models(result, cohort):
        genes = [i for i, s in enumerate(model.transformer_.specs_) if s.fits(GENES)]
        if not genes:
            return None
        has = np.flatnonzero(inputs.present[:, genes[0]])
        chosen = np.sort(rng.permutation(has)[:n_patients])
        found = gene_shap(model, inputs.rows(chosen), n_samples=n_samples, random_state=random_state)
        by_class.append(found.table()["mean_abs"])
        importances.append(found.mean_abs())
        n += len(chosen)
    if not importances:
        return None
    every = sorted(set().union(*(s.index for s in importances)))
    sizes = sum(t.reindex(every).fillna(0.0) for t in by_class) / len(by_class)
    sizes = sizes.loc[sizes.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    stability = top_k_stability(importances) if len(importances) > 1 else pd.DataFrame()
    return FoldGenes(sizes, mean_over_folds(importances), stability, n)


def genes_against_null(
    result: NestedResult, cohort: Cohort, *, n_refits: int = 20, n_patients: int = 8, n_samples: int = 50,
    random_state: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Compare the genes of the first fold's model with those of models fitted to permuted labels.

    Parameters
    ----------
    n_refits : int
        Number of models fitted to permuted labels, with the fold's setting.
    n_patients, n_samples
        See `fold_genes`.

    Returns
    -------
    DataFrame
        See `null_attribution`.
    """
    model, inputs = next(fold_models(result, cohort))
    y = cohort.y.loc[~cohort.y.index.isin(inputs.index)]
    some = cohort.X.loc[inputs.index]
    some = some[some["rna"].notna().any(axis=1)][:n_patients]

    explain = partial(gene_shap, X=some, n_samples=n_samples, random_state=random_state)
    with gathered():  # the same warnings as in the results
        observed = explain(model).mean_abs()
    refit = partial(refit_importance, model, cohort.X.loc[y.index], y, explain)
    return null_attribution(refit, y, observed, n_permutations=n_refits, random_state=random_state)


def fold_modalities(result: NestedResult, cohort: Cohort) -> tuple[ModalityAttribution, pd.DataFrame] | None:
    """Return Shapley values of modalities of all held-out patients, and a table of each modality's effect.

    The table has the gain of each modality (`ModalityAttribution.gain`), and the macro-AUC with and without
    it (`leave_one_modality_out`). A patient who was held out in several repeats counts once, also in `n`.
    The Shapley values have a row for each time.
    """
    parts, left_out = [], []
    for (repeat, _), (model, inputs) in zip(result.bundles(), fold_models(result, cohort), strict=True):
        parts.append(modality_shapley(model, inputs))
        without = leave_one_modality_out(model, inputs, cohort.y.loc[list(inputs.index)])
        left_out.append(without.assign(repeat=repeat))
    if not parts or len({p.modalities for p in parts}) > 1:
        return None
    joined = replace(
        parts[0],
        values=np.concatenate([p.values for p in parts]),
        present=np.concatenate([p.present for p in parts]),
        output=np.concatenate([p.output for p in parts]),
        base=np.mean([p.base for p in parts], axis=0),
        patients=tuple(name for p in parts for name in p.patients),
    )
    every = pd.concat(left_out)
    table = every.groupby(level=0, sort=False)[["macro_auc", "without", "drop", "changed"]].mean()
    per_repeat = every.groupby([every.index, "repeat"])["n"].sum()  # the same patients in each repeat
    table.insert(0, "n", per_repeat.groupby(level=0).max())
    gain = joined.gain(cohort.y.loc[list(joined.patients)]).drop(columns="n")
    return joined, gain.join(table)


def fold_external(
    result: NestedResult,
    cohort: Cohort,
    metrics: Sequence[str] = ("macro_auc", "balanced_accuracy", "macro_f1"),
) -> External:
    """Judge each fold's frozen model on an external cohort; every evaluation is recorded in the cache.

    The record identifies models by their weights, and the cohort by its patients and classes. If the same
    models are fitted again, their earlier evaluations still count.
    """
    own = {m: fold_scores(result.of([result.main]), result.classes, m)[result.main] for m in metrics}
    rows, predictions, given, before = [], [], [], []
    for (repeat, fold), path in result.bundles().items():
        record = record_of_looks(path, cohort)
        before.append(read_looks(record))
        with gathered() as caught:
            found, scores = external_validation(path, cohort, again=True, record=record)
        given += [str(one) for one in caught if one.category is not SecondLookWarning]  # see looks_before
        predictions.append(found)
        rows += [
            {
                "fold": fold + 1,
                "metric": m,
                "cv": own[m][repeat, fold],
                "external": scores.loc["external", (m, "mean")],
            }
            for m in metrics
        ]
    mean = together(predictions, result.classes)
    once = {text.split(" (")[0]: text for text in given}  # numbers in brackets differ between folds
    given = [*looks_before(before), *once.values()]
    return External(pd.DataFrame(rows), score_table(mean, result.classes), mean, given)


def record_of_looks(bundle: Path, cohort: Cohort) -> Path:
    """Return the file in the cache that records each evaluation of these weights on these patients."""
    who = "\n".join(f"{patient}\t{stage}" for patient, stage in sorted(cohort.y.astype("str").items()))
    key = hash_text(f"{hash_path(bundle / 'weights.safetensors')}\n{who}")
    return cache_folder() / "external" / f"{key}.json"


def looks_before(looks: Sequence[Sequence[Mapping[str, object]]]) -> list[str]:
    """Return one line about earlier evaluations, if there were any."""
    n, days = max(map(len, looks), default=0), sorted(str(look["when"]) for fold in looks for look in fold)
    if not n:
        return []
    times = "once" if n == 1 else f"{n} times, first"
    day = f"{datetime.fromisoformat(days[0]):%Y-%m-%d %H:%M}"
    return [
        f"These models were judged on these patients before, {times} on {day} UTC: "
        "if anything was chosen because of that result, this is no longer an external validation"
    ]
