"""Hashes that lie on users' disks have fixed values; only one module computes them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmfusion
from mmfusion.data.splits import Splits
from mmfusion.storage import cache, hashing
from mmfusion.storage.fingerprint import fingerprint
from mmfusion.storage.hashing import (
    CHECKSUM_SIZE,
    checksum,
    hash_bytes,
    hash_each_id,
    hash_file,
    hash_file_once,
    hash_ids,
    hash_json,
    hash_path,
    hash_text,
)
from mmfusion.storage.naming import file_name

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # `sha256sum /dev/null`


@pytest.fixture
def folder(tmp_path):
    out = tmp_path / "folder"
    (out / "b").mkdir(parents=True)
    for name, data in {"b/x.txt": b"x", "a.txt": b"abc", ".hidden": b"", "é": b"1"}.items():
        (out / name).write_bytes(data)
    return out


# --- values: manifests, saved models and splits on disk hold them
# ------------------------------------------------


def test_bytes_text_and_files_have_the_published_hash(folder):
    assert hash_bytes(b"abc") == hash_text("abc") == hash_file(folder / "a.txt") == ABC
    assert (
        hash_path(folder / "a.txt")
        == hash_path(str(folder / "a.txt"))
        == hash_file_once(folder / "a.txt")
        == ABC
    )
    assert hash_bytes(b"") == hash_file(folder / ".hidden") == EMPTY
    assert hash_text("é") == "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c"


def test_values_of_folders_and_json(folder):
    assert hash_path(folder) == "7ee7f4c06cc65f01dd7ce535c9ecad1569a9de1d3e9060323ea6aba54ccdd842"
    value = {"b": 1, "a": [2, "é", None, 1.5]}
    assert hash_json(value) == "eb75c2db15136f2f83357b3d3d666910e9a034ce36b8e02d41dd99b279f76f41"


def test_values_of_patient_ids():
    ids = pd.Index(["P2", "P1", "P10"])
    assert hash_ids(ids) == "d5b754c0d27364cab55c3415d043c84a331324f6f7dd3f3147f77fd0bead69ca"
    assert hash_ids(pd.Index([3, 1])) == "9e480582d740ff56a9306934392d69fc3186fb6b0139b89d462045b96134a317"
    assert hash_ids(pd.Index([])) == EMPTY
    assert hash_each_id(["P1", 7]) == [
        "fbeae7c18667b6987518f3ae61ed8b19038e5961e8e7368597428eff76e4842a",
        "7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451",
    ]


def test_values_that_other_rooms_store(folder):
    splits = Splits((("P2", "P1"), ("P3",)), 2, 0, ("0", "1"), {})
    assert splits.hash == "991fb462eb78a185b5961d6bcc3529181b7a1cc175d7ad5d20b4630b887eebcb"
    assert file_name("a/b é") == "a_b_-8449e370"
    assert fingerprint(folder) == "a29633b80ff7b417ffd017cd19b86d47"
    assert fingerprint(folder / "a.txt") == "444e897e4f7c144e9af1f2d8cc9ce3de"


def test_value_of_a_cache_entry(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
    cache.cached("kind", {"b": 1, "a": 2}, lambda: np.arange(6, dtype="<i2").reshape(2, 3))
    (entry,) = tmp_path.rglob("*.npy")
    assert entry.stem == hash_json({"a": 2, "b": 1})
    assert entry.read_bytes()[-CHECKSUM_SIZE:].hex() == "8debc585f75388996a7873ea8dcc46a2"


def test_value_of_a_checksum():
    assert (
        checksum(b"").hex() == "99aa06d3014798d86001c324468d497f"
    )  # xxHash's own test vector, XXH3-128, seed 0
    assert checksum(b"ab", memoryview(b"c")) == checksum(b"abc")
    assert len(checksum(b"abc")) == CHECKSUM_SIZE


# --- behaviour
# ----------------------------------------------------------------------------------------------------


def test_a_folder_is_known_by_names_and_contents(folder):
    first = hash_path(folder)
    (folder / "b" / "x.txt").rename(folder / "b" / "y.txt")
    renamed = hash_path(folder)
    (folder / "b" / "y.txt").write_bytes(b"y")
    assert len({first, renamed, hash_path(folder)}) == 3


def test_order_does_not_matter_where_there_is_none():
    assert hash_ids(["a", "b"]) == hash_ids({"b": 1, "a": 2}) != hash_ids(["a", "b", "c"])
    assert hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1}) != hash_json({"a": 2, "b": 1})
    assert hash_json([1, 2]) != hash_json([2, 1])


def test_ids_do_not_run_together():
    assert hash_ids(["ab", "c"]) != hash_ids(["a", "bc"]) != hash_ids(["abc"])


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    file, read = tmp_path / "f", []
    file.write_bytes(b"abc")
    monkeypatch.setattr(
        hashing, "hash_file", lambda path: read.append(path) or hash_bytes(Path(path).read_bytes())
    )
    assert [hash_file_once(file), hash_file_once(str(file))] == [ABC, ABC]
    assert len(read) == 1
    file.write_bytes(b"abcd")
    assert hash_file_once(file) != ABC
    assert len(read) == 2


def test_a_name_that_is_not_utf8(tmp_path):
    name = os.fsdecode(b"\xff.txt")
    assert hash_text(name) == hash_bytes(b"\xff.txt")


def test_what_cannot_be_hashed(tmp_path):
    for call in (hash_file, hash_file_once, hash_path):
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "absent")
    with pytest.raises(TypeError):
        hash_json({"a": object()})


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("hashlib", {"storage/hashing.py", "storage/source.py"}),
        ("xxhash", {"storage/hashing.py", "storage/fingerprint.py"}),
        ("filelock", {"storage/locks.py"}),
    ],
)
def test_one_module_does_it(library, allowed):
    root = Path(mmfusion.__file__).parent
    imports = re.compile(rf"^\s*(?:import|from) {library}\b", re.MULTILINE)
    found = {
        p.relative_to(root).as_posix() for p in root.rglob("*.py") if imports.search(p.read_text("utf-8"))
    }
    assert found <= allowed


def test_the_hash_of_a_header_covers_its_data(tmp_path):
    """MetaImage and NRRD: one file, a list, a pattern; a header that holds its data is hashed as a file."""
    for k in range(1, 3):
        (tmp_path / f"s{k}.raw").write_bytes(b"data")
    sizes = "NDims = 3\nDimSize = 2 1 2\n"
    headers = {
        "a.mhd": f"{sizes}ElementDataFile = s1.raw\n",
        "b.mhd": f"{sizes}ElementDataFile = LIST\ns2.raw\ns1.raw\n",
        "c.mhd": f"{sizes}ElementDataFile = s%d.raw 1 2 1\n",
        "d.nhdr": "NRRD0004\ndata file: s1.raw\n",
        "e.nhdr": "NRRD0004\ndata file: LIST\ns1.raw\ns2.raw\n",
        "f.nhdr": "NRRD0004\ndata file: s%d.raw 1 2 1\n",
    }
    for name, text in headers.items():
        (tmp_path / name).write_text(text)
    before = {name: hash_path(tmp_path / name) for name in headers}
    (tmp_path / "s1.raw").write_bytes(b"date")
    after = {name: hash_path(tmp_path / name) for name in headers}
    (tmp_path / "s1.raw").unlink()
    gone = {name: hash_path(tmp_path / name) for name in headers}
    assert all(len({before[name], after[name], gone[name]}) == 3 for name in headers)
    for name, text in {
        "g.mha": f"{sizes}ElementDataFile = LOCAL\n",
        "h.nrrd": "NRRD0004\n\n",
        "i.mhd": "?",
    }.items():
        (tmp_path / name).write_text(text)
        assert hash_path(tmp_path / name) == hash_file(tmp_path / name)


@pytest.mark.parametrize("name", ["../out.raw", "{out}", "link.raw"])
def test_no_file_outside_the_folder_is_hashed(tmp_path, name, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "out.raw").write_bytes(b"secret")
    (tmp_path / "in" / "link.raw").symlink_to(tmp_path / "out.raw")
    header = tmp_path / "in" / "a.mhd"
    name = name.format(out=tmp_path / "out.raw")
    header.write_text(f"NDims = 3\nDimSize = 2 1 2\nElementDataFile = {name}\n")
    first = hash_path(header), fingerprint(header)
    (tmp_path / "out.raw").write_bytes(b"other")
    assert (hash_path(header), fingerprint(header)) == first
