import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmfusion.errors import DataError
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.preprocessing.crop_features import crop_features
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.preprocessing.harmonisation import ComBat, SiteWarning
from mmfusion.preprocessing.histograms import HistogramMatching
from mmfusion.preprocessing.scans import ScanTransformer
from mmfusion.quality.separability import site_separability
from mmfusion.synthetic import phantom
from tests.cohorts import tiny_cohort

SIZE = "piece_diameter_mm"
SITES = ["a"] * 4 + ["b"] * 3 + ["c"] * 5


def ids(n):
    return pd.Index([f"p{k:02d}" for k in range(n)], name="patient_id")


def worked_example():
    """Twelve patients, five features, three sites and an age, by formula."""
    i, j, site = np.arange(12)[:, None], np.arange(5)[None], np.array(SITES)
    age = np.array([50, 61, 47, 70, 66, 58, 73, 49, 55, 64, 71, 60.0])
    y = np.sin(1.7 * i + 0.9 * j * j) + 0.3 * j * np.cos(i * (j + 1))
    y = y + (site == "b")[:, None] * (1 + 0.2 * j) + (site == "c")[:, None] * y * 0.8 + 0.02 * age[:, None]
    return pd.DataFrame(y, columns=[f"f{k}" for k in range(5)], index=ids(12)).assign(site=site, age=age)


def shifted(n=150, d=20, seed=0, sizes=(0.5, 0.3, 0.2)):
    """Features that differ between sites A, B, C in location and scale, and a signal that does not."""
    rng = np.random.default_rng(seed)
    site = rng.choice(["A", "B", "C"], n, p=sizes)
    code = np.searchsorted(["A", "B", "C"], site)
    signal = rng.normal(size=n)
    values = rng.normal(size=(n, d)) + signal[:, None] * (np.arange(d) < 5)
    values = values * np.array([1, 2, 0.6])[code][:, None] + np.array([0, 3, -2])[code][:, None] * rng.normal(
        1, 0.3, d
    )
    return pd.DataFrame(values, columns=[f"f{k}" for k in range(d)], index=ids(n)).assign(site=site), signal


# --- ComBat -----


def test_golden_numbers_of_neurocombat():
    """neuroCombat 0.2.12 (Fortin et al.), parametric, rows 0, 5 and 11."""
    frame = worked_example()
    with_age = [
        [1.3893, 2.2575, 1.40341, 3.16346, 3.18211],
        [2.12704, 1.19203, 0.45832, 0.67222, 2.16617],
        [1.26201, 2.06348, 1.03534, 4.43301, 3.19623],
    ]
    without = [
        [1.36844, 2.3238, 1.59426, 3.34204, 3.50687],
        [2.12389, 1.2284, 0.38045, 0.66258, 1.91432],
        [1.26498, 2.01608, 1.10575, 4.30621, 3.09844],
    ]
    for covariates, expected in ((["age"], with_age), ([], without)):
        rows = frame if covariates else frame.drop(columns="age")
        out = ComBat(covariates=covariates).fit(rows).transform(rows)
        np.testing.assert_allclose(out[[0, 5, 11]], expected, atol=1e-4)


def test_location_and_scale_are_removed_and_the_signal_stays():
    frame, signal = shifted()
    out = ComBat().fit(frame).transform(frame)
    means = pd.DataFrame(out).groupby(frame["site"].to_numpy()).mean()
    sds = pd.DataFrame(out).groupby(frame["site"].to_numpy()).std()
    assert np.ptp(frame.groupby("site").mean().to_numpy(), axis=0).mean() > 4
    assert np.ptp(means.to_numpy(), axis=0).mean() < 0.2
    assert (sds.max() / sds.min()).mean() < 1.2
    before, after = (
        np.corrcoef(v.mean(axis=1), signal)[0, 1] for v in (frame.iloc[:, :5].to_numpy(), out[:, :5])
    )
    assert after > 0.9 > before


def test_covariates_are_kept():
    frame, _ = shifted()
    age = np.random.default_rng(5).normal(size=len(frame)) + 2.0 * (frame["site"] == "B")
    frame = frame.assign(age=age)
    frame["f0"] += 3 * age
    spared = ComBat(covariates=["age"]).fit(frame).transform(frame)[:, 0]
    taken = ComBat().fit(frame.drop(columns="age")).transform(frame.drop(columns="age"))[:, 0]
    b = (frame["site"] == "B").to_numpy()
    assert spared[b].mean() - spared[~b].mean() > 3 > taken[b].mean() - taken[~b].mean()


