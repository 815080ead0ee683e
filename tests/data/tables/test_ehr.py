import pandas as pd
import pytest

from mmfusion.data.tables.ehr import canonical_ehr
from mmfusion.errors import DataError


def table(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.Index([f"p{i}" for i in range(n)], name="patient_id"), dtype="str")


def one(column, *values):
    return canonical_ehr(table(**{column: list(values)}))


def test_radiogenomics_headers():
    got = canonical_ehr(
        pd.DataFrame(
            {
                "Patient affiliation": ["VA", "Stanford"],
                "Age at Histological Diagnosis": ["60", "71"],
                "Weight (lbs)": ["180", "Not Collected"],
                "Gender": ["Male", "Female"],
                "Smoking status": ["Nonsmoker", "Former"],
                "Pack Years": ["N/A", "30"],
                "Quit Smoking Year": ["N/A", "1980"],
                "%GG": ["Not Assessed", ">0 - 25%"],
                "Tumor Location (choice=RUL)": ["Checked", "Unchecked"],
                "Tumor Location (choice=L Lingula)": ["Unchecked", "Checked"],
                "Histology ": ["NSCLC NOS (not otherwise specified)", "Squamous cell carcinoma"],
                "EGFR mutation status": ["Unknown", "Mutant"],
                "ALK translocation status": ["Translocated", "Not collected"],
                "CT Date": ["9/6/1990", "1/2/1991"],
                "Pathological T stage": ["T1a", "T2a"],
            },
            index=["a", "b"],
        )
    )
    a, b = (got.features.loc[i].dropna().to_dict() for i in "ab")
    assert a == {
        "age": 60,
        "weight": pytest.approx(81.6466266),
        "sex": "male",
        "smoking_status": "never",
        "lobe_rul": 1,
        "lobe_lingula": 0,
        "histology": "nos",
        "alk": "translocated",
    }
    assert b == {
        "age": 71,
        "sex": "female",
        "smoking_status": "former",
        "pack_years": 30,
        "years_since_quit": 11,
        "ground_glass": ">0 - 25%",
        "lobe_rul": 0,
        "lobe_lingula": 1,
        "histology": "squamous cell",
        "egfr": "mutant",
    }
    assert got.meta["site"].tolist() == ["VA", "Stanford"]
    assert got.left_out == ("CT Date", "Pathological T stage")


def test_canonical_names_pass_through():
    columns = {
        "age": "60.5",
        "sex": "female",
        "weight": "70",
        "pack_years": "0",
        "years_since_quit": "3",
        "lobe_rul": "1.0",
        "ground_glass": "0%",
        "histology": "large cell",
        "kras": "wildtype",
        "smoking_status": "current",
    }
    got = canonical_ehr(table(**{k: [v] for k, v in columns.items()})).features
    assert list(got) == list(columns)
    assert got.iloc[0].astype(str).tolist() == [
        "60.5",
        "female",
        "70.0",
        "0.0",
        "3.0",
        "1.0",
        *list(columns.values())[6:],
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("weight", "180 lbs"),
        ("Weight (lbs)", "180 lbs"),
        ("age", "sixty"),
        ("pack_years", "30+"),
        ("age", "inf"),
        ("age", "-5"),
        ("age", "700"),
        ("weight", "1800"),
        ("Weight (lbs)", "3"),
        ("Gender", "other sex"),
        ("smoking_status", "sometimes"),
        ("egfr", "maybe"),
        ("lobe_rul", "maybe"),
    ],
)
def test_a_bad_cell_is_named(column, value):
    with pytest.raises(DataError) as raised:
        canonical_ehr(table(**{column: ["", value]}), file="ehr.csv")
    error = raised.value
    assert (error.patient, error.file, error.column, error.got) == ("p1", "ehr.csv", column, repr(value))
    assert error.expected


def test_an_age_of_700():
    with pytest.raises(DataError, match=r"p0, column age: out of the plausible range .*0 to 120 years"):
        one("age", "700")


def test_units_in_the_text_get_a_hint():
    with pytest.raises(DataError, match=r"Weight \(lbs\)"):
        one("weight", "180 lbs")


def test_own_columns_are_numbers_or_text():
    got = canonical_ehr(
        table(ldh=["200", "", "310.5"], ecog=["", "", ""], residence=["urban", "rural", ""])
    ).features
    assert got.dtypes.astype(str).tolist() == ["float64", "float64", "str"]
    with pytest.raises(DataError) as raised:
        canonical_ehr(table(ldh=["200", "210 U/l", "310.5"]))
    assert (raised.value.patient, raised.value.column) == ("p1", "ldh")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"sex": "male"}, {"Gender": "male"}),
        ({"site": "A"}, {"hospital": "B"}),
        ({"years_since_quit": "10"}, {"Quit Smoking Year": "1980"}),
        ({"Quit Smoking Year": "1980"}, {"years_since_quit": "10"}),
        ({"Pathological T stage": "T1a"}, {"Clinical T stage": "T2"}),
        ({"ldh": "200"}, {" ldh ": "210"}),
    ],
)
def test_two_columns_for_one_name(first, second):
    with pytest.raises(DataError, match="two columns mean the same") as raised:
        canonical_ehr(
            table(**{k: [v] for k, v in (first | second).items()}), allow_leaky=True, file="ehr.csv"
        )
    column = next(iter(second))
    assert (raised.value.column, raised.value.file) == (column, "ehr.csv")
    assert raised.value.got == f"{next(iter(first))} and {column}"


