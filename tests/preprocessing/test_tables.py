import warnings

import numpy as np
import pandas as pd
import pytest

from mmfusion.data.sources.lung1 import lung1
from mmfusion.data.sources.radiogenomics import radiogenomics
from mmfusion.errors import DataError
from mmfusion.preprocessing.tables import (
    FreeTextWarning,
    MissingColumnsWarning,
    NewCategoryWarning,
    TableTransformer,
)

AGE, FEMALE, MALE, UNKNOWN, MISSING = range(5)


@pytest.fixture
def frame():
    ages = [50.0, 60.0, np.nan, 70.0, np.nan, np.nan]
    sexes = ["female", "male", "male", np.nan, np.nan, "female"]
    return pd.DataFrame({"age": ages, "sex": sexes}, index=["p1", "p2", "p3", "p4", "p5", "p6"])


@pytest.fixture
def fitted(frame):
    return TableTransformer().fit(frame)


def test_golden(frame, fitted):
    assert fitted.feature_names_out_ == ("age", "sex=female", "sex=male", "sex=<unk>", "sex=<missing>")
    z = 10 / np.sqrt(200 / 3)  # mean 60, SD of 50, 60, 70
    expected = [
        [[-z, 1, 0, 0, 0], [1, 1, 1, 1, 1]],
        [[0, 0, 1, 0, 0], [1, 1, 1, 1, 1]],
        [[0, 0, 1, 0, 0], [0, 1, 1, 1, 1]],  # the median is 60
        [[z, 0, 0, 0, 1], [1, 0, 0, 0, 0]],
        [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],  # lacks the modality
        [[0, 1, 0, 0, 0], [0, 1, 1, 1, 1]],
    ]
    out = fitted.transform(frame)
    assert out.dtype == np.float32 and out.shape == (6, 2, 5)
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_median_not_mean_fills_gaps():
    frame = pd.DataFrame({"v": [0.0, 0.0, 9.0, np.nan], "w": [1.0, 2.0, 3.0, 4.0]}, index=list("abcd"))
    fitted = TableTransformer().fit(frame)
    assert fitted.moments_["v"] == (0.0, 3.0, pytest.approx(np.sqrt(18)))
    assert fitted.transform(frame)[3, 0, 0] == pytest.approx(-3 / np.sqrt(18))


def test_clip(frame, fitted):
    old = frame.assign(age=[1e9, -1e9, 60, 60, 60.0, 60])
    assert list(fitted.transform(old)[:2, 0, AGE]) == [5, -5]
    assert TableTransformer(clip=None).fit(frame).transform(old)[0, 0, AGE] > 1e6


def test_new_category_is_unknown_with_a_warning(frame, fitted):
    with pytest.warns(NewCategoryWarning, match="sex: not seen in fit.*diverse"):
        out = fitted.transform(frame.iloc[[0]].assign(sex="diverse"))
    np.testing.assert_array_equal(out[0, 0, FEMALE:], [0, 0, 1, 0])
    np.testing.assert_array_equal(out[0, 1], 1)


def test_absent_column_is_missing_with_a_warning(frame, fitted):
    with pytest.warns(MissingColumnsWarning, match="1 of 2 columns absent.*sex"):
        out = fitted.transform(frame.iloc[[0]][["age"]])
    np.testing.assert_array_equal(out[0, :, FEMALE:], [[0, 0, 0, 1], [0, 0, 0, 0]])


def test_unknown_columns_and_their_order_do_not_matter(frame, fitted):
    np.testing.assert_array_equal(
        fitted.transform(frame.assign(extra=1.0)[["extra", "sex", "age"]]), fitted.transform(frame)
    )


def test_a_row_known_only_by_other_columns_lacks_the_modality(fitted):
    row = pd.DataFrame({"age": [np.nan], "sex": [None], "extra": [3.0]}, index=["p9"])
    assert not fitted.present(row).any() and not fitted.transform(row).any()


