import pandas as pd
import pytest

from mmfusion.data.manifest import check_hashes, read_manifest, rehash, resolve, write_manifest
from mmfusion.errors import ManifestError
from mmfusion.storage.hashing import hash_file

ROW = {"dataset": "d", "patient_id": "p1", "modality": "ct", "role": "volume", "path": "p1.nii"}


def frame(*changes):
    return pd.DataFrame([{**ROW, **change} for change in changes])


def test_round_trip(tmp_path):
    (tmp_path / "p1.nii").write_bytes(b"scan")
    (tmp_path / "rna.csv").write_text("gene,p1\nTP53,1\n")
    rows = frame(
        {}, {"patient_id": "", "modality": "rna", "role": "features", "path": "rna.csv", "unit": "tpm"}
    )
    before = rows.copy()
    path = write_manifest(rows, tmp_path / "m.csv", hashes=True)
    pd.testing.assert_frame_equal(rows, before)
    read = read_manifest(path)
    assert list(read["path"]) == ["p1.nii", "rna.csv"]
    assert read["sha256"].str.len().tolist() == [64, 64]
    assert read["unit"].tolist() == ["", "tpm"]
    check_hashes(read, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.csv", "p1.nii", "rna.csv"]


@pytest.mark.parametrize(
    ("change", "column", "message"),
    [
        ({"role": "scan"}, "role", "volume, mask"),
        ({"role": "annotation"}, "role", "volume, mask"),
        ({"path": "../p1.nii"}, "path", "inside its folder"),
        ({"path": "/data/p1.nii"}, "path", "inside its folder"),
        ({"path": "C:\\p1.nii"}, "path", "inside its folder"),
        ({"path": "a\\..\\..\\p1.nii"}, "path", "inside its folder"),
        ({"path": ""}, "path", "inside its folder"),
        ({"sha256": "abc"}, "sha256", "64 hexadecimal"),
        ({"unit": "rpkm"}, "unit", "fpkm"),
        ({"patient_id": " p1"}, "patient_id", "spaces"),
        ({"dataset": ""}, "dataset", "name"),
        ({"modality": "CT"}, "modality", "ct, pet"),
        ({"parameters": "{n: 3}"}, "parameters", "JSON"),
        ({"generator": "os:system"}, "generator", "mmfusion"),
        ({"patient_id": ""}, "patient_id", "without a patient"),
    ],
)
def test_a_bad_cell_is_named(tmp_path, change, column, message):
    frame({}, {"patient_id": "p2", "path": "p2.nii", **change}).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(ManifestError, match="line 3") as raised:
        read_manifest(tmp_path / "m.csv")
    assert raised.value.column == column
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{}, {"path": "other.nii"}], "two ct volume rows for one patient"),
        ([{"modality": "rna"}], "imaging modality"),
        ([{"patient_id": "", "modality": "ehr", "role": "features", "path": "e.csv"}] * 2, "listed twice"),
    ],
)
def test_rows_that_contradict(tmp_path, changes, message):
    with pytest.raises(ManifestError, match=message):
        write_manifest(frame(*changes), tmp_path / "m.csv")
    assert not list(tmp_path.iterdir())


def test_columns(tmp_path):
    with pytest.raises(ManifestError, match="column absent") as raised:
        write_manifest(frame({}).drop(columns="role"), tmp_path / "m.csv")
    assert raised.value.column == "role"
    with pytest.raises(ManifestError, match="unknown column"):
        write_manifest(frame({"colour": "red"}), tmp_path / "m.csv")


def test_absent_manifest(tmp_path):
    with pytest.raises(ManifestError, match="mmfusion init"):
        read_manifest(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("")
    with pytest.raises(ManifestError, match="not a CSV"):
        read_manifest(tmp_path / "m.csv")


def test_absent_file(tmp_path):
    with pytest.raises(ManifestError, match="file absent") as raised:
        write_manifest(frame({}), tmp_path / "m.csv", hashes=True)
    assert raised.value.patient == "p1"
    assert raised.value.file == tmp_path / "p1.nii"


def test_changed_file(tmp_path):
    (tmp_path / "p1.nii").write_bytes(b"scan")
    manifest = read_manifest(write_manifest(frame({}), tmp_path / "m.csv", hashes=True))
    (tmp_path / "p1.nii").write_bytes(b"scam")
    with pytest.raises(ManifestError, match="hash differs") as raised:
        check_hashes(manifest, tmp_path)
    assert raised.value.expected == manifest["sha256"][0]
    assert raised.value.got != raised.value.expected
    assert raised.value.hint


def test_hashes_are_rewritten_and_nothing_else(tmp_path):
    for name in ("p1.nii", "p2.nii", "p3.nii"):
        (tmp_path / name).write_bytes(b"scan")
    rows = frame({"part": "1.2", "site": "a"}, {"patient_id": "p2", "path": "p2.nii"})
    path = write_manifest(rows, tmp_path / "m.csv", hashes=True)
    unhashed = frame({"patient_id": "p3", "path": "p3.nii"})
    before = read_manifest(write_manifest(pd.concat([read_manifest(path), unhashed]), path))
    assert rehash(path) == []
    (tmp_path / "p2.nii").write_bytes(b"scam")
    with pytest.raises(ManifestError, match="mmfusion validate <manifest> --rehash"):
        check_hashes(before, tmp_path)
    assert rehash(path) == ["p2.nii"]
    after = read_manifest(path)
    check_hashes(after, tmp_path)
    assert after["sha256"][2] == ""
    pd.testing.assert_frame_equal(after.drop(columns="sha256"), before.drop(columns="sha256"))
    (tmp_path / "p1.nii").unlink()
    with pytest.raises(ManifestError, match="file absent"):
        rehash(path)


def test_a_refused_write_leaves_the_old_manifest(tmp_path):
    path = write_manifest(frame({}), tmp_path / "m.csv")
    before = path.read_bytes()
    with pytest.raises(ManifestError):
        write_manifest(frame({"role": "scan"}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_resolve_stays_inside(tmp_path):
    assert resolve("a/b.csv", tmp_path) == tmp_path / "a" / "b.csv"
    with pytest.raises(ManifestError, match="leaves"):
        resolve("../b.csv", tmp_path)


def test_a_path_that_windows_wrote(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.csv").write_text("")
    assert resolve("a\\b.csv", tmp_path) == tmp_path / "a" / "b.csv"
    (tmp_path / "a\\b.csv").write_text("")  # elsewhere, a name like any other
    assert resolve("a\\b.csv", tmp_path) == tmp_path / "a\\b.csv"


def test_a_hash_that_covers_the_header_alone(tmp_path):
    """Manifests of earlier versions: the error says why the hash differs, and `rehash` records both files."""
    (tmp_path / "p1.mhd").write_text("NDims = 3\nDimSize = 2 1 1\nElementDataFile = p1.raw\n")
    (tmp_path / "p1.raw").write_bytes(b"12")
    old = {"path": "p1.mhd", "sha256": hash_file(tmp_path / "p1.mhd")}
    path = write_manifest(frame(old), tmp_path / "m.csv")
    with pytest.raises(
        ManifestError, match=r"covers the header alone.*mmfusion validate <manifest> --rehash"
    ):
        check_hashes(read_manifest(path), tmp_path)
    assert rehash(path) == ["p1.mhd"]
    check_hashes(read_manifest(path), tmp_path)
    (tmp_path / "p1.raw").write_bytes(b"13")
    with pytest.raises(ManifestError, match=r"hash differs .*restore the changed file"):
        check_hashes(read_manifest(path), tmp_path)
