"""ExpressionSegmenter: a LesionSegmenter whose target is expression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mmfusion.errors import DataError
from mmfusion.lesions.segmenter import LesionSegmenter
from mmfusion.lesions.tables import table_of


class ExpressionSegmenter(LesionSegmenter):
    """Predict the expression of a panel of genes from scans; masks are a second task.

    A `LesionSegmenter` for cohorts whose target is expression, such as `cohort.with_target("expression")`:
    `fit(X, y)` gets the expression as `y`, and `predict(X)` returns it. The masks of the training patients
    are in the column `mask` of X. With `options={"tasks": ("expression",)}` the network learns expression
    alone, and masks only show where the lesions of the training patients are.

    Parameters
    ----------
    network : str
        A registered network that predicts expression.
    preset : str
        As for `LesionSegmenter`.
    **params
        All other parameters of `LesionSegmenter`.

    Attributes
    ----------
    panel_ : GenePanel
        Genes that were learned, with the statistics of the training values.

    Examples
    --------
    >>> model = ExpressionSegmenter(max_epochs=5, balance="dwa")
    >>> model.network, model.get_params()["balance"]
    ('cspat', 'dwa')
    """

    def __init__(self, network: str = "cspat", preset: str = "demo", **params: object) -> None:
        super().__init__(network, preset, **params)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """Return the names of the parameters; scikit-learn cannot read them from `**params`."""
        return LesionSegmenter._get_param_names()

    def fit(
        self,
        X: pd.DataFrame,
        y: pd.DataFrame,
        groups: Sequence[object] | None = None,
        *,
        checkpoint: str | Path | None = None,
    ) -> Self:
        """Train the network on the scans, the expression and the masks of these patients.

        Parameters
        ----------
        X : DataFrame, shape (n, n_columns)
            Rows of `Cohort.X`.
        y : DataFrame, shape (n, P)
            Expression, one column per gene; NaN where it is not known.
        groups, checkpoint
            As for `LesionSegmenter.fit`.

        Raises
        ------
        DataError, ScanError
            As `LesionSegmenter.fit`.
        """
        return super().fit(X, None, groups, expression=_table(y, table_of(X)), checkpoint=checkpoint)

    def segmenter(self) -> LesionSegmenter:
        """Return the same fitted network as a `LesionSegmenter`, whose `predict` returns masks.

        Examples
        --------
        >>> ExpressionSegmenter(max_epochs=5).segmenter().max_epochs
        5
        """
        model = LesionSegmenter(**self.get_params(deep=False))
        vars(model).update(vars(self))
        return model

    def check_rows(self, X: pd.DataFrame) -> None:
        """Accept all rows: a patient without a scan gets the training mean."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the expression in the unit and order of `y`, float64, shape (n, P).

        Genes that were not learned, and patients without a scan, get the training mean. Masks in X are not
        read.

        Raises
        ------
        DataError
            If a gene has no training value at all.
        ScanError
            If a scan cannot be read.
        """
        check_is_fitted(self, "module_")
        lacking = np.array([bool(self.reader.lacking(row)) for _, row in table_of(X).iterrows()], dtype=bool)
        known = self.predict_expression(X[~lacking])
        found = pd.DataFrame(np.nan, index=X.index, columns=known.columns)
        found.iloc[~lacking] = known.to_numpy()
        return self.panel_.completed(found).to_numpy()


def _table(y: object, X: pd.DataFrame) -> pd.DataFrame:
    if isinstance(y, pd.Series):
        y = y.to_frame()
    if not isinstance(y, pd.DataFrame):
        expected = "a DataFrame with a column per gene"
        raise DataError("not a table of expression", parameter="y", expected=expected, got=type(y).__name__)
    if not y.index.equals(X.index):
        raise DataError("the expression is of other patients than the scans",
                        expected=f"{len(X)} rows with the index of X", got=f"{len(y)} rows",
                        hint="y.reindex(X.index)")  # fmt: skip
    return y
