"""How well the site can be told from the features, before and after harmonisation."""

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

from mmfusion.errors import DataError
from mmfusion.preprocessing.harmonisation import SITE, ComBat

Harmonise = Callable[[np.ndarray, np.ndarray], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class SiteSeparability:
    """The site in the features, before and after harmonisation.

    Parameters
    ----------
    table : DataFrame
        Rows "before" and "after": `auc` of telling the site by ridge in cross-validation (macro one-vs-rest; 0.5 is
        chance), the harmoniser fitted on the training folds; medians and maxima over the features of `eta2` (share of
        the variance between sites, ANOVA) and `epsilon2` (the same of the ranks, Kruskal and Wallis; 0 to 1), which
        are in-sample: of the harmoniser fitted on everybody.
    features : DataFrame
        By feature: `eta2_before`, `eta2_after`, `epsilon2_before`, `epsilon2_after`.
    pca : DataFrame
        By patient: `site`, the first two principal components of the z-scored features before and after, on axes of
        their own (`pc1_before`, ...).
    """

    table: pd.DataFrame
    features: pd.DataFrame
    pca: pd.DataFrame


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
    """Tell the site from the features, before and after harmonisation fitted in the fold.

    Parameters
    ----------
    features : DataFrame, shape (n, d)
        Numeric; cells may be missing.
    site : Series, shape (n,)
        Indexed alike. Patients without a site, and sites with fewer patients than folds, are left out.
    groups : sequence, optional
        Rows of one group stay together (patients, where rows are scans).
    harmonise : "combat" or callable
        `callable(train, rows)` gives the harmonised features of `rows`, learned from `train`: positions in `features`.
    folds, repeats, random_state
        Of the cross-validation.

    Raises
    ------
    DataError
        If the two are not about the same patients, or fewer than two sites are left.
    """
    if not features.index.equals(site.index):
        raise DataError("features and site are not about the same patients", hint="index them alike")
    counts = site.value_counts()
    keep = site.isin(counts.index[counts >= folds]).to_numpy()
    where = np.flatnonzero(keep)
    labels = site.to_numpy(dtype=object)[keep].astype(str)
    if len(np.unique(labels)) < 2:
        raise DataError(
            "fewer than two sites to tell apart", expected=f"{folds} patients or more each", got=len(where)
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
    """Share of the variance, and of that of the ranks, that lies between sites: 0 to 1, by feature."""
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
