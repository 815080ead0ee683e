"""Gene expression in any of five units: normalise, choose genes and compute z-scores on the training rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmfusion.data.cohort import RNA_UNITS
from mmfusion.data.tables.cells import to_numbers
from mmfusion.data.tables.gene_columns import WHOLE
from mmfusion.errors import DataError, warn
from mmfusion.preprocessing.base import FoldFitted

_MAX_ZEROS = 0.8  # a gene with a larger share of zero or missing cells is dropped
_COMPONENTS = 10
_ENOUGH = 0.1  # share of the chosen genes that a patient must have


class AbsentGenesWarning(UserWarning):
    """Genes that were chosen in `fit` are not in the table; their mean is used.

    Examples
    --------
    >>> table = pd.DataFrame({"EGFR": [1.0, 3.0], "KRAS": [5.0, 6.0]}, index=["p1", "p2"])
    >>> transformer = GeneTransformer(unit="log").fit(table)
    >>> from mmfusion.errors import gathered
    >>> with gathered() as found:
    ...     _ = transformer.transform(table[["EGFR"]])
    >>> print(found[0])
    1 of 2 genes absent, their mean is used
    """


class OutOfRangeWarning(UserWarning):
    """Many values of a patient are far outside the range in `fit`, as with another unit or platform."""


class GeneTransformer(FoldFitted):
    """Choose genes and compute their z-scores, with statistics of the training rows.

    Steps:

    1. Counts become CPM, and FPKM become TPM = FPKM / sum * 1e6 (only for whole transcriptomes).
    2. CPM and TPM become log2(x + 1). The units "log" (log2, or the same base in all cohorts) and "zscore"
       are used as they are.
    3. Genes with more than 80 % zeros are dropped.
    4. Genes are ranked by variance-stabilised dispersion, which is the log variance minus its trend over the
       mean. The variance of z-scores carries no information, so they are ranked by communality, which is the
       share of a gene's variance in the first 10 principal components.
    5. The first `n_genes` genes are z-scored and clipped. Missing cells become 0, the mean.

    Parameters
    ----------
    unit : {"auto", "counts", "tpm", "fpkm", "log", "zscore"}
        Unit of the table. "auto" reads `frame.attrs["units"]["rna"]`.
    n_genes : int or None, default 200
        Number of genes to keep. None keeps all genes that vary.
    clip : float, default 5.0
        Bound of the z-scores, in SD. Values beyond the bound are set to the bound in means and SDs as well.

    Attributes
    ----------
    genes_ : tuple of str, length G
        Chosen genes, best first.
    mean_, std_ : ndarray of float64, shape (G,)
        Mean and SD of the chosen genes on the log scale, or on the scale of the z-scores.
    library_ : dict of str to float
        Share of each gene in the total expression of a patient, if a total is used. A table that lacks some
        genes is scaled by the genes that it has.
    unit_ : str
        Unit of the table in `fit`.
    notes_ : tuple of str
        Steps that were skipped, with the reason.

    Examples
    --------
    >>> frame = pd.DataFrame({"EGFR": [1.0, 3.0], "ACTB": [5.0, 5.0]}, index=["p1", "p2"])
    >>> genes = GeneTransformer(unit="log").fit(frame)
    >>> genes.genes_, genes.transform(frame).tolist()
    (('EGFR',), [[-1.0], [1.0]])
    """

    def __init__(self, unit: str = "auto", *, n_genes: int | None = 200, clip: float = 5.0) -> None:
        self.unit = unit
        self.n_genes = n_genes
        self.clip = clip

    def _fit(self, frame: pd.DataFrame) -> None:
        self._check_params(frame)
        names = np.array(frame.columns, dtype=str)
        values = _matrix(frame, self.unit_)
        self.notes_ = ()
        self.library_ = self._library(names, values)
        values = self._log(frame.columns, values)
        zero_or_missing = np.isnan(values) | ((values == 0) & (self.unit_ != "zscore"))
        mean, std = _clipped_moments(values, self.clip)
        keep = (zero_or_missing.mean(axis=0) <= _MAX_ZEROS) & (std > 1e-6)
        if not keep.any():
            raise DataError("no gene varies among the patients given to fit", got=f"{len(frame)} patients")
        names, values, mean, std = names[keep], values[:, keep], mean[keep], std[keep]
        if self.unit_ == "zscore":
            self.notes_ += (
                "z-scores: no TPM, logarithm or ranking by variance; genes ranked by communality",
            )
            score = _communality(self._z(values, mean, std))
        else:
            score = _dispersion(mean, std)
        best = np.lexsort((names, -score))[: self.n_genes]
        self.genes_ = tuple(map(str, names[best]))
        self.mean_, self.std_ = mean[best], std[best]

    def _transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Return z-scores, shape (n, G)."""
        unit = _unit_of(frame)
        if unit is not None and unit != self.unit_:
            raise DataError(
                "another unit of expression than in fit",
                column="rna",
                expected=self.unit_,
                got=unit,
                hint="convert the table, or fit on tables of this unit",
            )
        chosen = self._chosen(frame)
        self._report(frame, chosen)
        z = self._z(chosen, self.mean_, self.std_, frame.index)
        return np.nan_to_num(z, nan=0.0).astype(np.float32)

    def means(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the mean of each chosen gene on the scale of `mean_`, shape (G,); NaN if it is absent.

        Examples
        --------
        >>> frame = pd.DataFrame({"EGFR": [1.0, 3.0]}, index=["p1", "p2"])
        >>> GeneTransformer(unit="log").fit(frame).means(frame + 1).tolist()
        [3.0]
        """
        chosen = self._chosen(frame)
        known = np.isfinite(chosen)
        total = np.where(known, chosen, 0).sum(axis=0)
        return np.divide(total, known.sum(axis=0), out=np.full(len(total), np.nan), where=known.any(axis=0))

    def _chosen(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the chosen genes on the scale of `mean_`, shape (n, G); NaN where they are missing."""
        used = self.library_ or dict.fromkeys(self.genes_)
        frame = frame[[g for g in used if g in frame]]
        values = self._log(frame.columns, _matrix(frame, self.unit_))
        at = frame.columns.get_indexer(list(self.genes_))
        if not frame.shape[1]:
            return np.full((len(frame), len(at)), np.nan)
        return np.where(at >= 0, values[:, at], np.nan)

    def _check_params(self, frame: pd.DataFrame) -> None:
        if self.unit not in ("auto", *RNA_UNITS):
            raise DataError(
                "unknown unit", parameter="unit", expected=", ".join(("auto", *RNA_UNITS)), got=self.unit
            )
        if self.n_genes is not None and self.n_genes < 1:
            raise DataError("too few genes asked for", expected="n_genes of 1 or more", got=self.n_genes)
        given = _unit_of(frame)
        if self.unit != "auto" and given not in (None, self.unit):
            raise DataError("the table is in another unit", column="rna", expected=self.unit, got=given)
        if self.unit == "auto" and given is None:
            text = "the unit of expression is not known (attrs['units'] is empty): taken as log"
            warn(text, UserWarning, stacklevel=4)
        self.unit_ = given or (self.unit if self.unit != "auto" else "log")

    def _library(self, names: np.ndarray, values: np.ndarray) -> dict[str, float]:
        """Return the mean share of each gene in a patient's total; empty if no total is used."""
        if self.unit_ not in ("counts", "fpkm"):
            return {}
        if len(names) < WHOLE:
            if self.unit_ == "fpkm":
                self.notes_ += (f"{len(names)} genes are not a whole transcriptome: log2(FPKM + 1), not TPM",)
                return {}
            self.notes_ += (f"counts per million of the {len(names)} genes in the table, not of the library",)
        total = np.nansum(values, axis=1, keepdims=True)
        share = np.nansum(values / np.where(total > 0, total, 1), axis=0)
        return dict(zip(map(str, names), map(float, share / max(share.sum(), 1e-12))))

    def _log(self, columns: pd.Index, values: np.ndarray) -> np.ndarray:
        if self.unit_ == "zscore":  # values beyond the bound are not measurements
            return np.clip(values, -self.clip, self.clip)
        if self.unit_ == "log":
            return values
        if self.library_:
            share = np.array([self.library_[c] for c in columns])
            covered = np.where(np.isnan(values), 0.0, share).sum(axis=1)
            total = np.nansum(values, axis=1) / np.where(covered > 0, covered, 1)
            values = values / np.where(total > 0, total, 1)[:, None] * 1e6
        return np.log2(values + 1)

    def _z(
        self, values: np.ndarray, mean: np.ndarray, std: np.ndarray, patients: pd.Index | None = None
    ) -> np.ndarray:
        z = (values - mean) / std
        if patients is not None:
            for i in np.flatnonzero((np.abs(z) > self.clip).sum(axis=1) > max(0.2 * z.shape[1], 10)):
                text = f"patient {patients[i]}: over 20 % of genes beyond {self.clip:g} SD"
                warn(f"{text}: another unit or platform?", OutOfRangeWarning, stacklevel=4)
        return np.clip(z, -self.clip, self.clip)

    def _report(self, frame: pd.DataFrame, chosen: np.ndarray) -> None:
        n_genes, absent = len(self.genes_), sum(gene not in frame for gene in self.genes_)
        few = np.flatnonzero((~np.isnan(chosen)).sum(axis=1) < _ENOUGH * n_genes)
        if len(few):
            raise DataError(
                "too few of the model's genes",
                patient=frame.index[few[0]],
                column="rna",
                expected=f"at least {_ENOUGH:.0%} of {n_genes} ({', '.join(self.genes_[:3])}, ...)",
                got=int((~np.isnan(chosen[few[0]])).sum()),
                hint="use the gene symbols of the table in fit, or leave RNA out",
            )
        if absent and len(frame):
            text = f"{absent} of {n_genes} genes absent, their mean is used"
            used = sum(gene in frame for gene in self.library_)
            if used < len(self.library_):
                text += f"; total expression estimated from {used} of {len(self.library_)} genes"
            warn(text, AbsentGenesWarning, stacklevel=4)


def _unit_of(frame: pd.DataFrame) -> str | None:
    return frame.attrs.get("units", {}).get("rna")


def _matrix(frame: pd.DataFrame, unit: str) -> np.ndarray:
    """Return the table as float64, shape (n, G).

    The first cell that is not a number, is infinite, or is negative in a unit without negative values raises
    a `DataError`.
    """
    for name in frame.columns[[not pd.api.types.is_numeric_dtype(t) for t in frame.dtypes]]:
        frame = frame.assign(**{name: to_numbers(frame[name], name)})
    # contiguous, so that sums have a fixed order and are equal to the bit for every memory layout
    values = np.ascontiguousarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))
    bad = np.isinf(values) if unit in ("log", "zscore") else np.isinf(values) | (values < 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"not a value in {unit}",
            patient=frame.index[row],
            column=frame.columns[column],
            expected="a finite number" if unit in ("log", "zscore") else "a finite number, 0 or more",
            got=values[row, column],
            hint="set the unit of the table: " + ", ".join(RNA_UNITS),
        )
    return values


