"""ComBat: learn the differences between sites from the training rows and remove them from tables of features.

ComBat cannot distinguish effects of a site's scanner from effects of a site's patients. If sites treat
different patients, it removes that difference too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, warn
from mmfusion.preprocessing.base import FoldFitted

_FEW = 3  # a site with fewer patients has no location and scale of its own
_ROUNDS, _CLOSE = 500, 1e-6  # maximum and tolerance of the iteration of Johnson et al.
SITE = "meta: site"  # column of `encoded_frame`


class SiteWarning(UserWarning):
    """A patient's site was not in `fit`, or is not given."""


class ComBat(FoldFitted):
    """ComBat harmonisation: location and scale of every feature per site, shrunk by empirical Bayes.

    This is the parametric model of Johnson et al. 2007 (Biostatistics 8:118, section 3). Each feature has its
    own number of observed cells, and missing cells stay missing. If a site has fewer than three patients with
    a feature, it gets the pooled scale, and its location is the mean over the site's features. So few
    patients give little information, and a saved model would reveal their values. Rows without a site, or
    with a site that was not in `fit`, are not changed; a `SiteWarning` counts them. With fewer than two
    features, nothing is shrunk.

    Parameters
    ----------
    site : str
        Column of the frame with the site.
    covariates : sequence of str
        Numeric columns whose linear effect is kept, such as age. They must be complete, also at prediction.
        Never use the target.

    Attributes
    ----------
    features_ : tuple of str
        Columns that are harmonised, in the order of the output.
    sites_ : tuple of str
        Sites in `fit`.
    mean_, sd_ : ndarray, shape (d,)
        Pooled location (mean of sites, weighted by size) and residual SD. A feature with SD 0 is not changed.
    slope_ : ndarray, shape (n_covariates, d)
        Effects of the covariates.
    location_, scale_ : ndarray, shape (n_sites, d)
        Shift and factor of each site, in units of `sd_`.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(40, 3))
    >>> values[20:] += 5
    >>> frame = pd.DataFrame(values, columns=["a", "b", "c"]).assign(site=["north"] * 20 + ["south"] * 20)
    >>> clean = ComBat().fit(frame).transform(frame)
    >>> bool(abs(clean[:20].mean() - clean[20:].mean()) < 0.1)
    True
    """

    def __init__(self, *, site: str = "site", covariates: Sequence[str] = ()) -> None:
        self.site = site
        self.covariates = covariates

    def _has(self, frame: pd.DataFrame) -> np.ndarray:
        return (
            frame.drop(columns=[self.site, *self.covariates], errors="ignore").notna().any(axis=1).to_numpy()
        )

    def _fit(self, frame: pd.DataFrame) -> None:
        site = self._sites(frame)
        self.features_ = tuple(c for c in frame.columns if c not in (self.site, *self.covariates))
        frame, site = frame[site.notna()], site[site.notna()]
        if frame.empty:
            raise DataError("no site is known", column=self.site, expected="the site of at least one patient")
        self.sites_ = tuple(sorted(site.unique()))
        values, covariates = self._values(frame), self._covariates(frame)
        batch = (site.to_numpy()[:, None] == np.array(self.sites_)).astype(float)
        d, n_sites = values.shape[1], len(self.sites_)
        self.mean_, self.sd_ = np.zeros(d), np.zeros(d)
        self.slope_ = np.zeros((covariates.shape[1], d))
        raw = {
            "location": np.zeros((n_sites, d)),
            "scale": np.ones((n_sites, d)),
            "n": np.zeros((n_sites, d)),
        }
        for j in range(d):  # each feature has its own missing cells
            seen = np.isfinite(values[:, j])
            self._standardise(j, values[seen, j], batch[seen], covariates[seen], raw)
        self.location_, self.scale_ = np.zeros((n_sites, d)), np.ones((n_sites, d))
        z = self._z(values, covariates)
        varies = self.sd_ > 0
        for i in range(n_sites if n_sites > 1 else 0):
            parts = (raw["location"][i, varies], raw["scale"][i, varies], raw["n"][i, varies])
            location, variance = _shrink(z[batch[:, i] > 0][:, varies], *parts)
            self.location_[i, varies], self.scale_[i, varies] = location, np.sqrt(variance)

    def _standardise(
        self, j: int, y: np.ndarray, batch: np.ndarray, covariates: np.ndarray, raw: dict
    ) -> None:
        """Set mean, SD and slopes of feature j, and its raw location and scale per site (in SD)."""
        counts = batch.sum(axis=0)
        raw["n"][:, j] = counts
        there = counts > 0
        if len(y) < 2 or np.ptp(y) <= 1e-9 * max(1.0, np.abs(y).max()):
            return
        effects = np.linalg.lstsq(np.hstack([batch[:, there], covariates]), y, rcond=None)[0]
        n = int(there.sum())
        residual = y - np.hstack([batch[:, there], covariates]) @ effects
        sd = float(np.sqrt((residual**2).mean()))
        if sd <= 1e-9 * max(1.0, np.abs(y).max()):
            return
        self.sd_[j], self.slope_[:, j] = sd, effects[n:]
        self.mean_[j] = float(counts[there] @ effects[:n] / counts.sum())
        raw["location"][there, j] = (effects[:n] - self.mean_[j]) / sd
        several = counts > 1
        squares = batch.T @ (residual / sd) ** 2
        raw["scale"][several, j] = squares[several] / (counts[several] - 1)

    def _transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Return harmonised features, shape (n, d); missing cells stay missing."""
        site = self._sites(frame)
        values = self._values(frame)
        code = site.map({name: i for i, name in enumerate(self.sites_)}).to_numpy(
            dtype=float, na_value=np.nan
        )
        known = np.isfinite(code)
        if not known.all():
            others = sorted(site[~known].dropna().unique())
            text = f"{int((~known).sum())} patient(s) of no known site, not harmonised"
            warn(text + (f": {', '.join(others[:5])}" if others else ""), SiteWarning, stacklevel=3)
        if not known.any():
            return values.astype(np.float32)
        rows = code[known].astype(int)
        covariates = self._covariates(frame[known])
        z = self._z(values[known], covariates)
        change = (z - self.location_[rows]) / self.scale_[rows] - z
        values[known] += np.where(self.sd_ > 0, change * self.sd_, 0.0)
        return values.astype(np.float32)

    def _z(self, values: np.ndarray, covariates: np.ndarray) -> np.ndarray:
        sd = np.where(self.sd_ > 0, self.sd_, 1.0)
        return (values - self.mean_ - covariates @ self.slope_) / sd

    def _sites(self, frame: pd.DataFrame) -> pd.Series:
        if self.site not in frame:
            raise DataError(
                "no column with the site", column=self.site, hint="give it, with missing cells if unknown"
            )
        site = frame[self.site].astype(object)
        return site.where(site.isna(), site.map(str))

    def _values(self, frame: pd.DataFrame) -> np.ndarray:
        absent = [name for name in self.features_ if name not in frame]
        if absent:
            raise DataError("a feature of fit is absent", column=absent[0], got="no such column")
        values = _numbers(frame[list(self.features_)])
        if np.isinf(values).any():
            row, column = np.argwhere(np.isinf(values))[0]
            where = {"patient": frame.index[row], "column": self.features_[column]}
            raise DataError("an infinite value", **where, expected="a finite number", got=values[row, column])
        return values

    def _covariates(self, frame: pd.DataFrame) -> np.ndarray:
        if lost := [c for c in self.covariates if c not in frame]:
            raise DataError("no such covariate", column=lost[0], expected="a numeric column of the frame")
        values = _numbers(frame[list(self.covariates)])
        if not np.isfinite(values).all():
            name = list(self.covariates)[int(np.flatnonzero(~np.isfinite(values).all(axis=0))[0])]
            raise DataError("a covariate is missing", column=name, hint="impute it, or leave it out")
        return values


def _numbers(frame: pd.DataFrame) -> np.ndarray:
    try:
        return np.array(frame.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        text = [c for c in frame if not pd.api.types.is_numeric_dtype(frame[c])]
        raise DataError("not a numeric column", column=text[0] if text else None, got=error) from error


def _shrink(
    z: np.ndarray, location: np.ndarray, variance: np.ndarray, n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the posterior location and variance of one site's features, shape (d,).

    Johnson et al. 2007, equations 3.1 and section 3.2. The priors are a normal and an inverse gamma
    distribution, with the moments of the features' estimates.
    """
    there, several = n > 0, n >= _FEW
    if there.sum() < 2:
        return np.where(several, location, 0.0), np.where(several, np.maximum(variance, 1e-6), 1.0)
    centre, spread = location[there].mean(), location[there].var(ddof=1)
    shape = scale = None
    var = np.where(several, variance, 1.0)
    if several.sum() > 1 and (s2 := variance[several].var(ddof=1)) > 1e-12:
        m = variance[several].mean()
        shape, scale = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
    new = location
    for _ in range(_ROUNDS):
        old = (new, var)
        new = np.where(several, (n * spread * location + var * centre) / (n * spread + var), centre)
        if shape is not None:
            squares = np.nansum((z - new) ** 2, axis=0)
            var = np.where(several, (scale + squares / 2) / (n / 2 + shape - 1), 1.0)
        if max(np.abs(a - b).max() for a, b in zip((new, var), old)) < _CLOSE:
            break
    return new, np.maximum(var, 1e-6)


