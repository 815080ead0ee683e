from pathlib import Path

import pandas as pd
import pytest

from mmfusion.data.cohort import Cohort
from mmfusion.data.load import load_cohort
from mmfusion.data.manifest import write_manifest
from mmfusion.errors import DataError, ManifestError

FILES = {
    "labels.csv": "patient_id,stage\np1,IA\np2,Stage IIIb\np3,\n",
    "rna.csv": "gene,p1,p2\nTP53,1,4\nEGFR,2.5,5\n",
    "ehr.csv": "patient_id,age,Gender,T,hospital\np1,60,Male,2,north\np3,70,Female,3,south\n",
    "seeds.csv": "patient_id,coordX,coordY,coordZ\np1,1,2,3\n",
    "ct/p1.nii": "scan",
}
ROWS = [
    {"modality": "", "role": "labels", "path": "labels.csv"},
    {"modality": "rna", "role": "features", "path": "rna.csv", "unit": "tpm"},
    {"modality": "ehr", "role": "features", "path": "ehr.csv"},
    {"modality": "ct", "role": "seeds", "path": "seeds.csv"},
    {"patient_id": "p1", "modality": "ct", "role": "volume", "path": "ct/p1.nii", "license": "CC0"},
]


@pytest.fixture
def make(tmp_path):
    """Write a small study; `make(files, rows)` replaces some of its files and rows."""

    def write(files=None, rows=None, extra=(), drop=()):
        for name, text in {**FILES, **(files or {})}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        chosen = [r for r in (ROWS if rows is None else rows) if r["path"] not in drop] + list(extra)
        frame = pd.DataFrame([{"dataset": "study", "patient_id": "", **r} for r in chosen]).fillna("")
        return write_manifest(frame, tmp_path / "data_manifest.csv", hashes=True)

    return write


def test_a_users_study(make, tmp_path):
    cohort = load_cohort(make())
    assert isinstance(cohort, Cohort)
    assert cohort.name == "study"
    assert list(cohort.table.index) == ["p1", "p2", "p3"]
    assert cohort.modalities == ["ct", "ehr", "rna"]
    assert cohort.outcomes["stage"].dropna().to_dict() == {"p1": "IA", "p2": "IIIB"}
    assert cohort.target == "stage3_ajcc7"
    assert cohort.y.astype(str).to_dict() == {"p1": "I", "p2": "III"}
    assert cohort.table.loc["p2", ("rna", "EGFR")] == 5
    assert cohort.table.loc["p1", ("ct", "volume")] == str(tmp_path / "ct" / "p1.nii")
    assert cohort.table.loc["p1", ("ct", "seed_z")] == 3
    assert cohort.table["ehr"].columns.tolist() == ["age", "sex"]
    assert cohort.table["meta", "site"].dropna().to_dict() == {"p1": "north", "p3": "south"}
    assert cohort.groups["site"].dropna().to_dict() == {"p1": "north", "p3": "south"}
    assert cohort.units == {"rna": "tpm"}
    assert cohort.provenance["license"] == "CC0"
    assert any("T" in note and "left out" in note for note in cohort.provenance["notes"])


def test_target(make):
    path = make({"labels.csv": FILES["labels.csv"].replace("p3,", "p3,IV")})
    assert load_cohort(path).target == "stage4_ajcc7"
    assert load_cohort(path, target="late_vs_early").y.astype(str).tolist() == ["I-II", "III-IV", "III-IV"]
    with pytest.raises(DataError, match="no target"):
        load_cohort(path, target="stage5")


def test_outcomes_of_a_table_of_labels(make):
    labels = "patient_id,stage,T,N,M,EGFR mutation status,KRAS,note\np1,IA,1a,0,0,Mutant,WT,x\n"
    labels += "p2,IIIB,T4,N2,M0,,mutant,y\np3,,,,,Unknown,,z\n"
    cohort = load_cohort(make({"labels.csv": labels}))
    assert list(cohort.outcomes) == ["stage", "t", "n", "m", "egfr", "kras"]
    assert cohort.with_target("egfr").y.astype(str).to_dict() == {"p1": "mutant"}
    assert cohort.with_target("kras").y.astype(str).to_dict() == {"p1": "wildtype", "p2": "mutant"}
    assert cohort.with_target("stage4_ajcc8").y.astype(str).to_dict() == {"p1": "I", "p2": "III"}
    assert [t for t in cohort.targets if not t.startswith("stage")] == [
        "late_vs_early",
        "egfr",
        "kras",
        "expression",
    ]
    assert not {f for m, f in cohort.table.columns if m == "ehr"} & {"egfr", "kras", "n"}


def test_labels_without_a_stage(make):
    cohort = load_cohort(make({"labels.csv": "patient_id,egfr\np1,wt\np2,mutant\np3,\n"}))
    assert list(cohort.outcomes) == ["egfr"] and cohort.target == "egfr" and len(cohort) == 2
    with pytest.raises(DataError, match="no column stage") as raised:
        cohort.with_target("stage2")
    assert raised.value.expected == "egfr, expression"


