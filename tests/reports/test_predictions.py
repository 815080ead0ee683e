"""The predictions of a report give its metrics again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from mmfusion.errors import ReportError
from mmfusion.evaluation import nested_cv
from mmfusion.evaluation.baselines import standard_baselines
from mmfusion.evaluation.regression_baselines import regression_baselines
from mmfusion.reports import read_predictions, recompute, write_metrics, write_predictions
from tests.cohorts import tiny_cohort
from tests.evaluation.toys import vector_cohort

OPTIONS = {"outer": 2, "inner": 2, "where": "serial", "progress": False}


def report(folder, result, **parts):
    """The files of a report that judged models, with further parts."""
    folder.mkdir()
    metrics = result.to_metrics() | {name: other.to_metrics() for name, other in parts.items()}
    write_metrics(metrics, folder)
    write_predictions(result.predictions, folder)
    for name, other in parts.items():
        write_predictions(other.predictions, folder, name)
    return folder


@pytest.fixture(scope="module")
def result():
    cohort = tiny_cohort(48)
    ids = pd.Index([f"{'=-@'[i % 3]}P{i}" for i in range(48)], name="patient_id")
    groups = cohort.groups.set_axis(ids).assign(patient=ids)
    cohort = replace(
        cohort, table=cohort.table.set_axis(ids), outcomes=cohort.outcomes.set_axis(ids), groups=groups
    )
    models = standard_baselines(cohort.modalities, inner=2)
    ridge = models.pop("ridge")
    others = {"majority": models["majority"]}
    return nested_cv(ridge, cohort, name="=ridge, 2 < 3", baselines=others, repeats=2, **OPTIONS)


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    return report(tmp_path_factory.mktemp("report") / "r", result, all_patients=result)


def test_every_metric_is_computed_again(result, folder):
    found = recompute(folder)
    assert set(found["part"]) == {"", "all_patients"} and set(found["model"]) == set(result.models)
    assert found["difference"].abs().max() < 1e-12
    primary = json.loads((folder / "metrics.json").read_text())["primary"]
    row = found[(found["model"] == primary["model"]) & (found["metric"] == primary["metric"])].iloc[0]
    assert abs(row["recomputed"] - result.scores.loc[result.main, ("macro_auc", "mean")]) < 1e-12


def test_a_changed_prediction_shows(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    table = read_predictions(copy / "predictions.csv")
    table.loc[table["model"] != "majority", ["p_I", "p_III"]] = table[["p_III", "p_I"]].to_numpy()[
        table["model"] != "majority"
    ]
    write_predictions(table, copy)
    assert recompute(copy)["difference"].abs().max() > 0.01


def test_the_file_has_what_a_reader_needs_and_no_formula(result, folder):
    raw = pd.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
    first = ["patient_id", "person", "repeat", "fold", "model", "y_true", "y_pred"]
    assert list(raw)[:7] == first and list(raw)[7:] == ["p_I", "p_II", "p_III"]
    assert (
        len(raw) == 48 * 2 * 2
        and not raw.map(lambda cell: cell[:1] in "=-@+" and cell != "").to_numpy().any()
    )
    table = read_predictions(folder / "predictions.csv")
    pd.testing.assert_frame_equal(
        table[["model", "repeat", "fold", "patient_id", "person", "p_I"]],
        result.predictions[["model", "repeat", "fold", "patient_id", "person", "p_I"]],
        check_dtype=False,
        check_exact=True,
    )
    assert set(table["y_pred"]) <= {"I", "II", "III"}


def test_vectors_are_computed_again(tmp_path):
    cohort = vector_cohort(40)
    ridge = regression_baselines(cohort.modalities)["ridge"]
    result = nested_cv(ridge, cohort, name="ridge", baselines=False, **OPTIONS)
    found = recompute(report(tmp_path / "r", result))
    assert len(found) > 2 and found["difference"].abs().max() < 1e-12


def test_what_cannot_be_computed_again(folder, tmp_path):
    with pytest.raises(ReportError, match="no report with metrics"):
        recompute(tmp_path)
    (tmp_path / "metrics.json").write_text('{"headline": "h"}')
    with pytest.raises(ReportError, match="judges no model"):
        recompute(tmp_path)
    shutil.copy(folder / "metrics.json", tmp_path)
    with pytest.raises(ReportError, match="no predictions"):
        recompute(tmp_path)
    (tmp_path / "predictions.csv").write_text("patient_id,repeat,fold,model,p_I\nP1,0,0,m,high\n")
    with pytest.raises(ReportError, match="not a number"):
        recompute(tmp_path)
    (tmp_path / "predictions.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ReportError, match="not a table of predictions"):
        recompute(tmp_path)


def test_nothing_is_written_without_a_folder(result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_predictions(result.predictions, "")
    assert not list(tmp_path.iterdir())


def test_a_result_shows_its_models_in_a_notebook(result):
    page = result._repr_html_()
    assert "=ridge, 2 &lt; 3" in page and "majority" in page and "macro-AUC" in page and "..." not in page
