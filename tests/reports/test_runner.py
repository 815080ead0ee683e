"""A report stands when it is complete, and never otherwise."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmfusion.errors import ReportError
from mmfusion.reports import runner
from mmfusion.reports.place import alone
from mmfusion.reports.record import read_run
from mmfusion.reports.runner import run_report
from tests.reports.conftest import METRICS

BOOM = "raise ValueError('the ninth gene is missing')"
FIGURE = """\
import matplotlib.pyplot as plt
plt.plot([0, 1]); plt.savefig(f"{out_dir}/figures.png"); plt.show()
from IPython.display import HTML, Javascript
display(HTML("<script src='https://cdn.example.org/a.js'></script><b>bold</b>"), Javascript("alert(1)"))
"""


def test_a_report_has_its_page_metrics_and_record(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS)
    out = run_report(
        "tiny", {"n_folds": "3", "lr": 1, "quick": "no", "genes": "KRAS, ALK"}, tmp_path / "r", progress=False
    )
    run = read_run(out)
    assert run["metrics"]["headline"] == "3 folds"
    assert run["parameters"] == {
        "cohort": "tiny",
        "n_folds": 3,
        "lr": 1.0,
        "quick": False,
        "genes": ["KRAS", "ALK"],
    }
    assert run["title"] == "A tiny report"
    assert run["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "metrics.json" in run["files"]
    notebook = (out / "notebook.ipynb").read_text()
    assert str(out) in notebook  # the folder aside is named nowhere
    assert "partial" not in notebook
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith((".r", "r"))] == ["r"]


def test_the_notebook_runs_in_this_python_on_one_thread(make_notebook, tmp_path):
    make_notebook(
        "10_tiny",
        "import os, sys; seen = {'exe': sys.executable, 'omp': os.environ['OMP_NUM_THREADS']}",
        METRICS.replace('"n": 40', '"n": 40, "seen": seen'),
    )
    out = run_report("tiny", out=tmp_path / "r", progress=False)
    assert read_run(out)["metrics"]["seen"] == {"exe": sys.executable, "omp": "1"}


def test_the_page_needs_no_network_and_runs_no_script(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS, FIGURE)
    page = (run_report("tiny", out=tmp_path / "r", progress=False) / "report.html").read_text()
    assert "<b>bold</b>" in page
    assert "data:image/png;base64," in page
    assert not re.search(r"<script|<link|@import", page, re.IGNORECASE)
    assert not re.search(r"""<\w[^>]*\s(src|href)\s*=\s*["']?(https?:)?//""", page, re.IGNORECASE)
    assert "default-src 'none'" in page
    assert page.count('<details class="code">') == 2  # the parameters stand in the header


def test_an_unknown_parameter_is_an_error_that_lists_the_known(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS)
    with pytest.raises(
        ReportError, match=r"(?s)unknown parameter 'n_fold'.*n_folds: int = 5  # outer folds"
    ) as error:
        run_report("tiny", {"n_fold": 3}, tmp_path / "r")
    assert "out_dir" not in str(error.value)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_folds", "three"),
        ("n_folds", 2.5),
        ("n_folds", True),
        ("lr", "fast"),
        ("quick", "perhaps"),
        ("cohort", 3),
        ("genes", 4),
        ("n_folds", None),
    ],
)
def test_a_value_of_the_wrong_type_is_an_error(make_notebook, tmp_path, name, value):
    make_notebook("10_tiny", METRICS)
    with pytest.raises(ReportError, match=f"parameter {name}: the wrong type"):
        run_report("tiny", {name: value}, tmp_path / "r")


def test_an_unknown_notebook_is_an_error_that_lists_the_known(make_notebook):
    make_notebook("10_tiny", METRICS)
    with pytest.raises(ReportError, match=r"no notebook is called 'huge'.*10_tiny"):
        run_report("huge")


def test_a_failed_run_leaves_no_report_and_keeps_the_notebook_aside(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS, BOOM)
    out = tmp_path / "r"
    with pytest.raises(ReportError, match=r"ValueError: the ninth gene is missing.*FAILED.html"):
        run_report("tiny", out=out, progress=False)
    assert not out.exists()
    assert not list(tmp_path.glob(".r.*"))
    page = (tmp_path / "r.failed" / "FAILED.html").read_text()
    assert "this is not a report" in page
    assert "the ninth gene is missing" in page
    assert not (tmp_path / "r.failed" / "run.json").exists()
    with pytest.raises(ReportError, match="no complete report"):
        read_run(tmp_path / "r.failed")


