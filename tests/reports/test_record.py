"""Malformed records of reports give one clear error, and do not hide the other reports."""

import json

import pytest

from mmfusion.errors import ReportError
from mmfusion.reports.compare import compare_runs
from mmfusion.reports.index import build_index

SCORE = {"mean": 0.8, "ci": [0.7, 0.9]}
GOOD = {"models": {"unet": {"dice": SCORE}}, "primary": {"metric": "dice", "model": "unet"}}


def write(folder, metrics=GOOD, **changes):
    folder.mkdir()
    run = {"name": "tiny", "title": "A report", "started": "2026-01-31T14:05:00+00:00", "seconds": 1.0}
    run |= {"parameters": {}, "inputs": {}, "versions": {}, "git": "abc", "notebook": {}} | changes
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "report.html").write_text("<p>")
    return folder


def check(root, column):
    """The index lists the good report and says what is wrong with the other; a comparison raises."""
    page = build_index(root).read_text()
    assert "1 complete" in page and "unet 0.800" in page and column in page
    for names in (("good", "odd"), ("odd", "good")):
        with pytest.raises(ReportError, match=f"column {column}: malformed"):
            compare_runs(*(root / name for name in names))


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"models": ["unet"]}, "models"),
        ({"models": {"unet": 0.8}}, "models unet"),
        ({"models": {"unet": {"dice": {"mean": "0.8"}}}}, "models unet dice"),
        ({"models": {"unet": {"dice": {"mean": 0.8, "ci": [0.7]}}}}, "models unet dice"),
        ({"models": {"unet": {"dice": {"mean": 0.8, "ci": ["low", "high"]}}}}, "models unet dice"),
        ({"primary": "dice"}, "primary"),
        ({"primary": {"model": "unet"}}, "primary metric"),
        ({"primary": {"metric": "dice", "model": "net"}}, "primary model"),
    ],
)
def test_malformed_metrics(tmp_path, changes, column):
    write(tmp_path / "good")
    write(tmp_path / "odd", GOOD | changes)
    check(tmp_path, column)


@pytest.mark.parametrize("changes", [{"parameters": []}, {"versions": None}, {"seconds": "long"}])
def test_malformed_record(tmp_path, changes):
    write(tmp_path / "good")
    write(tmp_path / "odd", **changes)
    check(tmp_path, next(iter(changes)))


def test_what_could_not_be_computed_is_no_error(tmp_path):
    write(tmp_path / "good")
    write(tmp_path / "none", GOOD | {"models": {"unet": {"dice": {"mean": None, "ci": None}}}})
    write(tmp_path / "text", {"headline": "5 folds", "models": None, "primary": None})
    assert "3 complete" in build_index(tmp_path).read_text()
    assert "5 folds" in str(compare_runs(tmp_path / "none", tmp_path / "text"))
