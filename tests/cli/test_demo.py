"""`mmfusion demo`: a whole cohort, and no other file touched."""

from __future__ import annotations

import shutil

from mmfusion.cli import main
from mmfusion.storage.hashing import hash_path
from tests.reports.conftest import METRICS, make_notebook  # noqa: F401 - a fixture


def test_demo_writes_a_cohort_that_validates_and_a_patient(demo, capsys):
    assert sorted(p.name for p in (demo / "new_patient").iterdir()) == ["ehr.csv", "rna.csv", "scan.zip"]
    assert main(["validate", str(demo / "manifest.csv"), "--target", "stage3_ajcc7"]) == 0
    text = capsys.readouterr().out
    assert "12 patients" in text
    assert text.endswith("\nall is well\n")


def test_a_half_made_demo_is_completed_and_a_whole_one_is_kept(demo, tmp_path, capsys):
    folder = tmp_path / "demo"
    shutil.copytree(demo, folder)
    shutil.rmtree(folder / "new_patient")  # as a kill left it in earlier releases
    assert main(["demo", str(folder), "--n", "12"]) == 0
    assert hash_path(folder) == hash_path(demo)
    before = (folder / "manifest.csv").stat().st_mtime_ns
    (folder / "notes.txt").write_text("mine")
    assert main(["demo", str(folder), "--n", "12"]) == 0
    assert (folder / "manifest.csv").stat().st_mtime_ns == before and (folder / "notes.txt").exists()
    capsys.readouterr()
    assert main(["demo", str(folder), "--n", "6"]) == 2
    assert "another cohort" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_demo_does_not_touch_a_folder_of_other_files(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["demo", str(tmp_path), "--n", "3"]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
