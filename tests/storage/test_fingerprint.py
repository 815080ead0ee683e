import os
import shutil
import time
from types import SimpleNamespace

import pytest

from mmfusion.errors import ScanError
from mmfusion.storage import fingerprint as module
from mmfusion.storage.atomic import CacheWarning
from mmfusion.storage.fingerprint import fingerprint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def series(tmp_path):
    """A folder of slices."""
    folder = tmp_path / "series"
    (folder / "a").mkdir(parents=True)
    for k in range(5):
        (folder / "a" / f"{k}.dcm").write_bytes(bytes([k]) * 1000)
    time.sleep(0.05)  # what is younger is not remembered
    return folder


@pytest.fixture
def reads(monkeypatch):
    """How often the bytes were read."""
    counted = []
    hash_ = module._hash
    monkeypatch.setattr(module, "_hash", lambda files: counted.append(1) or hash_(files))
    return counted


def test_of_the_bytes_and_not_of_the_place(series, tmp_path):
    before = fingerprint(series)
    assert len(before) == 32
    shutil.copytree(series, tmp_path / "copy")
    os.utime(tmp_path / "copy" / "a" / "0.dcm", (1, 1))
    assert fingerprint(tmp_path / "copy") == before
    assert fingerprint(str(series) + "/") == before
    (series / ".DS_Store").write_bytes(b"x")
    (series / "__MACOSX").mkdir()
    (series / "__MACOSX" / "x").write_bytes(b"x")
    assert fingerprint(series) == before
    single = tmp_path / "scan.zip"
    single.write_bytes(b"abc")
    moved = fingerprint(single), single.rename(tmp_path / "moved.zip"), fingerprint(tmp_path / "moved.zip")
    assert moved[0] == moved[2] != before


@pytest.mark.parametrize(
    "change",
    [
        lambda f: (f / "a" / "0.dcm").write_bytes(b"\0" * 999 + b"\1"),  # same length
        lambda f: (f / "a" / "0.dcm").unlink(),
        lambda f: (f / "a" / "5.dcm").write_bytes(b""),
        lambda f: (f / "a" / "0.dcm").rename(f / "a" / "0"),
        lambda f: ((f / "a" / "0.dcm").rename(f / "x"), (f / "a" / "1.dcm").rename(f / "a" / "0.dcm"),
                   (f / "x").rename(f / "a" / "1.dcm")),
    ],
    ids=["a byte", "one less", "one more", "a name", "two swapped"],
)  # fmt: skip
def test_changes_with_what_is_read(series, change):
    before = fingerprint(series)
    change(series)
    assert fingerprint(series) != before


def test_remembered_until_a_file_changes(series, reads, folder):
    before = fingerprint(series)
    assert fingerprint(series) == before
    assert len(reads) == 1
    old = (series / "a" / "0.dcm").stat()
    (series / "a" / "0.dcm").write_bytes(b"\7" * 1000)
    os.utime(series / "a" / "0.dcm", ns=(old.st_atime_ns, old.st_mtime_ns))  # size and time as before
    assert fingerprint(series) != before
    assert len(reads) == 2
    for note in (folder / "fingerprints").iterdir():
        note.write_bytes(b"{")
    fingerprint(series)
    assert len(reads) == 3


def test_what_was_just_written_is_not_remembered(series, reads):
    """It may change once more within the same tick of the file system's clock."""
    for value in (b"\1", b"\2", b"\3"):
        (series / "a" / "0.dcm").write_bytes(value)
        fingerprint(series)
    assert len(reads) == 3


@pytest.mark.parametrize(
    ("age_ns", "ctime_ns", "expected"),
    [(5e6, 123, False), (5e7, 123, True), (5e7, 0, False), (3e9, 0, True), (-5e9, 123, False)],
    ids=["within a tick", "after it", "a coarse clock", "after its tick", "in the future"],
)
def test_settled(age_ns, ctime_ns, expected):
    changed = 10**18 + ctime_ns
    state = SimpleNamespace(st_mtime_ns=changed, st_ctime_ns=changed)
    assert module.settled(state, changed + int(age_ns)) is expected


HEADERS = {
    "mhd": ("x.mhd", b"NDims = 3\nElementDataFile = x.raw\n"),
    "nhdr": ("x.nhdr", b"NRRD0004\ndimension: 3\ndata file: x.raw\n"),
    "list": ("x.nhdr", b"NRRD0004\ndata file: LIST\nx.raw\n"),
    "nrrd": ("x.nrrd", b"NRRD0004\ndatafile: x.raw\n\n"),
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_is_taken_with_its_data(tmp_path, header):
    """Two scans of one geometry have the same header: only the data tell them apart."""
    name, text = HEADERS[header]
    prints = set()
    for patient, value in (("a", b"\1"), ("b", b"\2")):
        (tmp_path / patient).mkdir()
        (tmp_path / patient / name).write_bytes(text)
        (tmp_path / patient / "x.raw").write_bytes(value * 100)
        prints.add(fingerprint(tmp_path / patient / name))
    assert len(prints) == 2


@pytest.mark.parametrize(("name", "text"), [("x.mha", b"NDims = 3\nElementDataFile = LOCAL\n\1\2"),
                                            ("x.nrrd", b"NRRD0004\ndimension: 3\n\n\1\2"),
                                            ("x.mhd", b"ElementDataFile = LOCAL\n")])  # fmt: skip
def test_data_within_the_file(tmp_path, name, text):
    (tmp_path / name).write_bytes(text)
    before = fingerprint(tmp_path / name)
    (tmp_path / "neighbour").write_bytes(b"x")
    assert fingerprint(tmp_path / name) == before


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ScanError, match=r"absent.*cannot be read.*No such file"):
        fingerprint(tmp_path / "absent")


def test_a_cache_that_cannot_be_written(series, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    before = fingerprint(series)
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "file"))
    with pytest.warns(CacheWarning, match="cannot be written"):
        assert fingerprint(series) == before