def test_labels_in_two_tables(make):
    more = {"modality": "", "role": "labels", "path": "molecular.csv"}
    cohort = load_cohort(make({"molecular.csv": "patient_id,egfr\np2,mutant\np4,wt\n"}, extra=[more]))
    assert list(cohort.table.index) == ["p1", "p2", "p3", "p4"]
    assert cohort.target == "stage3_ajcc7"
    assert cohort.with_target("egfr").y.astype(str).to_dict() == {"p2": "mutant", "p4": "wildtype"}
    with pytest.raises(DataError, match="labelled twice") as raised:
        load_cohort(make({"molecular.csv": "patient_id,stage\np2,IA\n"}, extra=[more]))
    assert raised.value.patient == "p2"


def test_two_columns_of_one_status(make):
    labels = "patient_id,stage,EGFR,EGFR status\np1,IA,wt,mutant\n"
    with pytest.raises(DataError, match="two columns of egfr"):
        load_cohort(make({"labels.csv": labels}))


def test_labels_of_the_9th_edition(make):
    labels = "patient_id,T,N,M\np1,T1c,N2a,M0\np2,T3,N2,M0\np3,T2a,N0,M1c2\n"
    path = make({"labels.csv": labels})
    cohort = load_cohort(path, edition=9)
    assert cohort.outcomes["stage"].to_dict() == {"p1": "IIB", "p2": "III", "p3": "IVB"}
    assert cohort.target == "stage4_ajcc9" and cohort.provenance["ajcc_edition"] == 9
    assert cohort.with_target("stage4_ajcc8").y.tolist() == ["III", "III", "IV"]
    with pytest.raises(DataError, match="not a T category of AJCC 7"):
        load_cohort(path)
    with pytest.raises(DataError, match="AJCC 9 gives more than one stage for T1c N2 M0") as raised:
        load_cohort(make({"labels.csv": labels.replace("N2a", "N2")}), edition=9)
    assert raised.value.patient == "p1"


def test_recorded_stages_are_of_the_edition_that_is_said(make):
    assert load_cohort(make(), edition=8).target == "stage3_ajcc8"
    with pytest.raises(DataError, match="its stage is of AJCC 7") as raised:
        load_cohort(make(), target="stage3_ajcc8")
    assert "edition=" in raised.value.hint
    assert load_cohort(make(), target="stage3_ajcc8", edition=8).y.tolist() == ["I", "III"]


def test_stage_from_t_n_m(make):
    path = make({"labels.csv": "PatientID,T,N,M\np1,2a,0,0\np2,T2b,N1,M0\np3,,N0,M0\n"})
    assert load_cohort(path).outcomes["stage"].dropna().to_dict() == {"p1": "IB", "p2": "IIB"}
    assert load_cohort(path, edition=8).outcomes["stage"]["p2"] == "IIB"
    assert load_cohort(path, edition=8).provenance["ajcc_edition"] == 8


def test_files_of_single_patients(make):
    rows = [
        ROWS[0],
        {"patient_id": "p1", "modality": "rna", "role": "features", "path": "a.csv", "unit": "tpm"},
        {"patient_id": "p2", "modality": "rna", "role": "features", "path": "b.csv", "unit": "tpm"},
    ]
    table = load_cohort(
        make({"a.csv": "gene,value\nTP53,1\nEGFR,2\n", "b.csv": "TP53,3\nKRAS,4\n"}, rows)
    ).table["rna"]
    assert table.loc["p1"].dropna().to_dict() == {"TP53": 1, "EGFR": 2}
    assert table.loc["p2"].dropna().to_dict() == {"TP53": 3, "KRAS": 4}


def test_a_row_derived_from_another_is_the_same_person(make):
    path = make(
        {"labels.csv": "patient_id,stage\np1,IA\np2,IIIB\np1-copy,IA\n", "ct/c.nii": "copy"},
        extra=[
            {
                "patient_id": "p1-copy",
                "modality": "ct",
                "role": "volume",
                "path": "ct/c.nii",
                "derived_from": "p1",
            }
        ],
    )
    assert load_cohort(path).groups["patient"].loc[["p1", "p1-copy", "p2"]].tolist() == ["p1", "p1", "p2"]


SIBLINGS = {"labels.csv": "patient_id,stage\na,IA\nb,IA\nc,IIIB\n", "ct/a.nii": "a", "ct/b.nii": "b"}


@pytest.mark.parametrize(
    ("of_a", "of_b"),
    [
        ("p0", "p0"),
        ("", "a"),
        ("", "ct/a.nii"),
        ("", "ct\\a.nii"),
        ("b", "a"),
        ("b", "p0"),
        ("a", "ct/a.nii"),
    ],
)
def test_rows_of_one_person_stay_together(make, of_a, of_b):
    """`derived_from` may be a patient or a file, and the person need not be a row."""
    scan = {"modality": "ct", "role": "volume"}
    rows = [
        ROWS[0],
        {"patient_id": "a", "path": "ct/a.nii", "derived_from": of_a, **scan},
        {"patient_id": "b", "path": "ct/b.nii", "derived_from": of_b, **scan},
    ]
    person = load_cohort(make(SIBLINGS, rows)).groups["patient"]
    assert person["a"] == person["b"] != person["c"] == "c"


