"""`GeneAttribution`: contributions of genes to predictions, with summaries over patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.errors import DataError


@dataclass(frozen=True, repr=False)
class GeneAttribution:
    """Signed contribution of each gene to the probability of each class, per patient.

    Parameters
    ----------
    values : ndarray, shape (n, G, K)
        Contributions to the probability of n patients, G genes and K classes. Their sum over genes is about
        `output - base`.
    expression : ndarray, shape (n, G)
        Gene expression that the model read, as z-scores.
    output : ndarray, shape (n, K)
        Probabilities with the patient's genes.
    base : ndarray, shape (n, K)
        Mean of the probabilities over the genes of the background.
    patients, genes, classes : tuple of str
        Names along the axes: n patients, G genes, K classes. Patients without gene expression are left out.

    Examples
    --------
    >>> values = np.array([[[0.1], [0.0]], [[-0.3], [0.0]]])
    >>> expression, base = np.array([[1.0, 0.0], [-3.0, 0.0]]), np.full((2, 1), 0.5)
    >>> output = base + values.sum(axis=1)
    >>> found = GeneAttribution(values, expression, output, base, ("P1", "P2"), ("EGFR", "KRAS"), ("I",))
    >>> found.mean_abs().to_dict()
    {'EGFR': 0.2, 'KRAS': 0.0}
    """

    values: np.ndarray
    expression: np.ndarray
    output: np.ndarray
    base: np.ndarray
    patients: tuple[str, ...]
    genes: tuple[str, ...]
    classes: tuple[str, ...]

    def values_of(self, class_: str) -> pd.DataFrame:
        """Return the contributions to one class: one row per patient, one column per gene.

        Raises
        ------
        DataError
            If there is no such class.
        """
        if class_ not in self.classes:
            raise DataError(f"no attribution to class {class_!r}", expected=", ".join(self.classes))
        k = self.classes.index(class_)
        return pd.DataFrame(self.values[:, :, k], pd.Index(self.patients, name="patient_id"), self.genes)

    def mean_abs(self, class_: str | None = None) -> pd.Series:
        """Return the mean absolute contribution of each gene over patients, largest first.

        Parameters
        ----------
        class_ : str, optional
            Class whose probability is explained. Default: mean over all classes.
        """
        size = (
            np.abs(self.values).mean(axis=0)
            if class_ is None
            else self.values_of(class_).abs().to_numpy().mean(axis=0)
        )
        size = size.mean(axis=1) if class_ is None else size
        return pd.Series(size, index=pd.Index(self.genes, name="gene"), name="mean_abs").sort_values(
            ascending=False, kind="stable"
        )

    def table(self) -> pd.DataFrame:
        """Return size and direction of the contributions: one row per gene, largest first.

        Columns are ("mean_abs", class) and ("direction", class). The direction is the correlation between the
        gene's expression and its contribution over patients. It is near +1 if higher expression raises the
        probability of the class, and NaN if expression or contribution does not vary.
        """
        size = pd.DataFrame(np.abs(self.values).mean(axis=0), self.genes, self.classes)
        x = self.expression[:, :, None] - self.expression.mean(axis=0)[:, None]
        v = self.values - self.values.mean(axis=0)
        scale = np.sqrt((x**2).sum(axis=0) * (v**2).sum(axis=0))
        r = np.divide((x * v).sum(axis=0), scale, out=np.full(scale.shape, np.nan), where=scale > 1e-12)
        direction = pd.DataFrame(r, self.genes, self.classes)
        both = pd.concat({"mean_abs": size, "direction": direction}, axis=1).rename_axis("gene")
        return both.loc[self.mean_abs().index]

    def gap(self) -> float:
        """Return the largest |base + sum of contributions - output| over patients and classes.

        It is a difference of probabilities. A small value means that the contributions add up to the
        prediction.
        """
        return float(np.abs(self.base + self.values.sum(axis=1) - self.output).max())

    def __repr__(self) -> str:
        top = ", ".join(self.mean_abs().index[:5])
        return f"GeneAttribution: {len(self.patients)} patients, {len(self.genes)} genes, led by {top}"
