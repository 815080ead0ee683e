"""Sentences about a genotype or expression that was predicted, and what stands beside the result."""

from __future__ import annotations

import pandas as pd

from mmfusion.evaluation.leakage import demo_gaps
from mmfusion.evaluation.result import NestedResult
from mmfusion.metrics import widened_score
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.written import signed_text, unbroken, value_text
from mmfusion.radiogenomics.permuted_expression import MEAN
from mmfusion.radiogenomics.report.study import CLINICAL, REFERENCE, Study

METRICS = ("macro_auc", "macro_f1", "balanced_accuracy", "brier")
CORRELATIONS = ("pearson", "spearman", "concordance")
_SMALL = 30  # patients of a class
_TRAINED = "A RA-Seg is trained in each fold on the scans and masks of its training patients, without labels."
_READ = {
    "radiomics": "",
    "deep": f"The features are deep features of a segmenter. {_TRAINED}",
    "both": f"The features are radiomics together with deep features of a segmenter. {_TRAINED}",
}


def reference_of(result: NestedResult) -> str | None:
    """Return the clinical model to compare with: all records before surgery, or else the first; or None."""
    clinical = [name for name in result.models if name.startswith(CLINICAL)]
    return REFERENCE if REFERENCE in clinical else next(iter(clinical), None)


def verdict(
    result: NestedResult,
    permuted: pd.DataFrame | None = None,
    leak: pd.DataFrame | None = None,
    best_possible: float | None = None,
) -> list[str]:
    """Return the sentences at the top of the report; the first is the answer.

    Parameters
    ----------
    result : NestedResult
        Cross-validation whose main model chooses its steps by inner folds.
    permuted : DataFrame, optional
        Runs of the main model on permuted labels (`permuted_runs`).
    leak : DataFrame, optional
        Rows of `lda_demo` on the same cohort.
    best_possible : float, optional
        Best possible AUC, if it is known.
    """
    auc = result.scores["macro_auc"]
    main = auc.loc[result.main]
    lines = [f"AUC {value_text(main)} for {result.target} from features of scans (n = {result.n}): "
             f"{_against_clinical(result)}."]  # fmt: skip
    wide = widened_score(main, result.predictions)
    if wide["lo"] <= 0.5 <= wide["hi"]:
        lines.append(
            f"Widened for overlapping training sets, the interval is [{wide['lo']:.3f}, {wide['hi']:.3f}]. "
            "It includes 0.5: the features are not shown to be better than chance."
        )
    clinical = [name for name in result.models if name.startswith(CLINICAL)]
    lines += [f"{_capital(name)} has an AUC of {value_text(auc.loc[name])}." for name in clinical]
    if permuted is not None:
        lines.append(permuted_sentence(permuted, float(main["mean"])))
    if leak is not None:
        lines.append(leak_sentence(leak))
    if best_possible is not None:
        says = "includes" if main["lo"] <= best_possible <= main["hi"] else "does not include"
        lines.append(f"The best possible AUC of the features of this synthetic cohort is {best_possible:.3f}."
                     f" The interval {says} it.")  # fmt: skip
    return lines


def permuted_sentence(permuted: pd.DataFrame, observed: float) -> str:
    """Return a sentence about the same model on permuted labels.

    Examples
    --------
    >>> runs = pd.DataFrame({"mean": [0.45, 0.5, 0.55]})
    >>> permuted_sentence(runs, 0.7)
    'On 3 permutations of the labels, the same model has AUCs of 0.450 to 0.550 (mean 0.500). None reaches
    0.700.'
    """
    means, n = permuted["mean"], len(permuted)
    if n == 1:
        return f"On one permutation of the labels, the same model has an AUC of {means.iloc[0]:.3f}."
    above = int((means >= observed).sum())
    some = "None reaches" if not above else f"{above} of them reach{'es' if above == 1 else ''}"
    return (
        f"On {n} permutations of the labels, the same model has AUCs of {means.min():.3f} to "
        f"{means.max():.3f} (mean {means.mean():.3f}). {some} {observed:.3f}."
    )


def leak_sentence(leak: pd.DataFrame) -> str:
    """Return a sentence about LDA that is fitted before the folds, on true and on random labels."""
    gaps = demo_gaps(leak).xs("auc", level="metric")
    parts = [f"{row['leaky']:.3f} on {name}, against {row['honest']:.3f} inside the folds"
             for (_, name), row in gaps.iterrows()]  # fmt: skip
    return (
        f"LDA that is fitted before the folds gives an AUC of {'; '.join(parts)}. It is a leak, not a result."
    )


