"""Every notebook, as a user runs it, on the demo cohort; small where it has the parameters to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mmfusion as mf
from mmfusion.errors import ReportError
from mmfusion.evaluation.leakage import probed
from mmfusion.reports import list_notebooks, notebook_parameters, run_report

pytestmark = pytest.mark.slow

SMALL = {
    "n_patients": 48,
    "n_training": 48,
    "outer": 2,
    "inner": 2,
    "trials": 1,
    "max_epochs": 2,
    "n_jobs": 1,
}
OWN = {
    "20_stage_fusion": {"fusions": "late", "external": "demo", "n_explained": 2, "n_null": 2},
    "40_explain": {"n_explained": 8, "n_null": 3, "n_samples": 3, "folds": 2},
    "50_predict_patient": {"n_patients": 2},
    "61_egfr": {"n_patients": 80, "n_permuted": 1, "n_null": 5, "classifiers": "qda, dt"},
    "60_lesions": {"n_patients": 6, "networks": "unet"},
    "62_joint_expression": {"n_patients": 6, "max_epochs": 1, "ablations": "tasks", "n_null": 20},
    "65_microenvironment": {"n_null": 9, "n_random": 50},
    "64_one_click": {"n_patients": 3},
    "80_robustness": {"perturbations": "noise, low dose, dropped genes, wrong units"},
    "90_leakage": {"demos": "D2, D7, D8", "n_rep": 1},
    "95_benchmark": {"only": "late, forest, mean of three, single modalities"},
    "63_igtv": {"n_patients": 6, "n_pretrain": 4, "pretrain_epochs": 1, "frozen_epochs": 1},
}
NOTEBOOKS = list_notebooks()


def test_restoration_is_judged_by_what_it_does_to_a_prediction(tmp_path: Path):
    cohort, _ = mf.phantom(24, 5, missing=0.0, n_genes=40, root=tmp_path / "phantom")
    model = mf.StageClassifier(modalities=["ct"], max_epochs=1, n_members=1).set_params(
        preprocessing__crop_side=16
    )
    with probed():  # few patients, many columns
        model.fit(cohort.X, cohort.y).save(tmp_path / "model")
    given = {
        "model": str(tmp_path / "model"),
        "n_scans": 2,
        "n_shown": 1,
        "restorers": "nlm",
        "n_compared": 12,
    }
    out = run_report("scans", given, tmp_path / "report", progress=False)
    rows = json.loads((out / "metrics.json").read_text())["restoration"]
    assert rows["input"]["shift"] == 0 and 0 < rows["nlm"]["shift"] < 1
    assert sum(v for k, v in rows["nlm"].items() if k.startswith("p(")) == pytest.approx(1, abs=1e-6)


# the saved model has met 48 patients, and some of the demo's categories in none or one of them
@pytest.mark.filterwarnings("ignore::mmfusion.preprocessing.tables.NewCategoryWarning")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_runs_quietly_on_the_demo_cohort(notebook: Path, tmp_path: Path):
    known = notebook_parameters(notebook)
    given = {k: v for k, v in (SMALL | OWN.get(notebook.stem, {})).items() if k in known}
    if "save_model" in known:
        given["save_model"] = str(tmp_path / "model")
    out = run_report(notebook, given, tmp_path / "report", progress=False)
    if "save_model" in known:
        cohort = mf.load_cohort("demo")
        assert mf.load(tmp_path / "model").predict_proba(cohort.X[:2]).shape == (
            2,
            len(cohort.y.cat.categories),
        )
    metrics = json.loads((out / "metrics.json").read_text())
    assert {"cohort", "target", "n", "headline"} <= set(metrics)
    assert ("primary" in metrics) == ("models" in metrics)
    cells = json.loads((out / "notebook.ipynb").read_text())["cells"]
    spilled = [o["text"] for c in cells for o in c.get("outputs", ()) if o.get("name") == "stderr"]
    assert not spilled
    assert list((out / "figures").glob("*.png")) and (out / "report.html").stat().st_size > 10_000


# so many folds are an error of the fit: another error shows that the parameter is checked before
@pytest.mark.parametrize(
    ("notebook", "given", "said"),
    [
        ("40_explain", {"gmt": "no.gmt", "folds": 60}, "no.gmt"),
        ("70_subgroups", {"groupings": "sex, shoe_size", "outer": 60}, "shoe_size"),
        ("80_robustness", {"perturbations": "noise, rain", "outer": 60}, "rain"),
        ("80_robustness", {"old_model": "no-model", "outer": 60}, "no-model"),
    ],
)
def test_a_wrong_parameter_is_found_before_the_fits(notebook, given, said, tmp_path: Path):
    with pytest.raises(ReportError, match=said):
        run_report(notebook, {"n_patients": 24, **given}, tmp_path / "report", progress=False)
    assert not (tmp_path / "report" / "report.html").exists()
