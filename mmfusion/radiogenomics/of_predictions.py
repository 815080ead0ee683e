"""Permutation test of predicted expression: the true values are exchanged between the test patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, check_seed, check_whole
from mmfusion.metrics.judged import overlap_factor
from mmfusion.radiogenomics.permuted_expression import MEAN, ExpressionNull, fold_correlations


def prediction_null(
    predictions: pd.DataFrame,
    genes: Sequence[str],
    *,
    n_permutations: int = 200,
    random_state: int = 0,
) -> ExpressionNull:
    """Compare the correlations of a model with those for permuted true values; nothing is fitted again.

    The true values of all genes are exchanged between the test patients of a fold. This suits models whose
    training takes long. In a cross-validation, the models of the other folds were trained on these values, so
    that such a null is too narrow. Its distances to its mean are therefore multiplied by `Judged.overlap`
    (1.7 for two folds, 1.5 for five; see `benchmarks/intervals.py`). If the model can be refitted,
    `expression_null` is the better test.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one model, as in `NestedResult.predictions`: repeat (one), fold, patient_id, and for each gene
        `true_<gene>` and `pred_<gene>`.
    genes : sequence of str
        Names of the genes.
    n_permutations : int
        Number of permutations.
    random_state : int
        Seed of the permutations.

    Raises
    ------
    DataError
        If there are several models or none, or several repeats.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": list("abcdef")})
    >>> table["true_EGFR"] = table["pred_EGFR"] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    >>> found = prediction_null(table, ["EGFR"], n_permutations=19)
    >>> found.table().loc["EGFR", ["pearson", "p"]].tolist()
    [1.0, 0.05]
    """
    check_whole("n_permutations", n_permutations)
    check_seed(random_state)
    names = predictions["model"].unique()
    if len(names) != 1:
        raise DataError("not the predictions of one model", parameter="predictions", got=", ".join(names))
    if predictions["repeat"].nunique() != 1:
        raise DataError(
            "not the predictions of one repeat",
            parameter="predictions",
            got=f"{predictions['repeat'].nunique()} repeats",
            hint="each repeat would be exchanged in another way: give one of them",
        )
    rng = np.random.default_rng(random_state)
    folds = [
        [fold[[f"{kind}_{gene}" for gene in genes]].to_numpy(dtype=float) for kind in ("true", "pred")]
        for _, fold in predictions.groupby(["repeat", "fold"])
    ]
    rows = [fold_correlations(folds)]
    for _ in range(n_permutations):
        rows.append(fold_correlations((rng.permutation(true), pred) for true, pred in folds))
    columns = [*map(str, genes), MEAN]
    null = pd.DataFrame(rows[1:], columns=columns)
    null = null.mean() + overlap_factor(predictions) * (null - null.mean())
    return ExpressionNull(pd.Series(rows[0], columns), null)