def protocol(study: Study, result: NestedResult) -> list[str]:
    """Return sentences that tell who was judged, and how."""
    counts = study.cohort.y.value_counts()
    settings = result.settings
    repeated = f", drawn {settings['repeats']} times" if settings["repeats"] > 1 else ""
    lines = [
        f"{result.n} patients: " + ", ".join(f"{n} {name}" for name, n in counts.items()) + ".",
        study.left_out,
        _READ[study.features],
        f"{settings['outer']} outer folds{repeated}. Extraction, scaling, reduction, "
        "classification and the threshold are fitted and chosen on training patients only.",
        f"The answer is the AUC of the model that chooses its reducer and classifier by inner folds, "
        f"{result.main!r}. The single combinations are shown for comparison: the best of them was found on "
        "the test patients, so that its AUC is too high.",
    ]
    return [line for line in lines if line]


def caveats(study: Study, result: NestedResult) -> list[str]:
    """Return limits of the cohort and of the result."""
    notes = [str(note) for note in study.cohort.notes]
    counts = study.cohort.y.value_counts()
    notes += [f"only {n} patients are {name}: intervals are wide" for name, n in counts.items() if n < _SMALL]
    if result.settings.get("repeats") == 1:
        notes.append("the folds were drawn once: with other folds every number would differ a little")
    notes.append("the intervals are over patients; they do not count that other training patients would give "
                 "another model")  # fmt: skip
    notes.append("a predicted expression of EGFR is not its mutation status")
    return list(dict.fromkeys(note[:1].upper() + note[1:].rstrip(".") + "." for note in notes))


def with_intervals(scores: pd.DataFrame, metrics: tuple[str, ...] = METRICS) -> pd.DataFrame:
    """Return scores as text such as "0.712 [0.650, 0.770]", the best first, or as "not estimable"."""
    order = scores.sort_values((metrics[0], "mean"), ascending=False, kind="stable")
    cells = {metric_title(m): [unbroken(value_text(row)) for _, row in order[m].iterrows()] for m in metrics}
    return pd.DataFrame(cells, order.index)


def within_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the output of `study.within` as a table for the page, one row per group.

    The column "positive" shows why a group has no AUC. An AUC of few patients of a class is called uncertain.
    """
    table = table.assign(text=[_within_text(row) for _, row in table.iterrows()])
    wide = table.pivot(index=["group", "n", "positive"], columns="model", values="text")
    wide = wide[list(dict.fromkeys(table["model"]))].reset_index()
    return wide.sort_values("n", ascending=False, kind="stable").set_index("group").rename_axis(columns=None)


def _within_text(row: pd.Series) -> str:
    text = unbroken(value_text(row))
    return f"{text}; {row['said']}" if row["said"] and row["mean"] == row["mean"] else text


def expression_verdict(result: NestedResult, null: pd.DataFrame, best_possible: float | None) -> list[str]:
    """Return sentences about the expression of a panel: correlations, the null, and the clinical ridges.

    Parameters
    ----------
    result : NestedResult
        Cross-validation of the expression.
    null : DataFrame
        `ExpressionNull.table()`.
    best_possible : float, optional
        Mean of the best possible correlations of the panel, if it is known.
    """
    r, row = result.scores["pearson"], null.loc[MEAN]
    genes = null.drop(index=MEAN)
    found, unknown = genes.index[genes["p"] < 0.05], list(genes.index[genes["p"].isna()])
    lines = [
        f"Mean Pearson correlation of {len(genes)} genes from features of scans: "
        f"{value_text(r.loc[result.main])} (n = {result.n}, permutation p = {row['p']:.3f}).",
        f"The 95th percentile of the permutations is {row['null_95']:.3f}. Genes with p < 0.05, without a "
        f"correction for their number: {', '.join(found) or 'none'}.",
    ]
    if unknown:
        lines.append(f"Not estimable (expression or prediction does not vary): {', '.join(unknown)}.")
    lines += [
        f"{_capital(name)} has {value_text(r.loc[name])}." for name in r.index if name.startswith(CLINICAL)
    ]
    if best_possible is not None:
        lines.append(f"The best possible mean correlation of this synthetic panel is {best_possible:.3f}.")
    return lines


def _against_clinical(result: NestedResult) -> str:
    reference = reference_of(result)
    if reference is None:
        return "there are no health records to compare with"
    row = result.paired(reference).loc[result.main]
    says = "better than" if row["lo"] > 0 else "worse than" if row["hi"] < 0 else "not shown to differ from"
    return f"{says} {reference} ({signed_text(row)})"


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