def test_a_failed_run_leaves_the_previous_report_as_it_was(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS)
    out = run_report("tiny", out=tmp_path / "r", progress=False)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    make_notebook("10_tiny", METRICS, BOOM)
    with pytest.raises(ReportError):
        run_report("tiny", out=out, progress=False)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_success_replaces_the_previous_report_and_clears_the_failed_one(make_notebook, tmp_path):
    make_notebook("10_tiny", BOOM)
    with pytest.raises(ReportError):
        run_report("tiny", out=tmp_path / "r", progress=False)
    make_notebook("10_tiny", METRICS)
    for folds in (3, 4):
        run_report("tiny", {"n_folds": folds}, tmp_path / "r", progress=False)
    assert read_run(tmp_path / "r")["metrics"]["headline"] == "4 folds"
    assert not (tmp_path / "r.failed").exists()


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("pass", "ended without its metrics"),
        ("open(f'{out_dir}/metrics.json', 'w').write('{\"auc\": NaN}')", "NaN is not JSON"),
        ("open(f'{out_dir}/metrics.json', 'w').write('[1]')", "expected a JSON object"),
        ("open(f'{out_dir}/metrics.json', 'w').write('{')", "expected strict JSON"),
    ],
)
def test_missing_or_malformed_metrics_fail_the_run(make_notebook, tmp_path, cell, problem):
    make_notebook("10_tiny", cell)
    with pytest.raises(ReportError, match=problem):
        run_report("tiny", out=tmp_path / "r", progress=False)
    assert not (tmp_path / "r").exists()


def test_a_full_disk_is_a_report_error_and_leaves_nothing(make_notebook, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    make_notebook("10_tiny", METRICS)
    monkeypatch.setattr(runner, "notebook_html", full)
    with pytest.raises(ReportError, match=r"No space left on device.*free some space"):
        run_report("tiny", out=tmp_path / "r", progress=False)
    assert not (tmp_path / "r").exists()
    assert not list(tmp_path.glob(".r.*"))
    assert not list((tmp_path / "r.failed").glob("*.html"))


def test_a_folder_that_is_no_report_is_left_alone(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "thesis.doc").write_text("years of work")
    with pytest.raises(ReportError, match="exists and is not a report"):
        run_report("tiny", out=tmp_path / "r")
    assert (tmp_path / "r" / "thesis.doc").read_text() == "years of work"


def test_a_killed_notebook_process_is_a_report_error(make_notebook, tmp_path):
    make_notebook("10_tiny", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(ReportError, match="process died"):
        run_report("tiny", out=tmp_path / "r", progress=False)
    assert not (tmp_path / "r").exists()


def test_work_dir_survives_a_failure_and_goes_with_success(make_notebook, tmp_path):
    parameters = 'work_dir: str = "."  # finished folds'
    count = "import pathlib; f = pathlib.Path(work_dir, 'fold-1'); again = f.exists(); f.touch()\n"
    make_notebook("10_tiny", count + "assert again", parameters=parameters)
    with pytest.raises(ReportError, match="AssertionError"):
        run_report("tiny", out=tmp_path / "r", progress=False)
    run_report("tiny", out=tmp_path / "r", progress=False)
    assert not list(tmp_path.glob(".r.*"))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_report(make_notebook, tmp_path, sent):
    make_notebook("10_tiny", f"open({str(tmp_path / 'started')!r}, 'w')", "import time; time.sleep(120)")
    command = [sys.executable, "-m", "mmfusion", "report", "tiny", "-o", str(tmp_path / "r")]
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a child of a job in the background ignores it
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=Path(__file__).parents[2]
    )
    signal.signal(signal.SIGINT, before)
    while not (tmp_path / "started").exists() and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, sent) if sent == signal.SIGINT else process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + sent, errors
    assert "Traceback" not in errors
    assert not (tmp_path / "r").exists()
    assert not list(tmp_path.glob(".r.*"))
    assert "this is not a report" in (tmp_path / "r.failed" / "FAILED.html").read_text()


def test_the_record_names_the_hash_of_a_manifest(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS)
    manifest = tmp_path / "data_manifest.csv"
    manifest.write_text("dataset\n")
    out = run_report("tiny", {"cohort": str(manifest)}, tmp_path / "r", progress=False)
    record = json.loads((out / "run.json").read_text())
    assert record["inputs"] == {"cohort": hashlib.sha256(b"dataset\n").hexdigest()}


SAVES = 'save_model: str = ""  # where to\nout_dir: str = "."  # where the report goes\n'
SAVING = """\
import pathlib
pathlib.Path(save_model).mkdir()
pathlib.Path(out_dir, "metrics.json").write_text("{}")
"""