def _clipped_moments(values: np.ndarray, clip: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD (ddof 0) per column; values beyond `clip` SD are clipped, in up to 10 rounds."""
    mean, std = _moments(values)
    for _ in range(10):
        beyond = np.flatnonzero((np.abs(values - mean) > clip * std).any(axis=0) & (std > 0))
        if not len(beyond):
            break
        low, high = mean[beyond] - clip * std[beyond], mean[beyond] + clip * std[beyond]
        mean[beyond], std[beyond] = _moments(np.clip(values[:, beyond], low, high))
    return mean, std


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen = ~np.isnan(values)
    n = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, values, 0.0).sum(axis=0) / n
    return mean, np.sqrt(np.square(np.where(seen, values - mean, 0.0)).sum(axis=0) / n)


def _dispersion(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return log variance minus its running median over the mean; for under 200 genes, the log variance."""
    log_variance = 2 * np.log(std)
    if len(mean) < 200:
        return log_variance
    groups = np.array_split(np.argsort(mean, kind="stable"), np.clip(len(mean) // 50, 4, 40))
    knots = np.array([np.median(mean[g]) for g in groups])
    trend = np.array([np.median(log_variance[g]) for g in groups])
    trend = np.convolve(np.pad(trend, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    return log_variance - np.interp(mean, knots, trend)


def _communality(z: np.ndarray) -> np.ndarray:
    """Return the share of each column's variance in the first principal components, shape (G,)."""
    z = np.nan_to_num(z, nan=0.0)
    z = z - z.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(z @ z.T)  # n x n, because there are fewer patients than genes
    lead = vectors[:, np.argsort(eigenvalues)[::-1][:_COMPONENTS]]
    share = ((lead.T @ z) ** 2).sum(axis=0) / np.maximum((z**2).sum(axis=0), 1e-12)
    return np.round(share, 10)  # the same ranking on any number of threads
