"""The index lists what is complete, apart from what failed; the comparison says what changed."""

from __future__ import annotations

import json

import pytest

from mmfusion.errors import ReportError
from mmfusion.reports.compare import compare_runs
from mmfusion.reports.index import build_index, index_root
from mmfusion.reports.primary import Primary, headline, read_primary

SCORE = {"mean": 0.612, "ci": [0.55, 0.67]}


def write_run(folder, *, n=40, n_folds=5, auc=0.6, complete=True, **metrics):
    folder.mkdir(parents=True)
    score = {"mean": auc, "ci": [auc - 0.1, auc + 0.1]}
    paired = {"fused": {"macro_auc_diff": 0.01, "ci": [-0.1, 0.12]}}
    body = {
        "cohort": "tiny",
        "target": "stage2",
        "n": n,
        "models": {"fused": {"macro_auc": score, "inputs": ["ct"]}},
        "paired_vs_ridge": paired,
        "leaky": False,
    } | metrics
    run = {
        "name": "tiny",
        "title": f"A <tiny> report of {folder.name}",
        "parameters": {"n_folds": n_folds},
        "seconds": 75,
        "started": "2026-01-31T14:05:00+00:00",
        "versions": {"torch": "2.13.0"},
        "git": "abc",
        "inputs": {},
        "notebook": {"file": "10_tiny.ipynb", "sha256": "f"},
    }
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
        ({"models": {"unet": {"dice": SCORE}, "ridge": {"dice": SCORE}},
          "primary": {"metric": "dice", "model": "unet"}},
         "Dice per patient: unet 0.612 [0.550, 0.670]"),
        ({"models": {"a": {"brier": SCORE}, "b": {"brier": SCORE}},
          "primary": {"metric": "brier", "model": "b", "reference": "a"}},
         "Brier score, 0 to 2 (lower is better): b 0.612 [0.550, 0.670], a 0.612 [0.550, 0.670]"),
    ],
)  # fmt: skip
def test_headline(metrics, text):
    assert headline(metrics) == text


def test_the_primary_metric_says_whether_lower_is_better():
    models = {"unet": {"hd95_mm": SCORE, "brier": SCORE}}
    stated = {"metric": "hd95_mm", "model": "unet", "reference": "unet", "direction": "lower"}
    assert read_primary({"models": models, "primary": stated}) == Primary("hd95_mm", "unet", None, True)
    stated = {"metric": "brier", "model": "unet", "direction": "higher"}
    assert not read_primary({"models": models, "primary": stated}).lower_is_better
    assert read_primary({"models": models, "primary": {"metric": "brier", "model": "unet"}}).lower_is_better


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
        {
            "metric": "fused macro_auc",
            "a": "0.600 [0.500, 0.700]",
            "b": "0.650 [0.550, 0.750]",
            "difference": "+0.050",
        },
    ]
    assert found.n_equal == 1 and "1 more are equal." in str(found)  # the paired difference
    assert found.cautions[0] == "different n: 40 and 39"
    assert "+0.050" in str(found)
    assert "+0.050" in found.to_html()


def test_compare_takes_complete_reports_only(tmp_path):
    a = write_run(tmp_path / "a")
    with pytest.raises(ReportError, match="no complete report"):
        compare_runs(a, write_run(tmp_path / "b", complete=False))


def score(mean):
    return {
        "macro_auc": {"mean": mean, "ci": [mean - 0.1, mean + 0.1]},
        "brier": {"mean": 0.6, "ci": [0.5, 0.7]},
    }


def test_compare_holds_main_model_against_main_model_and_settings_are_no_metrics(tmp_path):
    a = write_run(
        tmp_path / "a",
        headline="concat it is",
        main="concat",
        classes={"I": 18},
        plan={"outer": 3},
        models={"concat": score(0.686), "ridge": score(0.7)},
        params={"fold 1": {"hidden": 64, "lr": 1e-3}},
        paired_vs_ridge={"concat": {"macro_auc_diff": -0.014, "ci": [-0.1, 0.1]}},
        all_patients={"n": 51, "seconds": 30.0},
    )
    b = write_run(
        tmp_path / "b",
        headline="late it is",
        main="late",
        classes={"I": 18},
        plan={"outer": 5},
        models={"ridge": score(0.72), "late": score(0.734), "concat": score(0.759)},
        params={"fold 1": {"hidden": 32, "lr": 1e-3}},
        paired_vs_ridge={"late": {"macro_auc_diff": 0.014}},
        all_patients={"n": 51, "seconds": 40.0},
    )
    found = compare_runs(a, b)
    assert found.headlines == ("concat it is", "late it is")
    assert found.metrics.to_dict("records")[0] == {
        "metric": "main model macro_auc",
        "a": "concat 0.686 [0.586, 0.786]",
        "b": "late 0.734 [0.634, 0.834]",
        "difference": "+0.048",
    }
    assert (
        found.main
        == "main model macro_auc: concat 0.686 [0.586, 0.786], then late 0.734 [0.634, 0.834]: +0.048"
    )
    assert list(found.metrics["metric"][1:]) == [
        "ridge macro_auc",
        "paired_vs_ridge main model macro_auc_diff",
    ]
    assert found.n_equal == 2 and found.only == ((), ("concat",))  # both brier; concat is not main in b
    assert found.changed[["kind", "what", "a", "b"]].to_numpy().tolist() == [
        ["plan", "outer", "3", "5"],
        ["chosen", "fold 1 hidden", "64", "32"],
    ]
    assert "different main models: concat and late" in found.cautions
    for text in (str(found), found.to_html()):
        assert "concat it is" in text and found.main in text and "2 more are equal." in text
        assert "Beside the main model, in b only: concat." in text