@pytest.mark.parametrize("place", ["r", "r/model", "r/../r/figures/model", ".r.work/model", "r.failed/model"])
def test_a_save_path_in_the_report_folder_is_an_error(make_notebook, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    make_notebook("10_tiny", SAVING, parameters=SAVES)
    with pytest.raises(
        ReportError, match=r"parameter save_model: lies in the report's own folder.*beside it"
    ):
        run_report("tiny", {"save_model": place}, "r")
    assert not (tmp_path / "r").exists()
    run_report("tiny", {"save_model": "r_model"}, "r", progress=False)
    assert (tmp_path / "r_model").is_dir()


def test_files_of_the_user_in_the_report_folder_are_kept(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS, "pathlib.Path(out_dir, 'figures').mkdir()",
                  "pathlib.Path(out_dir, 'figures', f'{n_folds}.png').touch()")  # fmt: skip
    out = run_report("tiny", {"n_folds": 3}, tmp_path / "r", progress=False)
    (out / "figures" / "mine.png").write_text("drawn by hand")
    (out / "model").mkdir()
    (out / "model" / "weights").write_text("a night's work")
    (out / "to_data").symlink_to(tmp_path)
    for folds in (4, 5):
        run_report("tiny", {"n_folds": folds}, out, progress=False)
        assert sorted(p.name for p in (out / "figures").iterdir()) == [f"{folds}.png", "mine.png"]
        assert (out / "model" / "weights").read_text() == "a night's work" and (out / "to_data").is_symlink()
    assert not list(tmp_path.glob(".r.*"))


def test_what_appears_while_a_report_is_made_stays(make_notebook, tmp_path):
    out = tmp_path / "r"
    make_notebook(
        "10_tiny",
        METRICS,
        f"p = pathlib.Path({str(out)!r}, 'model'); p.mkdir(parents=True); (p / 'w').touch()",
    )
    run_report("tiny", out=out, progress=False)
    assert (out / "model" / "w").is_file() and read_run(out)["metrics"]


def test_a_file_of_the_user_is_not_overwritten(make_notebook, tmp_path):
    make_notebook("10_tiny", METRICS)
    out = run_report("tiny", out=tmp_path / "r", progress=False)
    (out / "table.csv").write_text("mine")
    make_notebook("10_tiny", METRICS, "pathlib.Path(out_dir, 'table.csv').write_text('new')")
    with pytest.raises(ReportError, match=r"table\.csv: a file that does not belong to the old report"):
        run_report("tiny", out=out, progress=False)
    assert (out / "table.csv").read_text() == "mine" and read_run(out)["metrics"]
    assert [p.name for p in tmp_path.glob("*r*") if p.name != "notebooks"] in (
        ["r", "r.failed"],
        ["r.failed", "r"],
    )


def test_a_folder_with_the_name_of_a_failure_is_left_alone(make_notebook, tmp_path):
    (tmp_path / "r.failed").mkdir()
    (tmp_path / "r.failed" / "thesis.doc").write_text("years of work")
    make_notebook("10_tiny", METRICS, BOOM)
    with pytest.raises(ReportError, match=r"see .*r\.[0-9a-f]{8}\.failed.FAILED\.html"):
        run_report("tiny", out=tmp_path / "r", progress=False)
    make_notebook("10_tiny", METRICS)
    run_report("tiny", out=tmp_path / "r", progress=False)
    assert (tmp_path / "r.failed" / "thesis.doc").read_text() == "years of work"


def test_of_two_runs_at_once_the_second_is_refused_and_the_first_keeps_its_work(make_notebook, tmp_path):
    make_notebook("10_tiny", "import pathlib; (pathlib.Path(work_dir) / 'fold-1').touch(); assert 0",
                  parameters='work_dir: str = "."  # finished folds')  # fmt: skip
    with pytest.raises(ReportError, match="AssertionError"):
        run_report("tiny", out=tmp_path / "r", progress=False)
    make_notebook("10_tiny", METRICS)
    with (
        alone(tmp_path / "r"),
        pytest.raises(ReportError, match=r"r: another run is making this report now.*-o"),
    ):
        run_report("tiny", out=tmp_path / "r", progress=False)
    assert (tmp_path / ".r.work" / "fold-1").exists() and not (tmp_path / "r").exists()
    assert (tmp_path / "r.failed" / "FAILED.html").exists()
    run_report("tiny", out=tmp_path / "r", progress=False)  # free again
    assert not list(tmp_path.glob(".r.*"))
