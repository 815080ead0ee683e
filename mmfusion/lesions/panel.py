"""Expression of a panel of genes as labels of a segmenter: alignment with the patients, and z-scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, warn

_MOST_MISSING = 0.2  # share of the training patients with expression who may lack a gene
_FEWEST = 2  # patients with expression


class PanelWarning(UserWarning):
    """Warning that genes of a panel are not learned, because they do not vary or too few patients have them.

    Examples
    --------
    >>> issubclass(PanelWarning, UserWarning)
    True
    """


@dataclass(frozen=True)
class GenePanel:
    """Genes that a network learns to predict, with their mean and standard deviation in the training rows.

    A gene is left out if it does not vary, or if more than 20 % of the training patients with expression lack
    it.

    Parameters
    ----------
    columns : tuple of str
        All genes that were given, in their order.
    mean : mapping of str to float
        Gene -> mean of its known training values; genes without any are absent.
    sd : mapping of str to float
        Gene -> standard deviation, above 0; only genes that are learned.

    Examples
    --------
    >>> table = pd.DataFrame({"EGFR": [1.0, 3.0, np.nan], "MET": [5.0, 9.0, np.nan]})
    >>> panel = GenePanel.fit(table)
    >>> panel.genes, panel.mean["EGFR"], panel.sd["MET"]
    (('EGFR', 'MET'), 2.0, 2.0)
    >>> panel.scaled(table).tolist()
    [[-1.0, -1.0], [1.0, 1.0], [nan, nan]]
    >>> panel.restored(np.array([1.0, -1.0])).tolist()
    [3.0, 5.0]
    """

    columns: tuple[str, ...]
    mean: Mapping[str, float]
    sd: Mapping[str, float]

    @property
    def genes(self) -> tuple[str, ...]:
        """Genes that are learned, in the order of the network's output."""
        return tuple(self.sd)

    @classmethod
    def fit(cls, table: pd.DataFrame) -> GenePanel:
        """Choose the genes, and compute their statistics.

        Parameters
        ----------
        table : DataFrame, shape (n, P)
            Expression of the training patients; NaN where it is not known.

        Raises
        ------
        DataError
            If fewer than two patients have expression, or no gene can be learned.

        Warns
        -----
        PanelWarning
            If genes are left out.
        """
        some = table[table.notna().any(axis=1)]
        if len(some) < _FEWEST:
            raise DataError(
                "too few patients with expression",
                expected=f"{_FEWEST} or more",
                got=f"{len(some)} of {len(table)} training patients",
            )
        missing, mean, sd = some.isna().mean(), some.mean(), some.std(ddof=0)
        learned = [gene for gene in table if missing[gene] <= _MOST_MISSING and sd[gene] > 0]
        if dropped := [gene for gene in table if gene not in learned]:
            text = ", ".join(f"{gene} ({missing[gene]:.0%} missing)" for gene in dropped)
            warn(
                f"genes are not learned if they do not vary or too many training patients lack them: {text}",
                PanelWarning,
                stacklevel=3,
            )
        if not learned:
            raise DataError("no gene can be learned", expected="values that vary in 80 % of the patients",
                            got=", ".join(map(str, dropped)))  # fmt: skip
        known = {str(gene): float(value) for gene, value in mean.items() if np.isfinite(value)}
        return cls(tuple(map(str, table)), known, {str(gene): float(sd[gene]) for gene in learned})

    def scaled(self, table: pd.DataFrame) -> np.ndarray:
        """Return z-scores of the learned genes, float32, shape (n, genes); NaN for what is missing."""
        values = table.reindex(columns=list(self.genes)).to_numpy(dtype=float)
        return ((values - self._means()) / np.array(list(self.sd.values()))).astype(np.float32)

    def restored(self, scaled: np.ndarray) -> np.ndarray:
        """Return z-scores in the unit of the training values, float64, shape (..., genes)."""
        return np.asarray(scaled, dtype=float) * np.array(list(self.sd.values())) + self._means()

    def completed(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a value for each gene that was given: the prediction, or else the training mean.

        Raises
        ------
        DataError
            If a gene has no training value at all.
        """
        if empty := [gene for gene in self.columns if gene not in self.mean]:
            raise DataError("a gene has no known value among the training rows", column=", ".join(empty))
        return table.reindex(columns=list(self.columns)).fillna(dict(self.mean))

    def _means(self) -> np.ndarray:
        return np.array([self.mean[gene] for gene in self.genes])

    def to_dict(self) -> dict[str, object]:
        """Return the panel in a form that JSON can hold."""
        return {"columns": list(self.columns), "mean": dict(self.mean), "sd": dict(self.sd)}

    @classmethod
    def from_dict(cls, state: Mapping[str, object]) -> Self:
        """Return the panel that `to_dict` described."""
        mean, sd = ({str(k): float(v) for k, v in state[name].items()} for name in ("mean", "sd"))
        return cls(tuple(map(str, state["columns"])), mean, sd)


def expression_table(expression: object, X: pd.DataFrame) -> pd.DataFrame:
    """Return the expression of the patients of X, one row each; NaN for patients without a row.

    Rows of other patients are ignored.

    Raises
    ------
    DataError
        If it is not a table of numbers with one row per patient and one column per gene, or has no patient of
        X.

    Examples
    --------
    >>> X = pd.DataFrame(index=["P1", "P2"])
    >>> expression_table(pd.DataFrame({"EGFR": [2.0, 3.0]}, index=["P2", "P9"]), X)["EGFR"].tolist()
    [nan, 2.0]
    """
    if not isinstance(expression, pd.DataFrame):
        raise DataError("not a table of expression", parameter="expression", got=type(expression).__name__,
                        expected="a DataFrame with a row per patient and a column per gene")  # fmt: skip
    for axis, name in ((expression.index, "patient"), (expression.columns, "gene")):
        if axis.has_duplicates:
            twice = ", ".join(map(str, axis[axis.duplicated()].unique()[:5]))
            raise DataError(f"two values of one {name}", parameter="expression", got=twice)
    if not expression.index.isin(X.index).any():
        raise DataError("no patient of X has a row", parameter="expression",
                        expected=f"ids such as {X.index[0]}", got=list(expression.index[:3]),
                        hint="the index is the patient id")  # fmt: skip
    rows = expression.reindex(X.index)
    try:
        rows = rows.astype(float)
    except (TypeError, ValueError) as error:
        raise DataError("expression that is not a number", parameter="expression", got=str(error)) from error
    if (infinite := np.isinf(rows)).any(axis=None):
        patient, gene = infinite.stack().idxmax()
        raise DataError("expression that is not finite", patient=patient, column=gene,
                        hint="use NaN for a value that is not known")  # fmt: skip
    return rows
