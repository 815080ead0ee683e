"""A report knows what it was made from, and looks no further."""

from __future__ import annotations

import os

import pytest

from mmfusion.reports import inputs
from mmfusion.reports.inputs import input_hashes


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "sub" / "b.txt").write_text("two")
    return folder


def hashed(data, out="elsewhere/r"):
    return input_hashes({"data_root": str(data)}, data.parent / out)["data_root"]


def test_a_folder_is_known_by_what_is_in_it_wherever_it_lies(data, tmp_path):
    before = hashed(data)
    os.utime(data / "a.txt", (1, 1))
    (data / ".DS_Store").touch()
    assert hashed(data) == before == hashed(data.rename(tmp_path / "moved"))
    (tmp_path / "moved" / "sub" / "b.txt").write_text("TWO")
    assert hashed(tmp_path / "moved") != before


def test_a_large_folder_is_not_read(data, monkeypatch):
    monkeypatch.setattr(inputs, "_FEW_BYTES", 5)
    monkeypatch.setattr(inputs, "hash_path", None)
    before = hashed(data)
    assert hashed(data) == before
    os.utime(data / "sub" / "b.txt", (1, 1))
    assert hashed(data) != before


def test_links_are_followed_and_may_lead_back(data, tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "s.nii").write_text("a scan")
    (data / "ct").symlink_to(tmp_path / "scans")
    (data / "sub" / "up").symlink_to(data)
    (data / "broken").symlink_to(tmp_path / "nothing")
    before = hashed(data)
    (tmp_path / "scans" / "s.nii").write_text("another scan")
    assert hashed(data) != before


def test_the_reports_are_no_input(data):
    before = hashed(data, "data/reports/r")
    (data / "reports" / "r").mkdir(parents=True)
    (data / "reports" / "r" / "run.json").touch()
    assert hashed(data, "data/reports/r") == before


def test_neither_is_what_is_written_or_merely_looks_like_a_path(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parameters = {
        "save_model": str(data),
        "empty": "",
        "text": "x" * 5000,
        "zero": "a\0b",
        "n": 3,
        "absent": "nothing",
    }
    assert input_hashes(parameters, tmp_path / "r") == {}


def test_a_manifest_with_hashes_speaks_for_its_files(data):
    row = "mine,,ehr,features,a.txt,{}\nmine,P1,ct,volume,sub,{}\n"
    head = "dataset,patient_id,modality,role,path,sha256\n"
    manifest = data / "m.csv"
    manifest.write_text(head + row.format("0" * 64, "0" * 64))
    assert set(input_hashes({"cohort": str(manifest)}, data / "r")) == {"cohort"}
    manifest.write_text(head + row.format("0" * 64, ""))
    before = input_hashes({"cohort": str(manifest)}, data / "r")
    assert set(before) == {"cohort", "cohort: files"}
    (data / "a.txt").write_text("known by its hash")
    assert input_hashes({"cohort": str(manifest)}, data / "r") == before
    (data / "sub" / "b.txt").write_text("known by nothing else")
    assert input_hashes({"cohort": str(manifest)}, data / "r") != before
