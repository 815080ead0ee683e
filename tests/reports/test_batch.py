"""A table of runs: failures are listed, what is complete is not run again."""

from __future__ import annotations

import pandas as pd
import pytest

from mmfusion.errors import ReportError
from mmfusion.reports.batch import run_batch
from mmfusion.reports.record import is_report, read_run
from tests.reports.conftest import METRICS

PICKY = "assert n_folds < 9, 'too many folds'"


@pytest.fixture(autouse=True)
def same_code(monkeypatch):
    """Whoever edits the package while its tests run does not fail them."""
    for module in ("batch", "runner"):
        monkeypatch.setattr(f"mmfusion.reports.{module}.code_hash", lambda: "the code")


@pytest.fixture
def runs(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("name, n_folds, cohort\nfirst,3,\n,9,demo\nthird,4,demo\nfourth,many,demo\n")
    return path


@pytest.mark.slow
def test_failures_are_listed_and_not_fatal_and_the_rest_resumes(make_notebook, tmp_path, runs):
    make_notebook("10_tiny", PICKY, METRICS)
    table = run_batch("tiny", runs, tmp_path / "out", progress=False)
    assert list(table["name"]) == ["first", "r02", "third", "fourth"]
    assert list(table["status"]) == ["done", "failed", "done", "failed"]
    assert "too many folds" in table["error"][1]
    assert "wrong type" in table["error"][3]
    assert [is_report(tmp_path / "out" / n) for n in table["name"]] == [True, False, True, False]
    assert (
        read_run(tmp_path / "out" / "first")["parameters"]["cohort"] == "tiny"
    )  # an empty cell: the default
    assert list(pd.read_csv(tmp_path / "out" / "batch.csv")["status"]) == list(table["status"])

    started = read_run(tmp_path / "out" / "third")["started"]
    runs.write_text(runs.read_text().replace("first,3", "first,5").replace(",9,", ",8,"))
    table = run_batch("tiny", runs, tmp_path / "out", progress=False)
    assert list(table["status"]) == ["done", "done", "complete before", "failed"]
    assert read_run(tmp_path / "out" / "third")["started"] == started
    assert read_run(tmp_path / "out" / "first")["metrics"]["headline"] == "5 folds"
    assert not (tmp_path / "out" / "r02.failed").exists()


def test_a_changed_notebook_is_run_again(make_notebook, tmp_path):
    runs = pd.DataFrame({"n_folds": [3]})
    make_notebook("10_tiny", METRICS)
    run_batch("tiny", runs, tmp_path / "out", progress=False)
    make_notebook("10_tiny", METRICS, "'another cell'")
    assert run_batch("tiny", runs, tmp_path / "out", progress=False)["status"].item() == "done"


@pytest.mark.parametrize("named", ["folder", "manifest"])
def test_changed_data_is_read_again(make_notebook, tmp_path, named):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ehr.csv").write_text("patient_id,age\n1,60\n")
    manifest = "dataset,patient_id,modality,role,path\nmine,,ehr,features,data/ehr.csv\n"
    (tmp_path / "m.csv").write_text(manifest)
    runs = pd.DataFrame({"cohort": [str(tmp_path / ("data" if named == "folder" else "m.csv"))]})
    make_notebook("10_tiny", METRICS)

    def status():
        return run_batch("tiny", runs, tmp_path / "out", progress=False)["status"].item()

    assert [status(), status()] == ["done", "complete before"]
    (tmp_path / "data" / "ehr.csv").write_text("patient_id,age\n1,61\n")
    assert [status(), status()] == ["done", "complete before"]


def test_changed_code_is_run_again(make_notebook, tmp_path, monkeypatch):
    make_notebook("10_tiny", METRICS)
    run_batch("tiny", pd.DataFrame({"n_folds": [3]}), tmp_path / "out", progress=False)
    monkeypatch.setattr("mmfusion.reports.batch.code_hash", lambda: "of another commit")
    table = run_batch("tiny", pd.DataFrame({"n_folds": [3]}), tmp_path / "out", progress=False)
    assert table["status"].item() == "done"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("n_fold\n3\n", r"(?s)unknown parameter 'n_fold'.*n_folds"),
        ("name,n_folds\na,3\na,4\n", "two runs have the same name"),
        ("name,n_folds\n../a,3\n", "not a valid name of a folder"),
        ("name,n_folds\na.failed,3\na,4\n", "reserved for failed runs"),
        ("n_folds\n", "has no rows"),
        ("", "not a CSV table"),
        ("out_dir\nx\n", "unknown parameter 'out_dir'"),
    ],
)
def test_a_bad_table_is_one_error_before_anything_runs(make_notebook, tmp_path, text, problem):
    make_notebook("10_tiny", METRICS)
    (tmp_path / "runs.csv").write_text(text)
    with pytest.raises(ReportError, match=problem):
        run_batch("tiny", tmp_path / "runs.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_absent_table_is_an_error(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS)
    with pytest.raises(ReportError, match="no such table of runs"):
        run_batch("tiny", tmp_path / "nothing.csv")
