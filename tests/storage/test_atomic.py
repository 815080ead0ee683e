"""What is written atomically is there whole or not at all, and nothing is left beside it."""

import errno
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from mmfusion.errors import DataError, ReportError
from mmfusion.storage import atomic
from mmfusion.storage.atomic import atomic_file, atomic_folder, saved


def listing(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_a_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "new" / "table.csv"
    for text in ("first", "second"):
        with atomic_file(path) as draft:
            assert draft.suffix == ".csv" and draft.name.startswith(".")
            draft.write_text(text)
        assert path.read_text() == text
    assert listing(tmp_path) == ["new", "new/table.csv"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file(tmp_path, failure):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(type(failure)), atomic_file(path) as draft:
        draft.write_text("ne")
        raise failure
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["table.csv"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "table.csv"):
        pass
    assert not listing(tmp_path)


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_takes_the_place_of_nothing_or_of_an_empty_one(tmp_path, there):
    if there:
        (tmp_path / "model").mkdir()
    with atomic_folder(tmp_path / "model") as draft:
        (draft / "a").write_text("1")
    assert listing(tmp_path) == ["model", "model/a"]


def test_a_folder_that_holds_something_is_replaced_on_demand_only(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with pytest.raises(OSError, match="not empty"), atomic_folder(tmp_path / "model") as draft:
        (draft / "a").touch()
    assert listing(tmp_path) == ["model", "model/old"]
    with atomic_folder(tmp_path / "model", replace=True) as draft:
        (draft / "a").touch()
    assert listing(tmp_path) == ["model", "model/a"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_folder(tmp_path, failure):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with pytest.raises(type(failure)), atomic_folder(tmp_path / "model", replace=True) as draft:
        (draft / "a").touch()
        raise failure
    assert listing(tmp_path) == ["model", "model/old"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_while_changing_places_leaves_the_old_folder(tmp_path, monkeypatch, failure):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    rename = Path.rename

    def fail(source, target):
        if (source / "a").exists():
            raise failure
        return rename(source, target)

    monkeypatch.setattr(atomic, "exchange", lambda one, other: False)  # as where the system does not offer it
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(type(failure)), atomic_folder(tmp_path / "model", replace=True) as draft:
        (draft / "a").touch()
    assert listing(tmp_path) == ["model", "model/old"]


def test_where_folders_cannot_be_exchanged_they_are_moved_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "exchange", lambda one, other: False)
    for name in ("a", "b"):
        with atomic_folder(tmp_path / "model", replace=True) as draft:
            (draft / name).touch()
        assert listing(tmp_path) == ["model", f"model/{name}"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="exchange in one step: Linux only")
def test_the_name_is_never_free_while_a_folder_is_replaced(tmp_path):
    stop, absent = threading.Event(), []

    def watch():
        while not stop.is_set():
            if not (tmp_path / "model" / "a").exists():
                absent.append(1)

    with atomic_folder(tmp_path / "model") as draft:
        (draft / "a").touch()
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(200):
        with atomic_folder(tmp_path / "model", replace=True) as draft:
            (draft / "a").touch()
    stop.set()
    watcher.join()
    assert not absent


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "can be written"),
        (errno.ENAMETOOLONG, "shorter name"),
    ],
)
def test_an_error_of_the_system_becomes_ours_and_says_what_to_do(tmp_path, number, hint):
    with pytest.raises(ReportError, match=hint) as caught, saved(tmp_path / "x.csv", ReportError) as draft:
        draft.touch()
        raise OSError(number, os.strerror(number))
    assert caught.value.file == tmp_path / "x.csv"
    assert not listing(tmp_path)


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="a part of the path is a file"), saved(tmp_path / "file" / "x.csv"):
        pass


def test_a_full_disk(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = shutil.which("mount")
    if not mount or subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", small]).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        (small / "x.csv").write_text("old")
        with pytest.raises(DataError, match="free some space"), saved(small / "x.csv") as draft:
            draft.write_bytes(bytes(10**6))
        assert (small / "x.csv").read_text() == "old"
        assert listing(small) == ["x.csv"]
    finally:
        subprocess.run(["umount", small], check=True)


def test_permissions_are_those_of_any_new_file(tmp_path):
    with atomic_folder(tmp_path / "model") as draft, atomic_file(draft / "a") as file:
        file.touch()
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a").touch()
    for name in ("", "a"):
        assert (tmp_path / "model" / name).stat().st_mode == (tmp_path / "plain" / name).stat().st_mode