def test_compare_of_segmentations_is_by_their_own_metric(tmp_path):
    def run(name, model, mean, metric="hd95_mm"):
        scores = {"hd95_mm": {"mean": mean, "ci": [1, 9]}, "dice": {"mean": 0.8, "ci": None}}
        primary = {"metric": metric, "model": model, "direction": "lower"}
        return write_run(
            tmp_path / name, models={model: scores, "ridge": scores}, primary=primary, paired_vs_ridge={}
        )

    found = compare_runs(run("a", "unet", 4.0), run("b", "cspat", 3.0))
    assert found.main == (
        "main model hd95_mm: unet 4.000 [1.000, 9.000], then cspat 3.000 [1.000, 9.000]: "
        "-1.000 (lower is better)"
    )
    assert [row["metric"] for row in found.metrics.to_dict("records")] == [
        "main model hd95_mm",
        "ridge hd95_mm",
    ]
    assert found.only == ((), ()) and "different main models: unet and cspat" in found.cautions
    other = compare_runs(tmp_path / "a", run("c", "unet", 3.0, metric="dice"))
    assert other.main == "" and "different primary metrics: hd95_mm and dice" in other.cautions
    headlines = write_run(tmp_path / "d", models={}, headline="40 scans", paired_vs_ridge={})
    assert compare_runs(tmp_path / "a", headlines).main == ""


def test_compare_of_a_report_with_itself(tmp_path):
    a = write_run(tmp_path / "a", main="fused")
    found = compare_runs(a, a)
    assert list(found.metrics["difference"]) == ["+0.000"]  # the main model stands there all the same
    nothing = write_run(tmp_path / "b", models={}, paired_vs_ridge={})
    assert "None in common." in str(compare_runs(nothing, nothing))


def test_ten_metrics_come_first_and_the_rest_is_folded_away(tmp_path):
    def models(shift):
        names = ["fused", "ridge", *(f"other{i}" for i in range(12))]
        every = ("ece", "macro_f1", "macro_auc", "accuracy", "brier")
        return {n: {m: {"mean": 0.5 + shift, "ci": [0.4, 0.6]} for m in every} for n in names}

    def run(name, shift):
        paired = {n: {"macro_auc_diff": 0.1 + shift, "ci": [0.0, 0.2]} for n in ("fused", "other1")}
        primary = {"metric": "macro_auc", "model": "fused", "reference": "ridge"}
        all_patients = {"models": models(shift)}
        more = {"models": models(shift), "paired_vs_ridge": paired, "primary": primary}
        return write_run(tmp_path / name, all_patients=all_patients, **more)

    found = compare_runs(run("a", 0.0), run("b", 0.1))
    first = list(found.metrics["metric"][:10])
    assert first[:3] == ["fused macro_auc", "ridge macro_auc", "paired_vs_ridge fused macro_auc_diff"]
    assert first[3:7] == [f"fused {m}" for m in ("accuracy", "macro_f1", "brier", "ece")]
    assert first[7:] == [f"other{i} macro_auc" for i in range(3)]
    rest = len(found.metrics) - 10
    assert f"{rest} more differ: mmfusion compare ... --all" in str(found) and "other9 ece" not in str(found)
    assert "other9 ece" in found.text(every=True) and "more differ" not in found.text(every=True)
    page = found.to_html()
    seen, _, folded = page.partition("<details>")
    assert f"<summary>{rest} more metrics</summary>" in folded and "other9 ece" in folded
    assert "other9 ece" not in seen and "fused brier" in seen
    assert "other9 ece" in found._repr_html_()