def test_missing_cells_stay_missing_and_have_no_influence():
    frame, _ = shifted()
    holes = frame.mask(np.random.default_rng(1).random(frame.shape) < 0.2)
    holes["site"] = frame["site"]
    fitted = ComBat().fit(holes)
    out = fitted.transform(holes)
    np.testing.assert_array_equal(np.isnan(out), holes.drop(columns="site").isna())
    full = ComBat().fit(frame)
    np.testing.assert_allclose(fitted.location_, full.location_, atol=0.6)
    whole = holes.copy()
    whole.loc[whole.index[7], "f3"] = np.nan
    cell = whole.copy()
    cell.iloc[7, 5] = 1e3  # another feature: f3's own statistics do not move, but the priors do
    assert ComBat().fit(cell).mean_[3] == ComBat().fit(whole).mean_[3]


def test_unknown_and_missing_sites_are_pooled_with_one_warning():
    frame, _ = shifted()
    fitted = ComBat().fit(frame)
    stranger = frame.iloc[:4].copy()
    stranger["site"] = ["elsewhere", None, "elsewhere", frame["site"].iloc[3]]
    with pytest.warns(
        SiteWarning, match=r"3 patient\(s\) of no known site, not harmonised: elsewhere$"
    ) as caught:
        out = fitted.transform(stranger)
    assert len(caught) == 1
    np.testing.assert_allclose(out[:3], stranger.drop(columns="site").iloc[:3], rtol=1e-6)
    np.testing.assert_array_equal(out[3], fitted.transform(frame.iloc[[3]])[0])


def test_rows_without_a_site_do_not_count_in_fit():
    frame, _ = shifted()
    more = pd.concat([frame, frame.iloc[:20].set_axis([f"x{k}" for k in range(20)]).assign(site=None)])
    np.testing.assert_array_equal(ComBat().fit(more).location_, ComBat().fit(frame).location_)


@pytest.mark.parametrize("n", [1, 2])
def test_a_site_of_few_patients_gets_the_mean_location(n):
    """Otherwise a saved model would reveal the values of its patients."""
    frame, _ = shifted()
    frame["site"] = frame["site"].astype(object)
    frame.iloc[:n, -1] = "lonely"
    fitted = ComBat().fit(frame)
    k = fitted.sites_.index("lonely")
    np.testing.assert_array_equal(fitted.scale_[k], 1.0)
    raw = ((frame.iloc[:n, :-1].mean() - fitted.mean_) / fitted.sd_).to_numpy(dtype=float)
    np.testing.assert_allclose(fitted.location_[k], raw.mean())


def test_one_site_is_left_as_it_is():
    frame, _ = shifted()
    alone = frame[frame["site"] == "A"]
    np.testing.assert_allclose(ComBat().fit(alone).transform(alone), alone.drop(columns="site"), rtol=1e-6)


def test_constant_features_are_not_changed():
    frame, _ = shifted()
    frame["flat"], frame["empty"] = 7.0, np.nan
    out = ComBat().fit(frame[[*frame.columns.drop("site"), "site"]]).transform(frame)
    assert (out[:, -2] == 7).all() and np.isnan(out[:, -1]).all() and np.isfinite(out[:, :-1]).all()


def test_one_feature_alone():
    frame, _ = shifted()
    one = frame[["f0", "site"]]
    out = ComBat().fit(one).transform(one)[:, 0]
    means = pd.Series(out).groupby(frame["site"].to_numpy()).mean()
    assert np.ptp(means) < 1e-5


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-50, 50))
def test_units_do_not_matter(seed, factor, offset):
    frame, _ = shifted(40, 6, seed)
    other = frame.copy()
    other.iloc[:, :-1] = frame.iloc[:, :-1] * factor + offset
    a, b = (ComBat().fit(f).transform(f) for f in (frame, other))
    np.testing.assert_allclose(b, a * factor + offset, rtol=2e-3, atol=2e-3 * factor + 1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="site"), "column site: no column with the site"),
        (lambda f: f.assign(site=None), "no site is known"),
        (lambda f: f.assign(text="x"), "column text: not a numeric column"),
        (lambda f: f.drop(columns="age"), "column age: no such covariate"),
        (lambda f: f.assign(age=np.nan), "column age: a covariate is missing"),
    ],
)
def test_bad_frames(change, message):
    with pytest.raises(DataError, match=message):
        ComBat(covariates=["age"]).fit(change(worked_example()))