@pytest.mark.parametrize(
    ("column", "value", "name", "read"),
    [
        ("Age (yrs)", "61", "age", 61),
        ("age_at_diagnosis", "61", "age", 61),
        ("Age [months]", "732", "age", 61),
        ("Gender (M/F)", "m", "sex", "male"),
        ("Pack-Years", "30", "pack_years", 30),
        ("Smoking history", "Former smoker", "smoking_status", "former"),
        ("Smoking Hx", "ex-smoker", "smoking_status", "former"),
        ("Weight [lbs]", "100", "weight", pytest.approx(45.359237)),
        ("weight_kg", "70", "weight", 70),
        ("EGFR status", "WT", "egfr", "wildtype"),
        ("EGFR status", "L858R", "egfr", "mutant"),
        ("EGFR mutation", "exon 19 deletion", "egfr", "mutant"),
        ("EGFR mutation", "Exon 21 (p.L858R) + T790M", "egfr", "mutant"),
        ("EGFR mutation", "E746_A750del", "egfr", "mutant"),
        ("EGFR mutation", "Exon 20 in-frame insertion (+)", "egfr", "mutant"),
        ("KRAS", "not detected", "kras", "wildtype"),
        ("KRAS", "p.G12C", "kras", "mutant"),
        ("ALK status", "positive", "alk", "translocated"),
    ],
)
def test_usual_headers_are_known(column, value, name, read):
    assert one(column, value).features.iloc[0].to_dict() == {name: read}


@pytest.mark.parametrize(
    "text",
    [
        "exon 18-21 negative",
        "Exon 19 wild type",
        "exon 19 deletion not detected",
        "exon 19, 21: no mutation detected",
        "exon 20 not tested",
        "del19 negative",
        "Q787Q",  # the amino acid stays
        "exon 19",
        "L858R?",
        "L858R (+), T790M (-)",
    ],
)
def test_a_text_that_may_deny_a_mutation_is_refused(text):
    with pytest.raises(DataError, match="unknown category") as raised:
        one("EGFR status", text)
    assert raised.value.got == repr(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Squamous cell carcinoma", "squamous cell"),
        ("Adenocarcinoma, acinar", "adenocarcinoma"),
        ("Large cell carcinoma", "large cell"),
        ("NSCLC NOS (not otherwise specified)", "nos"),
        ("Adenosquamous carcinoma", "adenosquamous carcinoma"),
        ("Adenoid cystic carcinoma", "adenoid cystic carcinoma"),
        ("Large cell neuroendocrine carcinoma", "large cell neuroendocrine carcinoma"),
    ],
)
def test_other_tumours_keep_their_name(text, read):
    assert one("Histology", text).features["histology"].tolist() == [read]


def test_a_unit_that_is_not_known():
    with pytest.raises(DataError, match="unknown unit") as raised:
        one("Weight (stone)", "11")
    assert raised.value.column == "Weight (stone)"
    assert "lbs" in raised.value.expected and "Weight (kg)" in raised.value.hint
    with pytest.raises(DataError, match="22 to 882 lbs"):
        one("Weight [lbs]", "3")


def test_brackets_of_an_own_column_are_kept():
    assert list(one("CRP (mg/l)", "3").features) == ["CRP (mg/l)"]


LEAKS = [
    "pTNM",
    "TNM",
    "cTNM",
    "TNM (7th ed)",
    "T descriptor",
    "T/N category",
    "Path T",
    "T (path)",
    "pT7",
    "ypN",
    "UICC",
    "Mets",
    "Outcome",
    "Died",
    "Deceased",
    "FU months",
    "Time to last FU",
    "Last contact",
    "Node status",
    "nodal status",
    "lymph nodes positive",
    "Positive nodes",
    "Lymph-node involvement",
    "Nodes",
    "N+",
    "Pathological T stage",
    "Clinical.N.Stage",
    "pathologic_M",
    "T",
    "pN",
    "stage",
    "ajcc_pathologic_tumor_stage",
    "Overall.Stage",
    "Histopathological Grade",
    "Lymphovascular invasion",
    "Adjuvant Treatment",
    "Chemotherapy",
    "Radiation",
    "Recurrence Location",
    "Date of Recurrence",
    "Survival Status",
    "Survival.time",
    "deadstatus.event",
    "Time to Death (days)",
    "CT Date",
    "Days between CT and surgery",
    "vital_status",
    "days_to_last_followup",
    "OS.time",
    "PFI",
    "residual_tumor",
    "new_tumor_event_type",
    "tumor_status",
    "cause_of_death",
    "censorship",
]


@pytest.mark.parametrize("column", LEAKS)
def test_columns_that_reveal_the_stage_are_left_out(column):
    got = canonical_ehr(table(**{column: ["1"], "age": ["60"]}))
    assert list(got.features) == ["age"]
    assert got.left_out == (column,)


KEPT = (
    "residence, smoking_status, hypertension, fev1, cea, tsh, n_children, diabetes, Notes, T3, T4, "
    "Tumor location, Tumor size (mm), node of origin, AV nodal block, nodule shape, Bone T score, "
    "MET, MET status, T cell count, M protein, deadlift (kg), fungal disease"
)


@pytest.mark.parametrize("column", KEPT.split(", "))
def test_other_columns_are_kept(column):
    values = ["never"] if column == "smoking_status" else ["1"]
    assert list(canonical_ehr(table(**{column: values})).features) == [column]


def test_leaky_on_request_only():
    frame = table(**{"Pathological T stage": ["T1a"], "clinical.T.Stage": ["2"], "Survival.time": ["3"]})
    assert list(canonical_ehr(frame.iloc[:, [0, 2]], allow_leaky=True).features) == ["t_stage"]


def test_the_table_stays_as_it_is():
    frame = table(age=["60", "N/A"])
    before = frame.copy()
    canonical_ehr(frame)
    pd.testing.assert_frame_equal(frame, before)
