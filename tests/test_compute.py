import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mmfusion import compute
from mmfusion.errors import DataError, MMFusionError


def _threads_and_square(x):
    return torch.get_num_threads(), x * x


def _fail(x):
    raise DataError("bad cell", patient=f"P{x}", column="age")


def _die(x):
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def _die_once(flag, x):
    if x == 1 and not flag.exists():
        flag.touch()
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    return x * 10


@pytest.mark.parametrize("where", ["serial", "loky"])
def test_same_results_on_one_thread_wherever_it_runs(where):
    results = sorted(
        compute.run(_threads_and_square, [(i,) for i in range(4)], where=where, n_jobs=2, progress=False)
    )
    assert results == [(1, i * i) for i in range(4)]


@pytest.mark.parametrize("n_jobs", [None, -1])
def test_all_cores(n_jobs):
    with compute.backend("loky", n_jobs) as workers:
        assert workers == compute.cpu_count()


@pytest.mark.parametrize("where", ["serial", "auto", "loky", "dask"])
@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, "2", True])
def test_a_number_of_workers_that_cannot_be_used(where, n_jobs):
    with pytest.raises(
        DataError, match=r"parameter n_jobs: out of range \(expected a whole number, 1 or more"
    ):
        list(compute.run(pow, [(2, 3)], where=where, n_jobs=n_jobs, progress=False))


def test_thread_count_is_put_back():
    before = torch.get_num_threads()
    with compute.one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("where", ["serial", "loky"])
def test_error_of_a_task_arrives_whole(where):
    with pytest.raises(DataError) as caught:
        list(compute.run(_fail, [(3,), (4,)], where=where, n_jobs=2, progress=False))
    assert "column age" in str(caught.value) and caught.value.patient in {"P3", "P4"}


def test_killed_worker_says_what_to_do():
    with pytest.raises(MMFusionError, match=r"worker process died.*are kept"):
        list(compute.run(_die, [(i,) for i in range(4)], where="loky", n_jobs=2, progress=False))


def test_unknown_place():
    with pytest.raises(MMFusionError, match="loky"):
        list(compute.run(_die, [(0,)], where="cloud"))


@pytest.mark.filterwarnings("ignore")
def test_dask_loses_a_worker_and_nothing_else(tmp_path):
    pytest.importorskip("distributed")
    flag = tmp_path / "died"
    results = compute.run(_die_once, [(flag, i) for i in range(6)], where="dask", n_jobs=2, progress=False)
    assert sorted(results) == [0, 10, 20, 30, 40, 50]
    assert flag.exists()


_ON_ALL_CORES = """
import time
from mmfusion.compute import run

if __name__ == "__main__":
    list(run(time.sleep, [(300,), (300,)], where="loky", n_jobs=2, progress=False))
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="/proc: Linux only")
def test_workers_end_soon_after_their_parent_was_killed(tmp_path):
    (tmp_path / "job.py").write_text(_ON_ALL_CORES)
    mark = f"MMFUSION_TEST={tmp_path}"
    environment = os.environ | {"MMFUSION_TEST": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, tmp_path / "job.py"], env=environment)

    def alive(name="") -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                marked = mark.encode() in (path / "environ").read_bytes().split(b"\0")
                if marked and name in (path / "cmdline").read_text():
                    found.append(int(path.name))
        return found

    def within(seconds, condition) -> bool:
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            time.sleep(0.1)
        return condition()

    try:
        within(120, lambda: len(alive("popen_loky")) == 2)
        time.sleep(3)
        parent.kill()
        parent.wait()
        assert within(20, lambda: not alive()), alive()
    finally:
        for pid in alive():
            os.kill(pid, signal.SIGKILL)
