"""The command line: output, exit status, and one clear line per error."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from mmfusion import __version__
from mmfusion.cli import main
from tests.reports.conftest import METRICS

COMMANDS = ("demo", "init", "validate", "features", "segment", "report", "notebooks", "predict", "compare",
            "doctor")  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert f"mmfusion {command}" in text.split("examples:")[1]


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"mmfusion {__version__}\n"


def test_no_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2
    assert "usage: mmfusion" in capsys.readouterr().err


def test_bad_input_is_one_line_and_status_two(here, capsys):
    assert main(["validate", "nothing.csv"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: file nothing.csv: no manifest there")
    assert error.count("\n") == 1


def test_an_interrupt_is_130(monkeypatch, capsys):
    def interrupted(_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmfusion.cli.doctor.doctor", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_report_lists_notebooks_and_parameters(make_notebook, capsys):
    make_notebook("10_tiny", METRICS)
    assert main(["report"]) == 0
    assert "10_tiny  A tiny report" in capsys.readouterr().out
    assert main(["report", "tiny", "--parameters"]) == 0
    text = capsys.readouterr().out
    assert "n_folds: int = 5  # outer folds" in text
    assert "out_dir" not in text
    assert "targets:" not in text
    make_notebook("20_staged", METRICS, parameters='target: str = ""  # which')
    assert main(["report", "staged", "--parameters"]) == 0
    assert "targets:\n  stage4_lung1: I < II" in capsys.readouterr().out


def test_notebooks_are_copied_and_listed(here, capsys):
    assert main(["notebooks", "mine"]) == 0
    text = capsys.readouterr().out
    assert (
        "written: mine/20_stage_fusion.ipynb\n" in text
        and "next: mmfusion report mine/00_cohort.ipynb\n" in text
    )
    assert main(["report", "mine/20_stage_fusion.ipynb", "--parameters"]) == 0
    (here / "mine" / "00_cohort.ipynb").write_text("edited")
    assert main(["notebooks", "mine"]) == 2
    assert "error: file mine: these notebooks were edited" in capsys.readouterr().err


def test_the_rule_for_empty_cells_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    text = capsys.readouterr().out
    assert "an empty cell leaves the notebook's default" in text and "write none" in text


def test_report_writes_report_and_index_and_compare_reads_them(make_notebook, here, capsys):
    make_notebook("10_tiny", METRICS)
    for folds in ("3", "4"):
        assert (
            main(["report", "tiny", "-p", f"n_folds={folds}", "-p", "cohort=a=b", "-o", f"reports/r{folds}"])
            == 0
        )
    assert "reports/r4/report.html\nindex: reports/index.html\n" in capsys.readouterr().out
    assert "4 folds" in (here / "reports" / "index.html").read_text()
    assert main(["compare", "reports/r3", "reports/r4", "-o", "changes.html"]) == 0
    assert "n_folds" in capsys.readouterr().out
    assert "n_folds" in (here / "changes.html").read_text()


def test_batch_returns_one_if_a_run_failed(make_notebook, here, capsys):
    make_notebook("10_tiny", "assert n_folds < 9", METRICS)
    (here / "runs.csv").write_text("n_folds\n9\n3\n")
    assert main(["report", "tiny", "--batch", "runs.csv", "-o", "reports/batch"]) == 1
    text = capsys.readouterr().out
    assert "r01: failed: " in text
    assert "1 of 2 complete" in text
    assert (here / "reports" / "index.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-p", "n_folds"], "a parameter has no value"),
        (["-p", "n_folds=3", "-p", "n_folds=4"], "parameter n_folds: given twice"),
        (["-p", "folds=3"], "unknown parameter 'folds'"),
        (["-p", "n_folds=3", "--batch", "runs.csv"], "-p and --batch do not go together"),
    ],
)
def test_report_arguments_that_make_no_sense(make_notebook, here, capsys, arguments, problem):
    make_notebook("10_tiny", METRICS)
    assert main(["report", "tiny", *arguments]) == 2
    assert problem in capsys.readouterr().err
    assert not (here / "reports").exists()


def test_validate_lists_scans_that_cannot_be_read(demo, tmp_path, capsys):

    copy = tmp_path / "demo"
    shutil.copytree(demo, copy)
    manifest = pd.read_csv(copy / "manifest.csv", dtype=str, keep_default_na=False)
    row = manifest.index[manifest["role"] == "volume"][0]
    (copy / manifest["path"][row]).write_bytes(b"not a scan")
    manifest.loc[row, "sha256"] = ""
    manifest.to_csv(copy / "manifest.csv", index=False)
    assert main(["validate", str(copy / "manifest.csv")]) == 1
    text = capsys.readouterr().out
    assert f"problem: patient {manifest['patient_id'][row]}" in text
    assert main(["validate", str(copy / "manifest.csv"), "--no-scans"]) == 0


def test_init_writes_a_manifest_and_says_why(tmp_path, capsys):
    (tmp_path / "clinic.csv").write_text("patient_id,stage,age\nA1,IA,61\nA2,IIB,70\nA3,IIIA,58\n")
    (tmp_path / "letter.docx").write_text("x")
    assert main(["init", str(tmp_path)]) == 0
    assert "next: mmfusion validate" in capsys.readouterr().out
    assert "letter.docx" in (tmp_path / "data_manifest.md").read_text()
    assert (tmp_path / "data_manifest.csv").is_file()
    (tmp_path / "data_manifest.md").write_text("my own notes")
    assert main(["init", str(tmp_path)]) == 2
    assert "there is a manifest already" in capsys.readouterr().err
    assert (tmp_path / "data_manifest.md").read_text() == "my own notes"


def test_rehash_accepts_a_corrected_table_and_keeps_changes_by_hand(here, capsys):
    Path("clinic.csv").write_text("patient_id,stage,age\nA1,IA,61\nA2,IIB,70\nA3,IIIA,58\n")
    main(["init", "."])
    manifest = Path("data_manifest.csv")
    manifest.write_text(manifest.read_text().replace(",ehr,", ",ehr,", 1).replace(",,,,,", ",,by hand,,,", 1))
    Path("clinic.csv").write_text("patient_id,stage,age\nA1,IA,62\nA2,IIB,70\nA3,IIIA,58\n")
    capsys.readouterr()
    assert main(["validate", "data_manifest.csv"]) == 2
    assert "mmfusion validate <manifest> --rehash" in capsys.readouterr().err
    assert main(["init", "."]) == 2
    assert "mmfusion validate <manifest> --rehash" in capsys.readouterr().err
    assert main(["validate", "data_manifest.csv", "--rehash"]) == 0
    assert "changed: clinic.csv\nchanged files accepted: 1\n" in capsys.readouterr().out
    assert "by hand" in manifest.read_text()
    assert main(["validate", "data_manifest.csv"]) == 0


def test_validate_reports_scans_without_seeds_and_absent_labels(demo, tmp_path, capsys):

    copy = tmp_path / "demo"
    shutil.copytree(demo, copy)
    manifest = pd.read_csv(copy / "manifest.csv", dtype=str, keep_default_na=False)
    manifest["sha256"] = ""
    manifest[manifest["role"] != "seeds"].to_csv(copy / "manifest.csv", index=False)
    n = (manifest["modality"].eq("ct") & manifest["role"].eq("volume")).sum()
    assert main(["validate", str(copy / "manifest.csv"), "--no-scans"]) == 0
    assert f"note: {n} of {n} scans have no seed: give a table patient_id, seed_x" in capsys.readouterr().out
    pd.read_csv(copy / "labels.csv").assign(stage="").to_csv(copy / "labels.csv", index=False)
    assert main(["validate", str(copy / "manifest.csv"), "--no-scans"]) == 1
    assert (
        "problem: no patient has a label (stage3_ajcc7): give a column stage, pStage"
        in capsys.readouterr().out
    )


def test_validate_takes_the_edition_of_the_labels(demo, tmp_path, capsys):
    arguments = ["validate", str(demo / "manifest.csv"), "--no-scans", "--target", "stage3_ajcc9"]
    assert main(arguments) == 0  # the stages of the demo hold in all editions
    assert "with a label (stage3_ajcc9: I " in capsys.readouterr().out
    (tmp_path / "clinic.csv").write_text("patient_id,stage,age\nA1,IA,61\nA2,IIB,70\nA3,IIIA,58\n")
    assert main(["init", str(tmp_path)]) == 0
    arguments[1] = str(tmp_path / "data_manifest.csv")
    assert main(arguments) == 2
    assert "its stage is of AJCC 7" in capsys.readouterr().err
    assert main([*arguments, "--edition", "9"]) == 0


def test_validate_names_a_patient_once(demo, tmp_path, capsys):

    copy = tmp_path / "demo"
    shutil.copytree(demo, copy)
    seeds = pd.read_csv(copy / "ct_seeds.csv", index_col=0)
    seeds.iloc[0, 0] = None
    seeds.to_csv(copy / "ct_seeds.csv")
    assert main(["validate", str(copy / "manifest.csv"), "--rehash"]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem")]
    assert line.startswith("problem: patient ") and line.count("patient ") == 1
