"""Permutation test of predicted expression: the true values are exchanged between the test patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, check_seed, check_whole
from mmfusion.radiogenomics.permuted_expression import MEAN, ExpressionNull, fold_correlations


def prediction_null(
    predictions: pd.DataFrame,
    genes: Sequence[str],
    *,
    n_permutations: int = 200,
    random_state: int = 0,
) -> ExpressionNull:
    """Compare the correlations of a model with those for permuted true values; nothing is fitted again.

    The true values of all genes are exchanged between the test patients of a fold. If the expression had
    nothing to do with the scans, each order would be equally likely. It is therefore a test for any model,
    however long its training takes.

    Parameters
    ----------
    predictions : DataFrame
        Rows of one model, as in `NestedResult.predictions`: repeat, fold, patient_id, and for each gene
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
        If there are several models or none.

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
    rng = np.random.default_rng(random_state)
    folds = [
        [fold[[f"{kind}_{gene}" for gene in genes]].to_numpy(dtype=float) for kind in ("true", "pred")]
        for _, fold in predictions.groupby(["repeat", "fold"])
    ]
    rows = [fold_correlations(folds)]
    for _ in range(n_permutations):
        rows.append(fold_correlations((rng.permutation(true), pred) for true, pred in folds))
    columns = [*map(str, genes), MEAN]
    return ExpressionNull(pd.Series(rows[0], columns), pd.DataFrame(rows[1:], columns=columns))
