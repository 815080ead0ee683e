"""What a notebook leaves beside its page."""

from __future__ import annotations

import json

import numpy as np

from mmfusion.figures.style import new_figure
from mmfusion.reports.output import file_name, save_figure, write_metrics


def test_metrics_are_strict_json_with_null_for_what_is_not_a_number(tmp_path):
    metrics = {
        "auc": np.float64(0.5),
        "ci": (float("nan"), np.inf),
        "n": np.int64(3),
        "by": {1: np.array([1.0, np.nan])},
    }
    write_metrics(metrics, tmp_path)
    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text) == {"auc": 0.5, "ci": [None, None], "n": 3, "by": {"1": [1.0, None]}}
    assert "NaN" not in text


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
    write_metrics({"n": 1}, "")
    save_figure(new_figure(1.0)[0], "", "roc")
    assert list(tmp_path.iterdir()) == []
