"""Separability of sites: prediction of the site from features, before and after harmonisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import kruskal
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmfusion.display import html_card, html_table
from mmfusion.errors import DataError, check_seed
from mmfusion.preprocessing.harmonisation import SITE, ComBat

Harmonise = Callable[[np.ndarray, np.ndarray], pd.DataFrame]


@dataclass(frozen=True, eq=False, repr=False)
class SiteSeparability:
    """Effect of the site on the features, before and after harmonisation.

    Parameters
    ----------
    table : DataFrame
        Rows "before" and "after". `auc`: macro one-vs-rest AUC of the site, predicted by ridge in
        cross-validation; 0.5 is chance. The harmoniser is fitted on the training folds. `eta2_median`,
        `eta2_max`, `epsilon2_median`, `epsilon2_max`: median and maximum over the features of the share of
        the variance between sites (eta2, ANOVA) and of the same share of the ranks (epsilon2, Kruskal and
        Wallis), 0 to 1. They are in-sample: the harmoniser is fitted on all patients.
    features : DataFrame
        Index feature; columns `eta2_before`, `eta2_after`, `epsilon2_before`, `epsilon2_after`.
    pca : DataFrame
        Index patient_id; column `site`, and the first two principal components of the z-scored features
        before and after harmonisation (`pc1_before`, ...). Before and after have different axes.
    """

    table: pd.DataFrame
    features: pd.DataFrame
    pca: pd.DataFrame

    def __repr__(self) -> str:
        before, after = self.table["auc"]
        return f"SiteSeparability({len(self.pca)} patients, site AUC {before:.3f} before, {after:.3f} after)"

    def _repr_html_(self) -> str:
        sites = ", ".join(f"{name} {n}" for name, n in self.pca["site"].value_counts().items())
        title = f"Separability of sites in {len(self.pca)} patients"
        return html_card(title, html_table(self.table), notes=[f"Sites: {sites}."])


def site_separability(
    features: pd.DataFrame,
    site: pd.Series,
    groups: Sequence[object] | None = None,
    *,
    harmonise: str | Harmonise = "combat",
    folds: int = 5,
    repeats: int = 3,
    random_state: int = 0,
) -> SiteSeparability:
    """Predict the site from the features, before and after harmonisation that is fitted inside the fold.

    Parameters
    ----------
    features : DataFrame, shape (n, d)
        Numeric features. Cells may be missing.
    site : Series, shape (n,)
        Site of each row, with the index of `features`. Patients without a site, and sites with fewer patients
        than folds, are left out.
    groups : sequence, shape (n,), optional
        Rows of one group stay in the same fold, such as the scans of a patient.
    harmonise : "combat" or callable
        `callable(train, rows)` is fitted on `train` and returns the harmonised features of `rows`. Both are
        arrays of positions in `features`.
    folds, repeats, random_state
        Number of folds, number of repeats and seed of the cross-validation.

    Raises
    ------
    DataError
        If `features` and `site` have different indices, or fewer than two sites are left.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(40, 2))
    >>> values[20:] += 5
    >>> site = pd.Series(["north"] * 20 + ["south"] * 20)
    >>> found = site_separability(pd.DataFrame(values, columns=["a", "b"]), site, folds=2, repeats=1)
    >>> float(found.table.loc["before", "auc"])
    1.0
    """
    check_seed(random_state)
    if not features.index.equals(site.index):
        hint = "give both the same index"
        raise DataError("features and site are not about the same patients", hint=hint)
    counts = site.value_counts()
    keep = site.isin(counts.index[counts >= folds]).to_numpy()
    where = np.flatnonzero(keep)
    labels = site.to_numpy(dtype=object)[keep].astype(str)
    if len(np.unique(labels)) < 2:
        raise DataError(
            "fewer than two sites", expected=f"two sites with {folds} patients or more", got=len(where)
        )
    change = _combat(features, site) if harmonise == "combat" else harmonise
    everybody = {"before": features.iloc[where], "after": change(where, where)}
    apart = np.arange(len(where)) if groups is None else pd.factorize(np.asarray(groups)[keep])[0]
    scores: dict[str, list[float]] = {"before": [], "after": []}
    for repeat in range(repeats):
        split = StratifiedGroupKFold(folds, shuffle=True, random_state=random_state + repeat)
        for state, run in {"before": lambda _, rows: features.iloc[rows], "after": change}.items():
            scores[state].append(_auc(run, where, labels, split.split(where, labels, apart)))
    effects = {state: _effects(frame, labels) for state, frame in everybody.items()}
    rows = {
        state: {
            "auc": np.mean(scores[state]),
            **{
                f"{k}_{how}": float(getattr(e[k], how)())
                for k in ("eta2", "epsilon2")
                for how in ("median", "max")
            },
        }
        for state, e in effects.items()
    }
    joined = pd.concat([e.add_suffix(f"_{state}") for state, e in effects.items()], axis=1)
    points = [_components(frame).add_suffix(f"_{state}") for state, frame in everybody.items()]
    pca = pd.concat(points, axis=1).assign(site=labels)
    return SiteSeparability(pd.DataFrame.from_dict(rows, orient="index"), joined, pca)


def _combat(features: pd.DataFrame, site: pd.Series) -> Harmonise:
    frame = features.assign(**{SITE: site.astype(object)})

    def run(train: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
        values = ComBat(site=SITE).fit(frame.iloc[train]).transform(frame.iloc[rows])
        return pd.DataFrame(values, index=features.index[rows], columns=features.columns)

    return run


def _auc(run: Harmonise, where: np.ndarray, labels: np.ndarray, splits: object) -> float:
    names = np.unique(labels)
    proba = np.zeros((len(labels), len(names)))
    for train, test in splits:
        model = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(C=0.1, max_iter=2000),
        )
        model.fit(run(where[train], where[train]).to_numpy(dtype=float), labels[train])
        columns = np.searchsorted(names, model[-1].classes_)
        proba[test[:, None], columns] = model.predict_proba(
            run(where[train], where[test]).to_numpy(dtype=float)
        )
    return float(np.mean([roc_auc_score(labels == name, proba[:, k]) for k, name in enumerate(names)]))


def _effects(frame: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
    """Return the share of the variance, and of the ranks' variance, between sites, 0 to 1, by feature."""
    rows = {}
    for name, column in frame.items():
        seen = column.notna().to_numpy()
        values, site = column.to_numpy(dtype=float)[seen], labels[seen]
        parts = [values[site == s] for s in np.unique(site)]
        total = ((values - values.mean()) ** 2).sum() if seen.any() else 0.0
        if len(parts) < 2 or total <= 0:
            rows[name] = {"eta2": np.nan, "epsilon2": np.nan}
            continue
        between = sum(len(p) * (p.mean() - values.mean()) ** 2 for p in parts)
        h = kruskal(*parts).statistic
        rows[name] = {"eta2": between / total, "epsilon2": h / (len(values) - 1)}
    return pd.DataFrame.from_dict(rows, orient="index")


def _components(frame: pd.DataFrame) -> pd.DataFrame:
    steps = (SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    z = make_pipeline(*steps).fit_transform(frame.to_numpy(dtype=float))
    points = PCA(min(2, *z.shape), svd_solver="full").fit_transform(z)
    out = pd.DataFrame(points, index=frame.index, columns=[f"pc{k + 1}" for k in range(points.shape[1])])
    return out.reindex(columns=["pc1", "pc2"], fill_value=0.0)
