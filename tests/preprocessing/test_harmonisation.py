"""ComBat removes location and scale of sites, keeps the signal, and equals neuroCombat."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmfusion.errors import DataError
from mmfusion.preprocessing.harmonisation import ComBat, SiteWarning
from tests.preprocessing.sites import ids, shifted

SITES = ["a"] * 4 + ["b"] * 3 + ["c"] * 5


def worked_example():
    """Twelve patients, five features, three sites and an age, by formula."""
    i, j, site = np.arange(12)[:, None], np.arange(5)[None], np.array(SITES)
    age = np.array([50, 61, 47, 70, 66, 58, 73, 49, 55, 64, 71, 60.0])
    y = np.sin(1.7 * i + 0.9 * j * j) + 0.3 * j * np.cos(i * (j + 1))
    y = y + (site == "b")[:, None] * (1 + 0.2 * j) + (site == "c")[:, None] * y * 0.8 + 0.02 * age[:, None]
    return pd.DataFrame(y, columns=[f"f{k}" for k in range(5)], index=ids(12)).assign(site=site, age=age)


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
