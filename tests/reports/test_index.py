"""The index lists what is complete, apart from what failed; the comparison says what changed."""

from __future__ import annotations

import json

import pytest

from mmfusion.errors import ReportError
from mmfusion.reports.compare import compare_runs
from mmfusion.reports.index import build_index, headline, index_root

SCORE = {"mean": 0.612, "ci": [0.55, 0.67]}


def write_run(folder, *, n=40, n_folds=5, auc=0.6, complete=True, **metrics):
    folder.mkdir(parents=True)
    score = {"mean": auc, "ci": [auc - 0.1, auc + 0.1]}
    paired = {"fused": {"macro_auc_diff": 0.01, "ci": [-0.1, 0.12]}}
    body = {"cohort": "tiny", "target": "stage2", "n": n, "models": {"fused": {"macro_auc": score, "inputs": ["ct"]}},
            "paired_vs_ridge": paired, "leaky": False} | metrics  # fmt: skip
    run = {"name": "tiny", "title": f"A <tiny> report of {folder.name}", "parameters": {"n_folds": n_folds},
           "seconds": 75,
           "started": "2026-01-31T14:05:00+00:00", "versions": {"torch": "2.13.0"}, "git": "abc", "inputs": {},
           "notebook": {"file": "10_tiny.ipynb", "sha256": "f"}}  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "metrics.json").write_text(json.dumps(body))
    if complete:
        (folder / "report.html").write_text("<p>")
    return folder


def test_index_lists_complete_runs_and_failed_ones_apart(tmp_path):
    write_run(tmp_path / "demo" / "10_tiny")
    write_run(tmp_path / ".r.partial-1")
    (tmp_path / "b.failed").mkdir()
    (tmp_path / "b.failed" / "FAILED.html").write_text("<p>")
    page = build_index(tmp_path).read_text()
    assert '<a href="demo/10_tiny/report.html">A &lt;tiny&gt; report of 10_tiny</a>' in page
    assert "macro-AUC: fused 0.600 [0.500, 0.700]" in page
    assert "1 min 15 s" in page
    assert "partial" not in page
    complete, failed = page.split("Failed: not reports")
    assert "b.failed" not in complete
    assert '<a href="b.failed/FAILED.html">b</a>' in failed
    assert "http" not in page.replace("http-equiv", "")


def test_index_of_nothing(tmp_path):
    assert "None yet" in build_index(tmp_path).read_text()
    with pytest.raises(ReportError, match="no such folder"):
        build_index(tmp_path / "absent")


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        ({"headline": "all well"}, "all well"),
        ({"models": {"crossmodal": {"macro_auc": SCORE}, "ridge": {"macro_auc": {"mean": 0.6, "ci": None}}}},
         "macro-AUC: crossmodal 0.612 [0.550, 0.670], ridge 0.600"),
        ({"models": {"a": {"macro_auc": {"mean": None, "ci": [None, None]}}}}, "macro-AUC: a not estimable"),
        ({"n": 3}, ""),
    ],
)  # fmt: skip
def test_headline(metrics, text):
    assert headline(metrics) == text


def test_the_index_of_a_report_is_the_nearest_folder_called_reports(tmp_path):
    assert index_root(tmp_path / "reports" / "demo" / "r1") == tmp_path / "reports"
    assert index_root(tmp_path / "elsewhere" / "r1") == tmp_path / "elsewhere"


def test_compare_says_what_changed(tmp_path):
    a = write_run(tmp_path / "a")
    b = write_run(tmp_path / "b", n=39, n_folds=3, auc=0.65)
    found = compare_runs(a, b)
    assert found.changed.to_dict("records") == [
        {"kind": "cohort", "what": "n", "a": "40", "b": "39"},
        {"kind": "parameter", "what": "n_folds", "a": "5", "b": "3"},
    ]
    assert found.metrics.to_dict("records") == [
        {"metric": "fused macro_auc", "a": "0.600 [0.500, 0.700]", "b": "0.650 [0.550, 0.750]", "difference": "+0.050"},
        {"metric": "paired_vs_ridge fused macro_auc_diff", "a": "0.010 [-0.100, 0.120]", "b": "0.010 [-0.100, 0.120]",
         "difference": "+0.000"},
    ]  # fmt: skip
    assert found.cautions[0] == "different n: 40 and 39"
    assert "+0.050" in str(found)
    assert "+0.050" in found.to_html()


def test_compare_takes_complete_reports_only(tmp_path):
    a = write_run(tmp_path / "a")
    with pytest.raises(ReportError, match="no complete report"):
        compare_runs(a, write_run(tmp_path / "b", complete=False))
