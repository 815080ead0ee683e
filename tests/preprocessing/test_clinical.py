import numpy as np
import pandas as pd
import pytest

from mmfusion.data.files import by_patient, read_table
from mmfusion.data.sources.lung1 import lung1
from mmfusion.data.sources.radiogenomics import radiogenomics
from mmfusion.errors import DataError, LeakageError
from mmfusion.preprocessing.clinical import (
    MissingColumnsWarning,
    NewCategoryWarning,
    TableTransformer,
    check_forbidden,
)

AGE, FEMALE, MALE, UNKNOWN, MISSING = range(5)


@pytest.fixture
def frame():
    ages = [50.0, 60.0, np.nan, 70.0, np.nan]
    sexes = ["female", "male", "male", np.nan, np.nan]
    return pd.DataFrame({"age": ages, "sex": sexes}, index=["p1", "p2", "p3", "p4", "p5"])


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
    ]
    out = fitted.transform(frame)
    assert out.dtype == np.float32 and out.shape == (5, 2, 5)
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_median_not_mean_fills_gaps():
    frame = pd.DataFrame({"v": [0.0, 0.0, 9.0, np.nan], "w": [1.0, 2.0, 3.0, 4.0]}, index=list("abcd"))
    fitted = TableTransformer().fit(frame)
    assert fitted.moments_["v"] == (0.0, 3.0, pytest.approx(np.sqrt(18)))
    assert fitted.transform(frame)[3, 0, 0] == pytest.approx(-3 / np.sqrt(18))


def test_clip(frame, fitted):
    old = frame.assign(age=[1e9, -1e9, 60, 60, 60.0])
    assert list(fitted.transform(old)[:2, 0, AGE]) == [5, -5]
    assert TableTransformer(clip=None).fit(frame).transform(old)[0, 0, AGE] > 1e6


def test_new_category_is_unknown_and_said(frame, fitted):
    with pytest.warns(NewCategoryWarning, match="sex: not seen in fit.*diverse"):
        out = fitted.transform(frame.iloc[[0]].assign(sex="diverse"))
    np.testing.assert_array_equal(out[0, 0, FEMALE:], [0, 0, 1, 0])
    np.testing.assert_array_equal(out[0, 1], 1)


def test_absent_column_is_missing_and_said(frame, fitted):
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
        pd.Series([True, False, None], dtype=object),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series(["True", "False", None], dtype="str"),
        pd.Series(["True", "False", None], dtype="category"),
    ],
)
def test_booleans_and_categories_are_one_hot(column):
    frame = pd.DataFrame({"b": column.to_numpy() if column.dtype == object else column.array}, index=list("abc"))
    frame["x"] = [1.0, 2.0, 3.0]
    fitted = TableTransformer().fit(frame)
    assert fitted.levels_ == {"b": ("False", "True")}
    np.testing.assert_array_equal(fitted.transform(frame)[:, 0, :4], [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


def test_categories_that_look_like_numbers_stay_categories():
    frame = pd.DataFrame({"code": pd.Categorical(["1", "2", "2"]), "x": [1.0, 2.0, 3.0]}, index=list("abc"))
    assert TableTransformer().fit(frame).levels_ == {"code": ("1", "2")}


def test_useless_columns_are_dropped_and_recorded(frame):
    frame = frame.assign(same=3.0, none=np.nan, word="x", rounding=[0.1 + 0.2, 0.3, 0.3, 0.3, 0.3])
    fitted = TableTransformer().fit(frame)
    assert fitted.dropped_ == {
        "same": "constant", "none": "missing throughout", "word": "constant", "rounding": "constant",
    }  # fmt: skip
    assert list(fitted.kinds_) == ["age", "sex"]


def test_a_value_with_its_unit_is_an_error():
    frame = pd.DataFrame({"weight": ["70", "80", "90"]}, index=["p1", "p2", "p3"])
    fitted = TableTransformer().fit(frame)
    for call in (fitted.transform, TableTransformer().fit):
        with pytest.raises(DataError) as raised:
            call(frame.replace("80", "180 lbs"))
        error = raised.value
        assert (error.patient, error.column, error.expected, error.got) == ("p2", "weight", "a number", "'180 lbs'")
    with pytest.raises(DataError, match="without its unit"):
        fitted.transform(frame.replace("80", "180 lbs"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.assign(age=[1.0, np.inf, 3.0, 4.0, 5.0]), "patient p2, column age: not a number"),
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
    assert {"number", "category"} == set(fitted.kinds_.values()) and fitted.kinds_["ground_glass"] == "category"
    assert np.isfinite(values).all() and np.abs(values).max() <= 5
    egfr = list(fitted.feature_names_out_).index("egfr=mutant")
    np.testing.assert_array_equal(observed[:, egfr], ehr["egfr"].notna())
    radiomics = lung1(shared_data / "lung1").X["ct"].drop(columns=["seed_x", "seed_y", "seed_z"])
    assert TableTransformer().fit(radiomics).transform(radiomics).shape[2] == 74


# --- forbidden columns ------------------------------------------------------------------------------------------

OFFICIAL = [
    "Pathological T stage", "Pathological N stage", "Pathological M stage",
    "Pleural invasion (elastic, visceral, or parietal)", "Lymphovascular invasion", "Histopathological Grade",
    "Adjuvant Treatment", "Chemotherapy", "Radiation", "Recurrence", "Recurrence Location",
    "Date of Recurrence", "Survival Status", "Date of Death", "Time to Death (days)",
    "Date of Last Known Alive", "CT Date", "PET Date", "Days between CT and surgery", "clinical.T.Stage",
    "Clinical.N.Stage", "Clinical.M.Stage", "Overall.Stage", "Survival.time", "deadstatus.event",
]  # fmt: skip
CANONICAL = ["t_stage", "n_stage", "m_stage", "stage", "grade", "T", "pN", "stage3_ajcc7"]
ALLOWED = [
    "age", "sex", "ethnicity", "weight", "smoking_status", "pack_years", "years_since_quit", "ground_glass", "lobe_rul",
    "histology", "egfr", "kras", "alk",
]  # fmt: skip


@pytest.mark.parametrize("column", [*OFFICIAL, *CANONICAL])
def test_forbidden(column):
    for name in (column, column.upper(), ("ehr", column), ("ct", column)):
        with pytest.raises(LeakageError, match="allow_leaky=True") as raised:
            check_forbidden(["age", name], "stage3_ajcc7")
        assert raised.value.column in (column, column.upper())


def test_allowed_and_genes_by_the_same_letters():
    check_forbidden(ALLOWED, "stage3_ajcc7")
    check_forbidden([("rna", "T"), ("rna", "OS9"), ("meta", "ct_date")], None)


def test_real_columns(shared_data):
    for cohort in (lung1(shared_data / "lung1"), radiogenomics(shared_data / "nsclc_radiogenomics", aim="all")):
        check_forbidden(cohort.X.columns, cohort.target)
    with pytest.raises(LeakageError, match="t_stage, n_stage, m_stage"):
        check_forbidden(lung1(shared_data / "lung1", allow_leaky=True).X.columns, "stage4_lung1")
    [file] = (shared_data / "nsclc_radiogenomics").glob("NSCLCR01*.csv")
    with pytest.raises(LeakageError) as raised:
        check_forbidden(by_patient(read_table(file), "Case ID").columns)
    assert all(column in raised.value.column for column in OFFICIAL[:9])
