"""What a notebook leaves beside its page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmfusion.errors import ReportError
from mmfusion.figures.style import new_figure
from mmfusion.reports.output import save_figure, write_metrics
from mmfusion.storage.naming import file_name


def test_metrics_are_strict_json_with_null_for_what_is_not_a_number(tmp_path):
    metrics = {
        "headline": "all well",
        "auc": np.float64(0.5),
        "ci": (float("nan"), np.inf),
        "n": np.int64(3),
        "by": {1: np.array([1.0, np.nan])},
    }
    write_metrics(metrics, tmp_path)
    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text) == {
        "headline": "all well",
        "auc": 0.5,
        "ci": [None, None],
        "n": 3,
        "by": {"1": [1.0, None]},
    }
    assert "NaN" not in text


SCORE = {"dice": {"mean": 0.8, "ci": [0.7, 0.9]}, "inputs": ["ct"]}
MODELS = {"unet": SCORE, "threshold": {"volume": {"mean": 1.0, "ci": None}}}


@pytest.mark.parametrize(
    ("metrics", "problem"),
    [
        (
            {"n": 3},
            r"primary: neither models nor a headline \(expected `models` with `primary`, or a `headline`\)",
        ),
        (
            {"headline": "well", "primary": {"metric": "dice", "model": "unet"}},
            "a primary metric without models",
        ),
        ({"models": MODELS}, "no primary metric"),
        ({"models": MODELS, "primary": "dice"}, "no primary metric .*got dice"),
        ({"models": MODELS, "primary": {"metric": "dice"}}, "a model that is not in the report .*got None"),
        (
            {"models": MODELS, "primary": {"metric": "dice", "model": "gmu"}},
            "expected unet, threshold; got 'gmu'",
        ),
        (
            {"models": MODELS, "primary": {"metric": "inputs", "model": "unet"}},
            "does not have .expected dice; got 'in",
        ),
        (
            {"models": MODELS, "primary": {"metric": "dice", "model": "unet", "reference": "threshold"}},
            r"a metric that threshold does not have \(expected volume; got 'dice'\)",
        ),
        (
            {"models": MODELS, "primary": {"metric": "dice", "model": "unet", "baseline": "threshold"}},
            "an unknown key .*reference, direction; got baseline",
        ),
        (
            {"models": MODELS, "primary": {"metric": "dice", "model": "unet", "direction": "up"}},
            "an unknown direction .expected higher or lower; got up",
        ),
    ],
)
def test_metrics_that_do_not_say_what_was_found_are_one_error(tmp_path, metrics, problem):
    with pytest.raises(ReportError, match=problem):
        write_metrics(metrics, tmp_path)
    with pytest.raises(ReportError, match=problem):
        write_metrics(metrics, "")
    assert list(tmp_path.iterdir()) == []


def test_a_primary_metric_that_could_not_be_computed_is_written(tmp_path):
    models = {"unet": {"dice": {"mean": float("nan"), "ci": [float("nan")] * 2}}}
    write_metrics({"models": models, "primary": {"metric": "dice", "model": "unet"}}, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["models"]["unet"]["dice"]["mean"] is None


def test_figures_are_saved_and_given_back(tmp_path):
    figure, _ = new_figure(1.0)
    assert save_figure(figure, tmp_path, "roc") is figure
    assert (tmp_path / "figures" / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_any_patients_id_gives_a_file_of_its_own(tmp_path):
    ids = ["2020/001", "2020_001", "2020 001", "../2020_001", ".2020", "a" * 300, "a" * 301, "Zoë"]
    for patient in ids:
        save_figure(new_figure(1.0)[0], tmp_path, f"scan_{patient}")
    assert len(list((tmp_path / "figures").glob("scan_*.png"))) == len(ids)
    assert [p.name for p in tmp_path.iterdir()] == ["figures"]
    assert file_name("scan_R01-001") == "scan_R01-001"


def test_nothing_is_written_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_metrics({"headline": "all well"}, "")
    save_figure(new_figure(1.0)[0], "", "roc")
    assert list(tmp_path.iterdir()) == []