@pytest.mark.parametrize("cells", [["61", "62.5", None], [61, 62.5, None], ["61 ", 62.5, "N/A"]])
def test_numbers_as_text(cells):
    frame = pd.DataFrame({"age": np.array(cells, dtype=object), "x": [1.0, 2.0, 3.0]}, index=list("abc"))
    fitted = TableTransformer().fit(frame)
    assert fitted.kinds_["age"] == "number" and fitted.moments_["age"][:2] == (61.75, 61.75)
    np.testing.assert_allclose(fitted.transform(frame)[:, :, 0], [[-1, 1], [1, 1], [0, 0]])


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True, False, None, True, False], dtype=object),
        pd.Series([True, False, None, True, False], dtype="boolean"),
        pd.Series(["True", "False", None, "True", "False"], dtype="str"),
        pd.Series(["True", "False", None, "True", "False"], dtype="category"),
    ],
)
def test_booleans_and_categories_are_one_hot(column):
    frame = pd.DataFrame(
        {"b": column.to_numpy() if column.dtype == object else column.array}, index=list("abcde")
    )
    frame["x"] = [1.0, 2.0, 3.0, 4.0, 5.0]
    fitted = TableTransformer().fit(frame)
    assert fitted.levels_ == {"b": ("False", "True")}
    np.testing.assert_array_equal(
        fitted.transform(frame)[:3, 0, :4], [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    )


def test_categories_that_look_like_numbers_stay_categories():
    frame = pd.DataFrame(
        {"code": pd.Categorical(["1", "2", "2", "1"]), "x": [1.0, 2.0, 3.0, 4.0]}, index=list("abcd")
    )
    assert TableTransformer().fit(frame).levels_ == {"code": ("1", "2")}


def test_useless_columns_are_dropped_and_recorded(frame):
    frame = frame.assign(same=3.0, none=np.nan, word="x", rounding=[0.1 + 0.2, 0.3, 0.3, 0.3, 0.3, 0.3])
    fitted = TableTransformer().fit(frame)
    assert fitted.dropped_ == {
        "same": "constant", "none": "missing throughout", "word": "constant", "rounding": "constant",
    }  # fmt: skip
    assert list(fitted.kinds_) == ["age", "sex"]


@pytest.mark.parametrize(("n", "enough"), [(20, 2), (149, 2), (150, 3), (249, 4), (250, 5), (1000, 5)])
def test_a_level_of_too_few_patients_is_pooled(n, enough):
    ward = ["kept"] * enough + ["rare"] * (enough - 1)
    frame = pd.DataFrame({"ward": ward + ["usual"] * (n - len(ward))}, index=[f"p{i}" for i in range(n)])
    fitted = TableTransformer().fit(frame)
    assert fitted.levels_ == {"ward": ("kept", "usual")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of the patients of fit it is known
        out = fitted.transform(frame)[:, 0]
    np.testing.assert_array_equal(out[enough : 2 * enough - 1], [[0, 0, 1, 0]] * (enough - 1))
    assert "rare" not in str(fitted.state())
    with pytest.warns(NewCategoryWarning, match="too rarely, read as unknown: rare"):
        fitted.transform(frame.iloc[[enough]])


def test_free_text_and_identifiers_are_left_out():
    frame = pd.DataFrame(
        {"age": np.arange(60.0), "sex": ["f", "m"] * 30}, index=[f"p{i:02d}" for i in range(60)]
    )
    frame["comment"] = [f"Mr {p} seen by Dr X, phone 555-{i:04d}" for i, p in enumerate(frame.index)]
    frame["note"] = ["nothing"] * 20 + list(frame["comment"][20:])
    with pytest.warns(FreeTextWarning) as said:
        fitted = TableTransformer().fit(frame)
    assert [str(w.message).split(":")[0] for w in said] == ["comment", "note"]
    assert fitted.dropped_ == {"comment": "mostly unique", "note": "mostly unique"}
    assert fitted.feature_names_out_ == ("age", "sex=f", "sex=m", "sex=<unk>", "sex=<missing>")
    assert "555" not in str(fitted.state())


@pytest.mark.parametrize("numbers", [[1.0], [1], pd.array([1], dtype="Int64"), ["1.0"], ["1"], [1.0, np.nan]])
def test_a_category_read_as_a_number_is_its_level(numbers):
    ward = ["1", "2", "3a", "3b", "x", "10"]
    fitted = TableTransformer().fit(pd.DataFrame({"ward": 2 * ward}, index=[f"p{i}" for i in range(12)]))
    frame = pd.DataFrame({"ward": numbers, "other": 0}, index=[f"q{i}" for i in range(len(numbers))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = fitted.transform(frame)[0, 0]
    assert fitted.feature_names_out_[int(out.argmax())] == "ward=1" and out.sum() == 1


def test_a_number_that_is_no_level_is_unknown_with_a_warning():
    packs = ["0", "1-10", ">10", ">10"]
    fitted = TableTransformer().fit(pd.DataFrame({"packs": 2 * packs}, index=[f"p{i}" for i in range(8)]))
    assert fitted.transform(pd.DataFrame({"packs": [0.0]}, index=["q"]))[0, 0, 0] == 1
    with pytest.warns(NewCategoryWarning, match=r"packs: not seen.*7\.0.*known: 0, 1-10, >10"):
        out = fitted.transform(pd.DataFrame({"packs": [7.0]}, index=["q"]))
    np.testing.assert_array_equal(out[0, 0], [0, 0, 0, 1, 0])


def test_a_value_with_its_unit_is_an_error():
    frame = pd.DataFrame({"weight": ["70", "80", "90"]}, index=["p1", "p2", "p3"])
    fitted = TableTransformer().fit(frame)
    for call in (fitted.transform, TableTransformer().fit):
        with pytest.raises(DataError) as raised:
            call(frame.replace("80", "180 lbs"))
        error = raised.value
        assert (error.patient, error.column, error.expected, error.got) == (
            "p2",
            "weight",
            "a number",
            "'180 lbs'",
        )
    with pytest.raises(DataError, match="without its unit"):
        fitted.transform(frame.replace("80", "180 lbs"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.assign(age=[1.0, np.inf, 3.0, 4.0, 5.0, 6.0]), "patient p2, column age: not a number"),
        (lambda f: f.assign(seen=pd.Timestamp("2020-01-01")), "column seen: a date"),
        (lambda f: f.assign(age=1.0, sex="male"), "no column varies"),
    ],
)
def test_bad_tables(frame, change, match):
    with pytest.raises(DataError, match=match):
        TableTransformer().fit(change(frame))


def test_real_tables(shared_data):
    ehr = radiogenomics(shared_data / "nsclc_radiogenomics").X["ehr"]
    fitted = TableTransformer().fit(ehr)
    values, observed = fitted.transform(ehr).transpose(1, 0, 2)
    assert {"number", "category"} == set(fitted.kinds_.values()) and fitted.kinds_[
        "ground_glass"
    ] == "category"
    assert np.isfinite(values).all() and np.abs(values).max() <= 5
    assert fitted.levels_["histology"] == ("adenocarcinoma", "nos", "squamous cell")
    rare = {c: set(ehr[c].dropna()) - set(fitted.levels_[c]) for c in fitted.levels_}
    assert {c: levels for c, levels in rare.items() if levels} == {
        "ethnicity": {"Native Hawaiian/Pacific Islander"}, "ground_glass": {"100%"}, "alk": {"translocated"},
    }  # fmt: skip
    egfr = list(fitted.feature_names_out_).index("egfr=mutant")
    np.testing.assert_array_equal(observed[:, egfr], ehr["egfr"].notna())
    radiomics = lung1(shared_data / "lung1").X["ct"].drop(columns=["seed_x", "seed_y", "seed_z"])
    assert TableTransformer().fit(radiomics).transform(radiomics).shape[2] == 74
