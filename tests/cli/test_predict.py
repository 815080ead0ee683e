"""`mmfusion predict`: one patient, and the patients of a manifest."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from mmfusion.cli import main
from tests.reports.conftest import METRICS, make_notebook  # noqa: F401 - a fixture


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "nothing to read"),
        (["--manifest", "m.csv", "--rna", "rna.csv"], "--manifest does not go with other inputs"),
        (["--manifest", "m.csv"], "no file for the predictions"),
        (["--rna", "rna.csv", "-o", "p.csv"], "-o goes with --manifest"),
        (["--rna", "rna.csv"], "no saved model here"),
    ],
)
def test_predict_arguments_that_make_no_sense(here, capsys, arguments, problem):
    assert main(["predict", "--model", "model", *arguments]) == 2
    assert problem in capsys.readouterr().err


def test_a_seed_that_is_no_point_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as end:
        main(["predict", "--model", "m", "--ct", "s.zip", "--seed", "-1,2"])
    assert end.value.code == 2
    assert "expected x,y,z in mm" in capsys.readouterr().err


def test_predict_one_patient_and_a_manifest(demo, tmp_path, capsys):
    from mmfusion.data.load import load_cohort
    from mmfusion.evaluation.leakage import probed
    from mmfusion.staging import StageClassifier

    cohort = load_cohort(demo / "manifest.csv", target="stage2")
    model = StageClassifier("concat", modalities=["rna", "ehr"], max_epochs=1, n_genes=20)
    with probed():
        model.fit(cohort.X, cohort.y).save(tmp_path / "model")
    capsys.readouterr()

    new = demo / "new_patient"
    arguments = [
        "predict",
        "--model",
        str(tmp_path / "model"),
        "--rna",
        str(new / "rna.csv"),
        "--ehr",
        str(new / "ehr.csv"),
    ]
    assert main([*arguments, "--json"]) == 0
    prediction = json.loads(capsys.readouterr().out)
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)
    assert main(arguments) == 0
    assert f"stage {prediction['stage']}" in capsys.readouterr().out
    assert main([*arguments, "--json", "--coverage", "0.42"]) == 2
    assert "no sets of this coverage" in capsys.readouterr().err

    table = tmp_path / "predictions.csv"
    status = main(
        [
            "predict",
            "--model",
            str(tmp_path / "model"),
            "--manifest",
            str(demo / "manifest.csv"),
            "-o",
            str(table),
        ]
    )
    read = pd.read_csv(table, keep_default_na=False)
    assert list(read["patient_id"]) == list(cohort.table.index)
    assert status == int((read["error"] != "").any())
