import json
from inspect import signature
from pathlib import Path

import pandas as pd
import pytest

import mmfusion.synthetic
from mmfusion.data.cohort import Cohort
from mmfusion.data.load import load_cohort
from mmfusion.data.manifest import read_manifest, write_manifest
from mmfusion.errors import DataError, ManifestError
from mmfusion.synthetic.cohort import VERSION

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
    """Write a small study; `make(files, rows)` with what differs."""

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
    assert cohort.stage.dropna().to_dict() == {"p1": "IA", "p2": "IIIB"}
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


def test_stage_from_t_n_m(make):
    path = make({"labels.csv": "PatientID,T,N,M\np1,2a,0,0\np2,T2b,N1,M0\np3,,N0,M0\n"})
    assert load_cohort(path).stage.dropna().to_dict() == {"p1": "IB", "p2": "IIB"}
    assert load_cohort(path, edition=8).stage["p2"] == "IIB"
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
    """Whether the person is a row or not, and whether a patient or a file is named."""
    scan = {"modality": "ct", "role": "volume"}
    rows = [
        ROWS[0],
        {"patient_id": "a", "path": "ct/a.nii", "derived_from": of_a, **scan},
        {"patient_id": "b", "path": "ct/b.nii", "derived_from": of_b, **scan},
    ]
    person = load_cohort(make(SIBLINGS, rows)).groups["patient"]
    assert person["a"] == person["b"] != person["c"] == "c"


def test_derived_from_a_file_of_nobody(make):
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
    """A worker process stands where it was started, wherever the cohort was loaded from."""
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
            {"patient": "p1"},
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


GENERATED = [{"role": "generator", "path": ".cache/demo", "generator": "mmfusion.synthetic:phantom"}]


@pytest.fixture
def generator(monkeypatch, tmp_path):
    """The real writer behind a generator that counts its calls."""
    calls = []

    def phantom(n=3, seed=0):
        calls.append((n, seed))
        ids = pd.Index([f"g{i}" for i in range(n)], name="patient_id")
        table = pd.concat({"ehr": pd.DataFrame({"age": 60.0 + seed}, index=ids)}, axis=1)
        stage = pd.Series(["IA"] * (n - 1) + ["IIB"], index=ids)
        provenance = {"version": 1, "planted_genes": ["TP53"], "license": "CC0"}
        cohort = Cohort("fake", table, stage, "stage2", provenance=provenance)
        return cohort, pd.DataFrame({"macro_auc": {"ehr": 0.7}})

    monkeypatch.setattr(mmfusion.synthetic, "phantom", phantom)
    return calls


def generated(tmp_path, **parameters):
    rows = [
        {"dataset": "demo", "patient_id": "", "modality": "", **r, "parameters": json.dumps(parameters)}
        for r in GENERATED
    ]
    return write_manifest(pd.DataFrame(rows), tmp_path / "data_manifest.csv")


def test_a_generated_cohort_is_made_once(tmp_path, generator):
    path = generated(tmp_path, n=4, seed=2, version=1)
    cohort = load_cohort(path)
    assert cohort.target == "stage2"
    assert cohort.table["ehr", "age"].tolist() == [62.0] * 4
    assert cohort.provenance["planted_genes"] == ["TP53"]
    assert cohort.provenance["optimum"] == {"ehr": 0.7}
    assert load_cohort(path, target="stage3_ajcc7").target == "stage3_ajcc7"
    assert generator == [(4, 2)]
    load_cohort(path, seed=3)
    assert generator == [(4, 2), (4, 3)]
    assert not [p for p in (tmp_path / ".cache" / "demo").iterdir() if p.name.startswith(".")]


def test_the_demo_by_name(tmp_path, generator, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
    assert len(load_cohort("demo", n=5)) == len(load_cohort("phantom", n=5)) == 5
    assert generator == [(5, 0)]
    assert (tmp_path / "demo").is_dir()


def test_a_cache_that_cannot_be_written_is_one_error(tmp_path, generator, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        DataError, match=r"file .*file/demo: a generated cohort cannot be written.*MMFUSION_CACHE"
    ):
        load_cohort("demo", n=5)


def test_a_cohort_of_an_older_generator_is_not_found(tmp_path, generator, monkeypatch):
    path = generated(tmp_path, n=4)
    load_cohort(path)
    monkeypatch.setattr(mmfusion.synthetic, "VERSION", VERSION + 1)
    load_cohort(path)
    assert generator == [(4, 0)] * 2


def test_a_generator_that_cannot_run(tmp_path, generator):
    with pytest.raises(ManifestError, match="another version") as raised:
        load_cohort(generated(tmp_path, version=99))
    assert raised.value.got == 99
    with pytest.raises(ManifestError, match="refuses its parameters"):
        load_cohort(generated(tmp_path, colour="red"))
    assert not (tmp_path / ".cache").exists() or not list((tmp_path / ".cache" / "demo").iterdir())


def test_the_committed_manifest_describes_the_demo():
    manifest = read_manifest(Path(__file__).parents[2] / "data_manifest.csv")
    assert manifest["role"].tolist() == ["generator"]
    parameters = json.loads(manifest["parameters"][0])
    assert parameters.pop("version") == VERSION
    assert {"n", "seed"} <= set(parameters) <= set(signature(mmfusion.synthetic.phantom).parameters)


def test_a_phantom_survives_its_files(tmp_path, monkeypatch):
    """What the generator made and what is read back are the same, to the bit."""
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    options = {"n": 12, "n_genes": 60, "missing": 0.5, "modalities": ["rna", "ehr"]}
    made, optimum = mmfusion.synthetic.phantom(**options)
    read = load_cohort("demo", tmp_path / "demo", **options)
    assert set(read.table.columns) == set(made.table.columns)
    for column in made.table:
        pd.testing.assert_series_equal(
            read.table[column].loc[made.table.index], made.table[column], check_dtype=False, check_exact=True
        )
    pd.testing.assert_series_equal(
        read.stage.loc[made.stage.index], made.stage, check_names=False, check_dtype=False
    )
    assert read.provenance["optimum"] == optimum["macro_auc"].to_dict()
    assert read.units == made.units
