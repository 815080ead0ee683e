"""Read-only folders and full disks: one clear error from every command, and nothing half-written."""

import errno
import os
import shutil
from pathlib import Path

import pytest

import mmfusion as mf
from mmfusion.cli import main
from mmfusion.data.splits import Splits
from mmfusion.errors import BundleError, MMFusionError, ScanError
from mmfusion.imaging import read, write_nifti
from mmfusion.storage import atomic
from mmfusion.storage.locks import locked
from tests.cohorts import tiny_cohort
from tests.reports.conftest import METRICS, make_notebook  # noqa: F401 - a fixture
from tests.staging.quick import QUICK


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A demo cohort, a model of its tables, and two changed cells for `validate --rehash`."""
    folder = tmp_path_factory.mktemp("write")
    assert main(["demo", str(folder / "demo"), "--n", "12"]) == 0
    cohort = mf.load_cohort(folder / "demo" / "manifest.csv")
    mf.StageClassifier(**QUICK, modalities=["ehr"]).fit(cohort.X, cohort.y).save(folder / "model")
    return folder


@pytest.fixture(params=[errno.EROFS, errno.ENOSPC])
def refused(request, monkeypatch):
    """No draft can be made, as on a read-only or full disk."""
    monkeypatch.setenv("MMFUSION_CACHE", str(Path("a").absolute()))

    def refuse(path, kind="draft"):
        raise OSError(request.param, os.strerror(request.param), str(path))

    def start():
        monkeypatch.setattr(atomic, "draft_path", refuse)
        return os.strerror(request.param)

    return start


def error_of(arguments, capsys):
    capsys.readouterr()
    status = main(arguments)
    printed = capsys.readouterr()
    assert status in (1, 2) and "Traceback" not in printed.err
    return printed.err


@pytest.mark.parametrize("command", ["demo", "init", "validate", "notebooks", "predict", "compare", "report"])
def test_commands_on_a_disk_that_cannot_be_written(
    command,
    made,
    refused,
    make_notebook,  # noqa: F811
    tmp_path,
    monkeypatch,
    capsys,
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "demo", "data")
    make_notebook("10_tiny", METRICS)
    manifest = "data/manifest.csv"
    arguments = {
        "demo": ["demo", "new", "--n", "3"],
        "init": ["init", "data/ct"],
        "validate": ["validate", manifest, "--rehash", "--no-scans"],
        "notebooks": ["notebooks", "mine"],
        "predict": [
            "predict",
            "--model",
            str(made / "model"),
            "--manifest",
            "data/manifest.csv",
            "-o",
            "p.csv",
        ],
        "compare": ["compare", "r", "r", "-o", "c.html"],
        "report": ["report", "tiny", "-o", "r"],
    }[command]
    if command == "compare":
        assert main(["report", "tiny", "-o", "r"]) == 0
    if command == "validate":
        text = Path("data/labels.csv").read_text()
        Path("data/labels.csv").write_text(text + "\n")
    before = sorted(Path().rglob("*"))
    reason = refused()
    error = error_of(arguments, capsys)
    assert reason in error and "->" in error and error.startswith("error: "), error
    assert error.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


@pytest.mark.filterwarnings("ignore::mmfusion.storage.atomic.CacheWarning")  # the cache is on this disk too
def test_the_library_on_a_disk_that_cannot_be_written(made, refused, tmp_path):
    model = mf.load(made / "model")
    cohort = mf.load_cohort(made / "demo" / "manifest.csv").with_target("stage2")
    volume = read(next((made / "demo" / "ct").rglob("volume.nii.gz")))
    reason = refused()
    with pytest.raises(BundleError, match=reason):
        model.save(tmp_path / "model")
    with pytest.raises(ScanError, match=reason):
        write_nifti(volume, tmp_path / "x.nii.gz")
    with pytest.raises(MMFusionError, match=reason):
        mf.nested_cv(
            model, cohort, outer=2, baselines=False, where="serial", out=tmp_path / "folds", progress=False
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file/x", "x" * 300])
@pytest.mark.parametrize("command", ["demo", "notebooks", "report"])
def test_places_that_cannot_exist(command, place, make_notebook, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    make_notebook("10_tiny", METRICS)
    Path("file").touch()
    arguments = {
        "demo": ["demo", place, "--n", "3"],
        "notebooks": ["notebooks", place],
        "report": ["report", "tiny", "-o", place],
    }[command]
    error = error_of(arguments, capsys)
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "another run" not in error


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc: Linux only")
def test_a_folder_without_files_is_not_taken_for_a_busy_one():
    with locked("/proc/x.lock", wait_s=0, busy=AssertionError("busy")):
        pass


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "secret.csv"),
            "file secret.csv: could not be read or written",
        ),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "folder"), "Is a directory"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (MemoryError("Unable to allocate 9 GiB"), "not enough memory (got Unable to allocate 9 GiB)"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
    ],
)
def test_other_errors_of_the_system_are_one_line(raised, said, monkeypatch, capsys):
    def fail(_arguments):
        raise raised

    monkeypatch.setattr("mmfusion.cli.doctor.doctor", fail)
    error = error_of(["doctor"], capsys)
    assert said in error and error.count("\n") == 1


def test_a_cohort_that_cannot_be_read_by_this_user(tmp_path, capsys):
    (tmp_path / "manifest.csv").mkdir()
    error = error_of(["validate", str(tmp_path / "manifest.csv")], capsys)
    assert error.startswith("error: ") and error.count("\n") == 1


def test_tiny_cohorts_splits_are_our_error_too(tmp_path):
    cohort = tiny_cohort()
    (tmp_path / "file").touch()
    with pytest.raises(MMFusionError, match="could not be written"):
        Splits.make(cohort.y, n_splits=2).save(tmp_path / "file" / "splits.json")


@pytest.mark.parametrize(
    "command",
    [
        ["features", "demo", "-o", "{bad}/deep.csv", "--random-weights", "0"],
        ["predict", "--model", "{here}/model", "--manifest", "{here}/demo/manifest.csv", "-o", "{bad}/p.csv"],
        ["demo", "{here}/new", "--model", "{bad}/model"],
    ],
)
def test_a_place_that_cannot_be_written_is_named_before_the_work(command, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder")
    for work in ("mmfusion.features.extract", "mmfusion.bundle.load", "mmfusion.staging.StageClassifier.fit"):
        monkeypatch.setattr(work, lambda *_, **__: pytest.fail("the work began"))
    assert main([part.format(bad=tmp_path / "file", here=tmp_path) for part in command]) == 2
    assert "could not be written" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
