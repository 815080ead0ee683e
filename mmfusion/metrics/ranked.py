"""Wilcoxon's signed-rank test of a score per patient: several models against one, with Holm's adjustment."""

from __future__ import annotations

import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.checks import check_table
from mmfusion.metrics.paired import same_rows
from mmfusion.metrics.significance import holm, wilcoxon


def wilcoxon_table(predictions: pd.DataFrame, reference: str, metric: str = "dice") -> pd.DataFrame:
    """Compare a score of every model with `reference`, paired over patients, by Wilcoxon's signed-rank test.

    The score of a person is the mean over all rows of the person, repeats included. A person for whom one of
    the two models has no value, such as a surface distance to an empty mask, is left out of the comparison.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id), with the column `metric`. The optional column `person`
        says which patient ids belong to the same person.
    reference : str
        Model that the others are compared with.
    metric : str
        A score per patient, such as "dice" or "fp_ml".

    Returns
    -------
    DataFrame
        Index model. Columns median_diff (median over persons of model minus reference), n (persons),
        higher and lower (number of persons for whom the model has the higher or the lower value), p, and
        p_holm, which is adjusted over the rows.

    Raises
    ------
    DataError
        If a column is missing, if there is no model `reference`, if the models have different patients or
        folds, or if no person has a value of both models.

    References
    ----------
    Wilcoxon 1945, Biometrics Bulletin 1(6). Holm 1979, Scandinavian Journal of Statistics 6(2).

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": list("abcdef")})
    >>> old = table.assign(model="old", dice=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    >>> new = old.assign(model="new", dice=old["dice"] + [0.1, 0.2, 0.1, 0.3, 0.2, 0.1])
    >>> float(wilcoxon_table(pd.concat([old, new]), "old").loc["new", "p_holm"])
    0.03125
    """
    check_table(predictions, [metric])
    if reference not in set(predictions["model"]):
        expected = ", ".join(map(str, predictions["model"].unique()))
        raise DataError(f"no predictions of {reference!r}", expected=expected)
    table = same_rows(predictions)
    person = table["person"] if "person" in table else table["patient_id"]
    values = table.groupby([person.rename("person"), "model"], sort=False)[metric].mean().unstack("model")
    rows = {}
    for model in values.columns.drop(reference):
        both = values[[model, reference]].dropna()
        if both.empty:
            raise DataError(f"no patient has {metric} of both {model!r} and {reference!r}", column=metric)
        test = wilcoxon(both[model], both[reference])
        difference = both[model] - both[reference]
        counts = {"higher": int((difference > 0).sum()), "lower": int((difference < 0).sum())}
        rows[model] = {"median_diff": test["median_diff"], "n": test["n"], **counts, "p": test["p"]}
    found = pd.DataFrame.from_dict(
        rows, orient="index", columns=["median_diff", "n", "higher", "lower", "p"]
    ).rename_axis("model")
    return found.assign(p_holm=holm(found["p"]))