def encoded_frame(
    transformer: FoldFitted, encoded: np.ndarray, present: np.ndarray, site: pd.Series
) -> pd.DataFrame:
    """Return the numeric columns that a transformer encoded as a frame, with the site in column `SITE`.

    Parameters
    ----------
    transformer : TableTransformer or GeneTransformer
        Fitted transformer.
    encoded : ndarray, shape (n, 2, d) or (n, G)
        Output of the transformer.
    present : ndarray of bool, shape (n,)
        Mask of patients who have the modality.
    site : Series, shape (n,)
        Site of each patient. Index patient_id.

    Returns
    -------
    DataFrame, shape (n, n_numeric + 1)
        Index patient_id. A cell that was not observed is missing.

    Examples
    --------
    >>> from mmfusion.preprocessing.tables import TableTransformer
    >>> ids = list("abcd")
    >>> table = pd.DataFrame({"age": [60, 70, 65, 72]}, index=ids)
    >>> transformer = TableTransformer().fit(table)
    >>> site = pd.Series(["north", "south"] * 2, index=ids)
    >>> frame = encoded_frame(transformer, transformer.transform(table), np.ones(4, bool), site)
    >>> frame.columns[:1].tolist(), frame.shape
    (['age'], (4, 2))
    """
    values = encoded if encoded.ndim == 2 else np.where(encoded[:, 1] > 0, encoded[:, 0], np.nan)
    names, columns = numeric_columns(transformer)
    frame = pd.DataFrame(values[:, columns], index=site.index, columns=names).astype(np.float64)
    frame.loc[~present] = np.nan
    return frame.assign(**{SITE: site.astype(object)})


