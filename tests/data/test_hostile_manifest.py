"""A manifest from anybody: it writes nothing outside its folder, and every bad cell is one error at once."""

import csv
import json
import time

import pytest

from mmfusion.data.load import load_cohort
from mmfusion.data.manifest import read_manifest
from mmfusion.errors import DataError, ManifestError, MMFusionError

GENERATOR = "mmfusion.synthetic:phantom"
COLUMNS = ("dataset", "patient_id", "modality", "role", "path", "generator", "parameters")


def manifest(folder, parameters, generator=GENERATOR, path="made", role="generator"):
    folder.mkdir(exist_ok=True)
    text = parameters if isinstance(parameters, str) else json.dumps(parameters)
    with (folder / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerow(["d", "", "" if role == "generator" else "ehr", role, path, generator, text])
    return folder / "m.csv"


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*")}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("place", ["absolute", "../out", "scans"])
def test_a_generator_row_does_not_say_where_to_write(tmp_path, place):
    root = str(tmp_path / "out") if place == "absolute" else place
    path = manifest(tmp_path / "study", {"n": 2, "root": root})
    before = files(tmp_path)
    with pytest.raises(
        ManifestError, match=r"column parameters: the generator does not take .*\(root\).*only below"
    ):
        load_cohort(path)
    assert files(tmp_path) == before


@pytest.mark.parametrize("path", ["../out", "/out", "a/../../out", "C:/out", "a\\..\\..\\out", "a\0b"])
def test_nor_does_its_path(tmp_path, path):
    row = manifest(tmp_path / "study", {"n": 2}, path=path)
    before = files(tmp_path)
    with pytest.raises(ManifestError):
        load_cohort(row)
    assert files(tmp_path) == before


def test_nor_does_a_link(tmp_path):
    row = manifest(tmp_path / "study", {"n": 2, "modalities": ["ehr"]}, path="link/made")
    (tmp_path / "out").mkdir()
    (tmp_path / "study" / "link").symlink_to(tmp_path / "out")
    with pytest.raises(ManifestError, match="a link leads out of the manifest's folder"):
        load_cohort(row)
    assert not list((tmp_path / "out").iterdir())
    (tmp_path / "study" / "link").unlink()
    assert len(load_cohort(row)) == 2
    assert {p.parts[0] for p in map(type(tmp_path), files(tmp_path / "study"))} == {"m.csv", "link"}


def test_a_link_to_data_is_read(tmp_path):
    """Large data often lie elsewhere; reading them is what a link is for."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "ehr.csv").write_text("patient_id,age\np1,60\np2,70\n")
    row = manifest(tmp_path / "study", "", generator="", path="data/ehr.csv", role="features")
    (tmp_path / "study" / "data").symlink_to(tmp_path / "disk")
    assert load_cohort(row).table["ehr", "age"].tolist() == [60.0, 70.0]


@pytest.mark.parametrize(
    "parameters",
    [
        {"n": 10**9},
        {"n": 0},
        {"n": -1},
        {"n": 3.5},
        {"n": "400"},
        {"n": True},
        {"n": None},
        {"n": [3]},
        {"n": 100_000, "n_genes": 17_000},
        {"seed": -1},
        {"seed": 2**64},
        {"seed": "0"},
        {"missing": 2},
        {"missing": "0.1"},
        {"missing": True},
        {"sites": 99},
        {"sites": 0},
        {"sites": 1.5},
        {"n_genes": 10**8},
        {"n_planted": 400},
        {"modalities": "ct"},
        {"modalities": ["mri"]},
        {"modalities": [["ct"]]},
        {"modalities": {}},
        {"modalities": 3},
        {"signal": "strong"},
        {"signal": ["planted"]},
        {"family": 3},
        {"pet": "yes"},
        {"target": "grade"},
        {"target": 3},
        {"target": ["stage2"]},
        {"colour": "red"},
        {"version": "2"},
        {"version": 99},
    ],
    ids=json.dumps,
)
def test_a_bad_parameter_is_refused_at_once(tmp_path, parameters):
    path = manifest(tmp_path / "study", {"modalities": ["ehr"], **parameters})
    start = time.monotonic()
    with pytest.raises(MMFusionError):
        load_cohort(path)
    assert time.monotonic() - start < 5
    assert files(tmp_path / "study") <= {"m.csv", "made"}


@pytest.mark.parametrize(
    "text",
    [
        '{"n": NaN}',
        '{"n": Infinity}',
        '{"n": 1e999}',
        '{"n": ' + "9" * 5000 + "}",
        '{"n": ' + "9" * 30 + "}",
        '{"a": ' * 300 + "1" + "}" * 300,
        '{"a": ' + "[" * 90_000 + "]" * 90_000 + "}",
        '{"a": ' + "[" * 40_000 + "]" * 40_000 + "}",
        "[1]",
        "3",
        "null",
        '"text"',
        "{n: 3}",
        '{"n": 3',
        '{"n": "' + "a" * 200_000 + '"}',
    ],
    ids=range(15),
)
def test_what_is_no_json_of_plain_numbers(tmp_path, text):
    for role in ("generator", "labels", "features"):
        path = manifest(tmp_path / role, text, generator="", path="made.csv", role=role)
        with pytest.raises(ManifestError, match="bad cell in line 2") as raised:
            read_manifest(path)
        assert raised.value.column == "parameters" and len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    "entry",
    [
        "mmfusion.synthetic:posterior",
        "mmfusion.features.crop:foundation_crop",
        "mmfusion.bundle:load",
        "os:system",
    ],
)
def test_a_manifest_calls_generators_only(tmp_path, entry):
    with pytest.raises(ManifestError) as raised:
        load_cohort(manifest(tmp_path / "study", {"n": 2}, generator=entry))
    assert raised.value.column == "generator"


@pytest.mark.parametrize(
    "parameters",
    [{"ajcc_edition": "eight"}, {"ajcc_edition": [[8]]}, {"ajcc_edition": {}}, {"ajcc_edition": [8, None]},
     {"target": ["stage2"]}, {"id_column": 3}],
    ids=json.dumps,
)  # fmt: skip
def test_parameters_of_tables(tmp_path, parameters):
    path = manifest(tmp_path / "study", parameters, generator="", path="labels.csv", role="labels")
    (tmp_path / "study" / "labels.csv").write_text("patient_id,stage\np1,IA\n")
    with pytest.raises(ManifestError, match=r"column parameters: .* of labels.csv is not valid"):
        load_cohort(path)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("p1", "ct", "volume", "a.nii.gz"), ("p1", "ct", "mask", "a.nii.gz")], "a ct and a mask"),
        ([("p1", "ct", "volume", "a.nii"), ("p1", "pet", "volume", "a.nii")], "a ct and a pet"),
        ([("p1", "ct", "volume", "a.mha"), ("p2", "pet", "mask", "a.mha")], "a ct and a mask"),
    ],
)
def test_one_image_is_not_two_things(tmp_path, rows, said):
    lines = ["dataset,patient_id,modality,role,path", *(f"d,{','.join(row)}" for row in rows)]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    with pytest.raises(ManifestError, match=rf"a\.\w+.* is listed as two things .*got {said}"):
        read_manifest(tmp_path / "m.csv")
    zips = (tmp_path / "m.csv").read_text().replace(".nii.gz", ".zip").replace(".nii", ".zip")
    (tmp_path / "m.csv").write_text(zips.replace(".mha", ".zip"))
    assert len(read_manifest(tmp_path / "m.csv")) == 2  # DICOM of both, and a SEG, may lie in one ZIP


@pytest.mark.parametrize("content", [b"", b"\0" * 50, b"\xff\xfe\x00", b"a" * 10**6, b'"' + b"x\n" * 1000])
def test_what_is_no_table(tmp_path, content):
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises((ManifestError, DataError)):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"target": "stage2"}', '{"target": 1, "provenance": 3}', "[" * 9000]
)
def test_an_edited_record_of_a_generated_cohort(tmp_path, content):
    row = manifest(tmp_path / "study", {"n": 2, "modalities": ["ehr"]})
    load_cohort(row)
    [record] = (tmp_path / "study" / "made").rglob("provenance.json")
    record.write_text(content)
    with pytest.raises(ManifestError, match=r"edited or damaged .*delete .*made again"):
        load_cohort(row)
