"""Drafts of killed processes are removed, those of living ones are not."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mmfusion.storage import atomic, drafts
from mmfusion.storage.atomic import atomic_file, atomic_folder
from mmfusion.storage.drafts import draft_path, exchange, sweep

_WRITER = """
import sys, time
from mmfusion.storage import atomic
from mmfusion.storage.atomic import atomic_file, atomic_folder
place, mode = sys.argv[1:]
if mode == "moved":
    atomic.exchange = lambda one, other: False
    def stop(*_, **__):
        print("ready", flush=True)
        time.sleep(600)
    atomic.shutil.rmtree = stop
    from pathlib import Path
    rename = Path.rename
    Path.rename = lambda s, t: stop() if (s / "new").exists() else rename(s, t)
writer = atomic_file(place) if mode == "file" else atomic_folder(place, replace=mode == "moved")
with writer as draft:
    if mode == "file":
        draft.write_text("half")
    else:
        (draft / "new").write_text("half")
    if mode != "moved":
        print("ready", flush=True)
        time.sleep(600)
"""


def started(place, mode):
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, place, mode], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def hidden(folder):
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("mode", ["file", "folder"])
def test_a_draft_is_kept_while_its_process_lives_and_removed_after_a_kill(tmp_path, mode):
    process = started(tmp_path / "x.csv", mode)
    assert len(hidden(tmp_path)) == 1
    with atomic_file(tmp_path / "other.txt") as draft:
        draft.touch()
    assert len(hidden(tmp_path)) == 1
    kill(process)
    with atomic_file(tmp_path / "other.txt") as draft:
        draft.touch()
    assert [p.name for p in tmp_path.iterdir()] == ["other.txt"]


def test_an_old_folder_that_a_killed_process_moved_aside_is_put_back(tmp_path):
    with atomic_folder(tmp_path / "model") as draft:
        (draft / "a").write_text("whole")
    process = started(tmp_path / "model", "moved")
    assert not (tmp_path / "model").exists()
    sweep(tmp_path)
    assert not (tmp_path / "model").exists()  # the other process still runs
    kill(process)
    sweep(tmp_path)
    assert (tmp_path / "model" / "a").read_text() == "whole"
    assert not hidden(tmp_path)


def test_a_process_that_was_not_asked_for_its_exit_status_has_ended(tmp_path):
    process = started(tmp_path / "x.csv", "file")
    process.send_signal(signal.SIGKILL)
    for _ in range(100):
        sweep(tmp_path)
        if not hidden(tmp_path):
            break
        time.sleep(0.05)
    assert not hidden(tmp_path)
    process.wait()
    process.stdout.close()


def test_the_number_of_a_process_is_used_again(tmp_path):
    own = draft_path(tmp_path / "x")
    host, pid, start, token = own.name.split(".")[2].split("-")
    kept, left = own, tmp_path / f".x.{host}-{pid}-{int(start, 16) + 1:x}-{token}.draft"
    kept.touch()
    left.touch()
    sweep(tmp_path)
    assert kept.exists() and not left.exists()


def test_drafts_of_other_machines_are_removed_when_they_are_old(tmp_path):
    one, other = (tmp_path / f".x.{host}-1-2-00000000.draft" for host in ("0" * 8, "f" * 8))
    one.touch()
    other.touch()
    os.utime(other, (0, 0))
    sweep(tmp_path)
    assert one.exists() and not other.exists()


def test_hidden_files_of_others_are_kept(tmp_path):
    names = [".x", ".x.draft", ".x.0-1-2-3.draft", ".git", ".x.abcd1234.csv"]
    for name in names:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert sorted(hidden(tmp_path)) == sorted(names)


def test_a_long_name_has_a_draft_too(tmp_path):
    path = tmp_path / ("x" * 250 + ".csv")
    with atomic_file(path) as draft:
        draft.write_text("1")
    assert path.read_text() == "1"


def test_exchange(tmp_path, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.write_text("file")
    if not exchange(one, other):
        pytest.skip("this file system does not offer it")
    assert one.read_text() == "file" and other.is_dir()
    with pytest.raises(FileNotFoundError):
        exchange(one, tmp_path / "absent")
    monkeypatch.setattr(drafts.ctypes, "CDLL", lambda *_, **__: object())
    assert exchange(one, other) is False and one.is_file()
    assert atomic.exchange is exchange