def harmonised(
    combat: ComBat, transformer: FoldFitted, encoded: np.ndarray, present: np.ndarray, site: pd.Series
) -> np.ndarray:
    """Return the encoded array with its observed numeric cells harmonised by a fitted `ComBat`.

    The other arguments are those of `encoded_frame`. The result has the shape of `encoded`, which is not
    changed.
    """
    frame = encoded_frame(transformer, encoded, present, site)
    values = combat.transform(frame)
    seen = frame[list(combat.features_)].notna().to_numpy()
    out = encoded.copy()
    target = out if out.ndim == 2 else out[:, 0]  # a view
    _, columns = numeric_columns(transformer)
    target[:, columns] = np.where(seen, values, target[:, columns])
    return out


def numeric_columns(transformer: FoldFitted) -> tuple[list[str], list[int]]:
    """Return names and positions of the encoded columns that are numbers.

    >>> from mmfusion.preprocessing.tables import TableTransformer
    >>> frame = pd.DataFrame({"sex": ["f", "m", "f", "m"], "age": [60, 70, 65, 72]}, index=list("abcd"))
    >>> numeric_columns(TableTransformer().fit(frame))
    (['age'], [4])
    """
    if hasattr(transformer, "genes_"):
        return list(transformer.genes_), list(range(len(transformer.genes_)))
    found = [
        (n, i) for i, n in enumerate(transformer.feature_names_out_) if transformer.kinds_.get(n) == "number"
    ]
    return [n for n, _ in found], [i for _, i in found]
