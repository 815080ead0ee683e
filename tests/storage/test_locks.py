"""One process at a time; where that cannot be had, work goes on without it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time

import pytest

from mmfusion.errors import ReportError
from mmfusion.storage import locks
from mmfusion.storage.locks import locked


def test_the_lock_is_held_and_then_removed(tmp_path):
    file = tmp_path / "new" / "x.lock"
    with locked(file, wait_s=0):
        assert file.exists()
        with pytest.raises(ReportError, match="busy"), locked(file, wait_s=0, busy=ReportError("busy")):
            raise AssertionError
    assert not file.exists()
    with locked(file, wait_s=0, busy=ReportError("busy")):
        pass


def test_it_is_let_go_on_an_error(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "x.lock", wait_s=0):
        raise KeyError
    with locked(tmp_path / "x.lock", wait_s=0, busy=ReportError("busy")):
        pass
    assert list(tmp_path.iterdir()) == []


def test_without_an_error_to_raise_the_block_runs_all_the_same(tmp_path, caplog):
    file, ran = tmp_path / "x.lock", []
    with caplog.at_level(logging.INFO), locked(file, wait_s=0):
        with locked(file, wait_s=0.01):
            ran.append("inner")
        assert file.exists()  # the inner block did not take away the outer one's lock
    assert ran == ["inner"]
    assert "still held" in caplog.text


def test_errors_of_the_block_are_not_taken_for_the_locks_own(tmp_path):
    with pytest.raises(TimeoutError, match="mine"), locked(tmp_path / "x.lock", wait_s=0):
        raise TimeoutError("mine")
    with (
        pytest.raises(OSError, match="disk full"),
        locked(tmp_path / "x.lock", wait_s=0, busy=ReportError("busy")),
    ):
        raise OSError("disk full")


@pytest.mark.parametrize("reason", [NotImplementedError("no locks here"), PermissionError("read-only")])
def test_where_files_cannot_be_locked(tmp_path, monkeypatch, reason, caplog):
    def refuse(self, *args, **kwargs):
        raise reason

    monkeypatch.setattr(locks.FileLock, "acquire", refuse)
    ran = []
    with caplog.at_level(logging.INFO), locked(tmp_path / "x.lock", wait_s=0, busy=ReportError("busy")):
        ran.append(1)
    assert ran == [1]
    assert str(reason) in caplog.text


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    ran = []
    with locked(tmp_path / "file" / "x.lock", wait_s=0):
        ran.append(1)
    assert ran == [1]


def _count(folder, times):
    for _ in range(times):
        with locked(folder / "x.lock", wait_s=60, busy=TimeoutError()):
            number = int((folder / "n").read_text())
            time.sleep(0.001)
            (folder / "n").write_text(str(number + 1))


def test_processes_and_threads_take_turns(tmp_path):
    (tmp_path / "n").write_text("0")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count, args=(tmp_path, 10)) for _ in range(2)]
    workers += [threading.Thread(target=_count, args=(tmp_path, 10)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (tmp_path / "n").read_text() == "40"


def _die(file):
    with locked(file, wait_s=0):
        os._exit(1)


def test_a_process_that_dies_leaves_no_lock(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_die, args=(tmp_path / "x.lock",))
    process.start()
    process.join()
    assert process.exitcode == 1
    with locked(tmp_path / "x.lock", wait_s=0, busy=ReportError("busy")):
        pass