def test_derived_from_a_file_of_no_patient(make):
    rows = [ROWS[0], {**ROWS[4], "patient_id": "a", "path": "ct/a.nii", "derived_from": "ct/lost.nii"}]
    with pytest.raises(ManifestError, match="a file of no patient") as raised:
        load_cohort(make(SIBLINGS, rows))
    assert (raised.value.patient, raised.value.column) == ("a", "derived_from")


def test_another_root(make, tmp_path):
    path = make()
    moved = tmp_path.parent / f"{tmp_path.name}-moved.csv"
    path.rename(moved)
    assert len(load_cohort(moved, root=tmp_path)) == 2
    with pytest.raises(ManifestError, match="root="):
        load_cohort(moved)


def test_scans_are_found_from_any_folder(make, tmp_path, monkeypatch):
    """A worker process may have another working folder than the process that loaded the cohort."""
    make()
    monkeypatch.chdir(tmp_path)
    by_manifest, by_root = load_cohort("data_manifest.csv"), load_cohort("data_manifest.csv", root=".")
    monkeypatch.chdir("/")
    for cohort in (by_manifest, by_root):
        assert Path(cohort.table.loc["p1", ("ct", "volume")]).is_file()


def test_a_changed_file(make, tmp_path):
    path = make()
    (tmp_path / "rna.csv").write_text(FILES["rna.csv"].replace("2.5", "3.5"))
    with pytest.raises(ManifestError, match="hash differs"):
        load_cohort(path)
    assert load_cohort(path, verify=False).table.loc["p1", ("rna", "EGFR")] == 3.5


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"extra": [{**ROWS[4], "patient_id": "p9", "path": "ehr.csv"}]}, {"patient": "p9"}, "in no table"),
        ({"extra": [{**ROWS[0], "path": "seeds.csv"}]}, {}, "no stage"),
        (
            {"extra": [{**ROWS[2], "path": "copy.csv"}], "files": {"copy.csv": FILES["ehr.csv"]}},
            {"patient": "p1, p3"},
            "two tables",
        ),
        (
            {"extra": [{**ROWS[0], "path": "copy.csv"}], "files": {"copy.csv": FILES["labels.csv"]}},
            {"patient": "p1"},
            "twice",
        ),
        ({"rows": [ROWS[0], {**ROWS[1], "unit": ""}]}, {"column": "unit"}, "no unit"),
        (
            {"rows": [ROWS[0], {**ROWS[1], "unit": "counts"}], "files": {"rna.csv": "gene,p1\nTP53,-1\n"}},
            {"patient": "p1"},
            "negative",
        ),
        ({"rows": ROWS[:1]}, {}, "no scans and no features"),
        (
            {"files": {"labels.csv": "patient_id,stage\np1,grade 2\n"}},
            {"patient": "p1", "column": "stage"},
            "not a stage",
        ),
        (
            {"files": {"labels.csv": "patient_id,stage\np1,I\np1,II\n"}},
            {"patient": "p1"},
            "duplicate patient",
        ),
        (
            {"files": {"labels.csv": "patient_id,t,n,m\np1,T9,N0,M0\n"}},
            {"patient": "p1", "column": "T"},
            "not a T category",
        ),
        ({"files": {"seeds.csv": "patient_id,x,y,z\np1,1,2,3\n"}}, {}, "not seed points"),
        (
            {"files": {"seeds.csv": FILES["seeds.csv"].replace(",3", ",left")}},
            {"patient": "p1", "column": "seed_z"},
            "not a number",
        ),
    ],
)
def test_a_study_that_contradicts_itself(make, change, where, message):
    path = make(**change)
    with pytest.raises((DataError, ManifestError), match=message) as raised:
        load_cohort(path)
    assert {k: getattr(raised.value, k) for k in where} == where


def test_two_sites_for_one_patient(make):
    rows = [{**ROWS[4], "site": "a"}, {**ROWS[4], "role": "mask", "path": "labels.csv", "site": "b"}, ROWS[0]]
    with pytest.raises(ManifestError, match="two sites"):
        load_cohort(make(rows=rows))
    assert load_cohort(make(rows=[rows[0], ROWS[0]])).table.loc["p1", ("meta", "site")] == "a"


def test_several_data_sets(make):
    path = make(extra=[{"dataset": "other", "modality": "ehr", "role": "features", "path": "labels.csv"}])
    with pytest.raises(ManifestError, match="several data sets"):
        load_cohort(path)
    assert load_cohort(path, dataset="study").name == "study"
    with pytest.raises(ManifestError, match="no such data set"):
        load_cohort(path, dataset="third")


def test_no_such_cohort(tmp_path):
    with pytest.raises(DataError, match="radiogenomics"):
        load_cohort("radiogenomic")
    with pytest.raises(DataError, match="mmfusion init"):
        load_cohort(tmp_path)
    with pytest.raises(ManifestError, match="no manifest"):
        load_cohort(tmp_path / "m.csv")
