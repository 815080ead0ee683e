"""Association of numbers with ordered classes, against scipy and against what was planted."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mmfusion.errors import DataError
from mmfusion.metrics import class_table, holm, ordered_table
from mmfusion.metrics.ordered import detectable_correlation


def planted(n=150, seed=0, slope=0.5):
    rng = np.random.default_rng(seed)
    codes = rng.integers(3, size=n)
    stage = pd.Series(pd.Categorical.from_codes(codes, ["I", "II", "III"], ordered=True))
    values = pd.DataFrame(
        {
            "trend": rng.normal(size=n) + slope * codes,
            "middle": rng.normal(size=n) + 1.5 * (codes == 1),
            "nothing": rng.normal(size=n),
        }
    )
    return values, stage


def test_it_is_what_scipy_says():
    values, stage = planted()
    found = ordered_table(values, stage, n_boot=200)
    codes = stage.cat.codes
    for name in values:
        rho, p = stats.spearmanr(values[name], codes)
        assert found.loc[name, ["rho", "p_trend"]].tolist() == pytest.approx([rho, p])
        groups = [values[name][codes == k] for k in range(3)]
        assert found.loc[name, "p_any"] == pytest.approx(stats.kruskal(*groups).pvalue)
    assert found["p_trend_holm"].tolist() == holm(found["p_trend"]).tolist()


def test_what_was_planted_is_found():
    found = ordered_table(*planted(), n_boot=500)
    assert found.loc["trend", "lo"] > 0 and found.loc["trend", "p_trend_holm"] < 0.01
    assert found.loc["middle", "p_any_holm"] < 0.01 < found.loc["middle", "p_trend"]
    assert found.loc["nothing", "lo"] < 0 < found.loc["nothing", "hi"]


def test_the_interval_covers_nothing_about_19_times_of_20():
    missed = 0
    for seed in range(60):
        values, stage = planted(60, seed + 1, slope=0.0)
        row = ordered_table(values[["trend"]], stage, n_boot=300).loc["trend"]
        missed += not row["lo"] <= 0 <= row["hi"]
    assert missed <= 9  # of 60: P(more than 9 | 5 %) is below 0.002


def test_too_few_patients_are_not_estimable():
    values, stage = planted(40)
    values.loc[:, "gone"] = np.nan
    values.loc[:5, "gone"] = 1.0
    values["constant"] = 2.0
    values.loc[stage.index[stage == "III"][3:], "nothing"] = np.nan
    found = ordered_table(values, stage, n_boot=50)
    assert found.loc[["gone", "constant"]].drop(columns="n").isna().all(axis=None)
    assert np.isnan(found.loc["nothing", "p_any"]) and found.loc["nothing", "p_trend"] > 0
    assert found.loc["gone", "n"] == 6
    others = found.loc[["trend", "middle", "nothing"], "p_trend"]
    assert found.loc[others.index, "p_trend_holm"].tolist() == holm(others).tolist()


def test_the_same_seed_gives_the_same_numbers():
    values, stage = planted()
    pd.testing.assert_frame_equal(ordered_table(values, stage), ordered_table(values, stage))


def test_bad_classes():
    values, stage = planted(20)
    with pytest.raises(DataError, match="no order"):
        ordered_table(values, stage.astype(str))
    with pytest.raises(DataError, match="not the classes of these patients"):
        ordered_table(values, stage[::-1])
    stage[3] = None
    with pytest.raises(DataError, match="patient 3: a class is missing"):
        ordered_table(values, stage)


def test_quartiles_of_each_class():
    values, stage = planted()
    table = class_table(values, stage)
    assert table.loc["trend", "n"].sum() == len(stage)
    chosen = values["middle"][stage == "II"]
    assert table.loc[("middle", "II"), "median"] == chosen.median()
    assert list(table.index.unique(0)) == list(values)


def test_the_order_of_the_patients_does_not_matter():
    values, stage = planted()
    order = np.random.default_rng(1).permutation(len(values))
    one, other = ordered_table(values, stage), ordered_table(values.iloc[order], stage.iloc[order])
    pd.testing.assert_frame_equal(one, other)


def test_columns_that_are_no_numbers_are_refused():
    values, stage = planted(20)
    with pytest.raises(DataError, match="column text: not a column of numbers"):
        ordered_table(values.assign(text="x"), stage)
    with pytest.raises(DataError, match="column trend: a value is infinite"):
        ordered_table(values.assign(trend=np.inf), stage)
    for table in (ordered_table, class_table):
        with pytest.raises(DataError, match="column trend: a column occurs twice"):
            table(pd.concat([values, values[["trend"]]], axis=1), stage)
    with pytest.raises(DataError, match=r"parameter classes: .*expected Series; got list"):
        ordered_table(values, list(stage))


def test_the_detectable_correlation_is_found_in_four_of_five_studies():
    rng, n = np.random.default_rng(0), 50
    r = detectable_correlation(n)
    x = rng.normal(size=(4000, n))
    y = r * x + np.sqrt(1 - r**2) * rng.normal(size=x.shape)
    found = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)])
    assert (np.abs(np.arctanh(found)) * np.sqrt(n - 3) > 1.96).mean() == pytest.approx(0.8, abs=0.03)


def test_three_patients_have_no_detectable_correlation():
    with pytest.raises(DataError, match=r"too few patients for a correlation \(expected 4 or more; got 3\)"):
        detectable_correlation(3)
