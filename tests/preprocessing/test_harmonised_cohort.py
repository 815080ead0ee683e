"""Harmonisation of a cohort: what is harmonised, and that only training rows count."""

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.preprocessing.harmonisation import SiteWarning
from mmfusion.preprocessing.histograms import HistogramMatching
from mmfusion.preprocessing.scans import ScanTransformer
from tests.cohorts import tiny_cohort


@pytest.fixture(scope="module")
def X():
    """Tiny cohort in which site B measures CT and RNA in another way and treats older patients."""
    X = tiny_cohort(90).X.copy()
    b = X[("meta", "site")] == "B"
    X.loc[b, [("rna", f"GENE{j}") for j in range(24)]] += 3.0
    X.loc[b, [("ct", "sphericity")]] += 0.5
    X.loc[b, [("ehr", "age")]] += 20.0
    return X


def gap(X, values, has):
    b = (X[("meta", "site")] == "B").to_numpy()
    return float(np.abs(values[b & has].mean(axis=0) - values[~b & has].mean(axis=0)).mean())


def test_combat_acts_on_expression_and_scan_features_not_on_records(X):
    raw, fitted = (CohortTransformer(n_genes=12, graph_k=3, harmonise=h).fit(X) for h in (None, "combat"))
    assert list(fitted.harmonisers_) == ["ct_table", "rna"] and not raw.harmonisers_
    before, after = raw.transform(X), fitted.transform(X)
    np.testing.assert_array_equal(before.arrays["ehr"], after.arrays["ehr"])
    names = {s.name: list(s.feature_names) for s in fitted.specs_}
    ct, has = names["ct_table"].index("sphericity"), after.present[:, 0]
    seen = [gap(X, inputs.arrays["ct_table"][:, 0, [ct]], has) for inputs in (before, after)]
    assert seen[0] > 1 > 0.2 > seen[1]
    other = [k for k in range(len(names["ct_table"])) if k != ct]
    np.testing.assert_array_equal(
        before.arrays["ct_table"][:, :, other], after.arrays["ct_table"][:, :, other]
    )
    has = after.present[:, 1]
    assert gap(X, before.arrays["rna"], has) > 1 > 0.2 > gap(X, after.arrays["rna"], has)
    assert not after.arrays["rna"][~has].any()
    assert not np.array_equal(raw.graphs_["rna"].edge_index_, fitted.graphs_["rna"].edge_index_)


def test_only_the_training_rows_of_a_site_count(X):
    fitted = CohortTransformer(n_genes=12, graph="none", harmonise="combat").fit(X.iloc[:60])
    poisoned = X.copy()
    poisoned.loc[X.index[60:], [("meta", "site")]] = "A"
    again = CohortTransformer(n_genes=12, graph="none", harmonise="combat").fit(poisoned.iloc[:60])
    np.testing.assert_array_equal(again.harmonisers_["rna"].location_, fitted.harmonisers_["rna"].location_)
    rows = X.iloc[:60]
    np.testing.assert_array_equal(again.transform(rows).arrays["rna"], fitted.transform(rows).arrays["rna"])


def test_a_patient_without_a_site_is_read_as_pooled(X):
    fitted = CohortTransformer(n_genes=12, graph="none", harmonise="combat").fit(X)
    lost = X[["rna", "ehr", "ct"]].iloc[:3]
    with pytest.warns(SiteWarning, match="no known site"):
        out = fitted.transform(lost)
    raw = CohortTransformer(n_genes=12, graph="none").fit(X).transform(lost)
    np.testing.assert_allclose(out.arrays["rna"], raw.arrays["rna"], atol=1e-6)
    with pytest.raises(DataError, match="no site is known"):
        CohortTransformer(n_genes=12, harmonise="combat").fit(X[["rna", "ehr"]])


def test_tables_of_categories_only_have_nothing_to_harmonise(X):
    fitted = CohortTransformer(n_genes=12, graph_k=3, harmonise="combat").fit(
        X.drop(columns=[("ct", "sphericity")])
    )
    assert list(fitted.harmonisers_) == ["rna"]


def test_baselines_get_harmonised_features_too(X):
    plain, flat = (FlatTransformer(n_genes=12, harmonise=h).fit_transform(X) for h in (None, "combat"))
    has = X["rna"].notna().any(axis=1).to_numpy()
    columns = [c for c in flat if c.startswith("rna: GENE")]
    assert gap(X, flat[columns].to_numpy(), has) < 0.2 < gap(X, plain[columns].to_numpy(), has)


def test_unknown_harmonisation(X):
    with pytest.raises(DataError, match=r"unknown way to harmonise.*got magic"):
        CohortTransformer(harmonise="magic").fit(X)


def test_histograms_are_learned_from_training_scans(scans, no_cache):
    options = {"crop_side": 8, "crop_spacing": 6.0, "harmonise": "histogram"}
    fitted = CohortTransformer(**options).fit(scans.iloc[:3])
    matching = fitted.transformers_["ct"].matching_
    assert isinstance(matching, HistogramMatching) and not fitted.harmonisers_
    other = scans.copy()
    other.loc[other.index[3:], [("ct", "volume")]] = scans[("ct", "volume")].iloc[0]
    again = CohortTransformer(**options).fit(other.iloc[:3])
    np.testing.assert_array_equal(again.transformers_["ct"].matching_.reference_, matching.reference_)
    raw = CohortTransformer(crop_side=8, crop_spacing=6.0).fit(scans).transform(scans)
    out = fitted.transform(scans)
    np.testing.assert_array_equal(out.arrays["ct"], matching.transform(raw.arrays["ct"]))
    with pytest.raises(DataError, match="unknown way to harmonise scans"):
        ScanTransformer(harmonise="combat").fit(scans["ct"])