def test_an_absent_feature_is_an_error():
    frame = worked_example().drop(columns="age")
    with pytest.raises(DataError, match="column f2: a feature of fit is absent"):
        ComBat().fit(frame).transform(frame.drop(columns="f2"))


# --- histogram matching -----


def crop(seed, tissue=0.3, offset=0.0, gain=1.0, noise=0.03):
    """Crop with two kinds of voxels, such as lung (0.1) and tissue (0.75), with the effects of a scanner."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((16, 16, 16)) < tissue, 0.75, 0.12) + noise * rng.normal(size=(16, 16, 16))
    values = np.clip((values - 0.12) * gain + 0.12 + offset, 0, 1)
    values[0] = 0  # beyond the field of view
    return values.astype(np.float32)


def test_scanner_shift_is_removed():
    train = np.stack([crop(i) for i in range(6)])
    odd = np.stack([crop(10, offset=0.04), crop(11, gain=1.15), crop(12, noise=0.06)])
    fitted = HistogramMatching().fit(train)
    out = fitted.transform(odd)
    assert out.dtype == np.float32 and out.shape == odd.shape
    for band in ((0.0, 0.36), (0.36, 1.0)):
        inside = (train > band[0]) & (train < band[1])
        for before, after in zip(odd, out):
            used = (after > band[0]) & (after < band[1])
            assert np.median(after[used]) == pytest.approx(np.median(train[inside]), abs=0.005)
            assert after[used].std() == pytest.approx(train[inside].std(), rel=0.1)
            order = np.argsort(before, axis=None)
            assert (np.diff(after.ravel()[order]) >= 0).all()
    assert not out[:, 0].any() and (odd.max() < 1 or (out[odd == 1] == 1).all())


def test_a_larger_tumour_does_not_become_darker():
    """Only the share of tissue differs; matching the whole histogram would change the values of tissue."""
    train, large = np.stack([crop(i) for i in range(6)]), crop(20, tissue=0.6)[None]
    apart, whole = (HistogramMatching(split=s).fit(train).transform(large)[0] for s in (0.36, None))
    tissue = large[0] > 0.5
    assert np.abs(apart - large[0])[tissue].mean() < 0.01
    assert np.abs(whole - large[0])[tissue].mean() > 0.15


def test_bands_with_few_voxels_are_not_changed():
    train = np.stack([crop(i) for i in range(4)])
    only_lung = crop(30, tissue=0.0)[None]
    out = HistogramMatching().fit(train).transform(only_lung)
    assert np.abs(out - only_lung).max() < 0.05
    empty = np.zeros((2, 8, 8, 8), dtype=np.float32)
    np.testing.assert_array_equal(HistogramMatching().fit(empty).transform(only_lung), only_lung)


def test_split_out_of_range():
    with pytest.raises(DataError, match="split out of range"):
        HistogramMatching(split=1.5).fit(crop(0)[None])


# --- in the streams -----


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


# --- separability of sites -----


def test_separability_falls_with_combat():
    frame, _ = shifted()
    found = site_separability(frame.drop(columns="site"), frame["site"])
    assert found.table.loc["before", "auc"] > 0.95 > 0.65 > found.table.loc["after", "auc"]
    assert (found.features["eta2_after"] < found.features["eta2_before"]).mean() > 0.9
    assert found.table.loc["after", "epsilon2_median"] < 0.05 < found.table.loc["before", "epsilon2_median"]
    assert found.features[["eta2_before", "epsilon2_before"]].stack().between(0, 1).all()
    assert list(found.pca.index) == list(frame.index) and found.pca.notna().all(axis=None)


def test_eta_and_epsilon_squared_golden():
    """Three groups of three: scipy.stats.f_oneway gives F = 27, so eta2 = 2 * 27 / (2 * 27 + 6) = 0.9."""
    frame = pd.DataFrame({"x": [1.0, 2, 3, 4, 5, 6, 7, 8, 9], "y": np.arange(9.0)[::-1]}, index=ids(9))
    site = pd.Series(list("aaabbbccc"), index=frame.index)
    found = site_separability(frame, site, harmonise=lambda train, rows: frame.iloc[rows], folds=3, repeats=1)
    np.testing.assert_allclose(found.features["eta2_before"], 0.9)
    np.testing.assert_allclose(found.features["epsilon2_before"], 0.9)  # H = 7.2, over n - 1
    pd.testing.assert_series_equal(found.table.loc["before"], found.table.loc["after"], check_names=False)


def test_the_harmoniser_is_fitted_in_the_fold():
    frame, _ = shifted(60)
    features, calls = frame.drop(columns="site"), []

    def watch(train, rows):
        calls.append((set(train), set(rows)))
        return features.iloc[rows]

    site_separability(features, frame["site"], harmonise=watch, repeats=1)
    folds = calls[1:]  # the first is the description, of everybody
    assert len(folds) == 10 and all(not rows - train or not rows & train for train, rows in folds)
    assert sorted(k for train, rows in folds if not rows & train for k in rows) == list(range(60))


def test_groups_stay_together():
    frame, _ = shifted(60)
    groups = np.repeat(np.arange(30), 2)
    frame["site"] = np.repeat(frame["site"].to_numpy()[::2], 2)
    features, seen = frame.drop(columns="site"), []

    def watch(train, rows):
        if not set(train) & set(rows):
            seen.append(not set(groups[train]) & set(groups[rows]))
        return features.iloc[rows]

    site_separability(features, frame["site"], groups, harmonise=watch, repeats=1)
    assert seen == [True] * 5


def test_sites_that_are_too_small_are_left_out():
    frame, _ = shifted(60)
    site = frame["site"].astype(object)
    site.iloc[:3] = "tiny"
    site.iloc[3:5] = None
    found = site_separability(frame.drop(columns="site"), site)
    assert set(found.pca["site"]) == {"A", "B", "C"} and len(found.pca) == 55
    with pytest.raises(DataError, match="fewer than two sites"):
        site_separability(frame.drop(columns="site"), frame["site"].map(lambda _: "A"))
    with pytest.raises(DataError, match="not about the same patients"):
        site_separability(frame.drop(columns="site"), frame["site"].iloc[::-1])


@pytest.mark.slow
def test_phantom_scanners_are_less_separable_and_the_stage_no_worse(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    cohort, _ = phantom(120, seed=11, sites=4, modalities=("ct",), missing=0, root=tmp_path / "p")
    X, site = cohort.X["ct"], cohort.X[("meta", "site")]
    crops = ScanTransformer().fit(X).transform(X)
    code = np.searchsorted(sorted(site.unique()), site)
    offset = (np.array([0, 40, -40, 70]) / 1400)[code].reshape(-1, 1, 1, 1, 1)
    crops = np.where(crops > 0, np.clip(crops + offset, 0, 1), 0).astype(np.float32)

    def describe(values, rows=slice(None)):
        return crop_features(values, index=X.index[rows])

    def matched(train, rows):
        return describe(HistogramMatching().fit(crops[train]).transform(crops[rows]), rows)

    raw = describe(crops)
    by_combat = site_separability(raw, site, repeats=1).table["auc"]
    by_matching = site_separability(raw, site, harmonise=matched, repeats=1).table["auc"]
    assert by_combat["before"] > 0.85
    assert by_combat["after"] < 0.65 and by_matching["after"] < by_matching["before"] - 0.1
    size = raw[SIZE]
    harmonised = describe(HistogramMatching().fit(crops).transform(crops))[SIZE]
    assert np.corrcoef(size, harmonised)[0, 1] > 0.95


@pytest.mark.parametrize("when", ["fit", "transform"])
def test_an_infinite_value_is_an_error(when):
    """An infinite value would also make the values of all other patients of the site not finite."""
    frame = shifted()[0]
    feature = next(c for c in frame if c != "site")
    bad = frame.copy()
    bad.iloc[4, bad.columns.get_loc(feature)] = np.inf
    with pytest.raises(
        DataError, match=rf"patient {frame.index[4]}, column {feature}: an infinite value .*got inf"
    ):
        ComBat().fit(bad) if when == "fit" else ComBat().fit(frame).transform(bad)
