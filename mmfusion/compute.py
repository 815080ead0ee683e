"""Where work runs: in this process, on all cores (loky), or on a Dask cluster. The numbers do not depend on it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm.auto import tqdm

from mmfusion.errors import MMFusionError


@contextmanager
def one_thread() -> Iterator[None]:
    """Run numerical code on one thread, then put the thread counts back.

    Two threads change the order of sums, and beside other jobs are slower; every fit and every
    prediction of the library runs inside this, so that a number does not depend on where it was computed.
    """
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch and before:
                torch.set_num_threads(before)


@contextmanager
def backend(where: str = "auto", n_jobs: int | None = None) -> Iterator[int]:
    """Choose where `run` sends its tasks; yields the number of workers.

    Parameters
    ----------
    where : str
        "serial"; "loky" (processes on this machine); "auto" (loky on more than one core); "dask"
        (a local Dask cluster); an address such as "tcp://scheduler:8786"; or "slurm[:QUEUE]" (dask-jobqueue).
    n_jobs : int, optional
        Workers; default all cores.

    Raises
    ------
    MMFusionError
        If `where` is none of these, or Dask is not installed.
    """
    n_jobs = cpu_count() if n_jobs is None else n_jobs
    if where == "auto":
        where = "loky" if n_jobs > 1 else "serial"
    if where == "serial":
        with parallel_config(backend="sequential"):
            yield 1
    elif where == "loky":
        with parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
            yield n_jobs
    elif where == "dask" or where.startswith(("tcp://", "tls://", "slurm")):
        with (
            _dask_client(where, n_jobs) as client,
            parallel_config(backend="dask", wait_for_workers_timeout=600),
        ):
            yield sum(client.nthreads().values()) or n_jobs
    else:
        raise MMFusionError(
            "unknown place to compute",
            got=where,
            expected="serial, loky, auto, dask, tcp://host:port or slurm[:QUEUE]",
        )


@contextmanager
def _dask_client(where: str, n_jobs: int) -> Iterator[object]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MMFusionError("Dask is not installed", hint="pip install 'mmfusion[cluster]'") from error
    if where == "dask":
        cluster = LocalCluster(n_workers=n_jobs, threads_per_worker=1, dashboard_address=None)
    elif where.startswith("slurm"):
        from dask_jobqueue import SLURMCluster

        cluster = SLURMCluster(queue=where.partition(":")[2] or None, cores=1, processes=1, memory="8GB")
        cluster.scale(jobs=n_jobs)
    else:
        cluster = None
    with Client(cluster or where, set_as_default=True) as client:
        try:
            yield client
        finally:
            if cluster is not None:
                cluster.close()


def run(
    function: Callable[..., object],
    tasks: Iterable[tuple],
    *,
    where: str = "auto",
    n_jobs: int | None = None,
    description: str = "",
    progress: bool = True,
) -> Iterator[object]:
    """Call `function(*task)` for each task, and yield results as they come.

    Parameters
    ----------
    function : callable
        Importable by the workers; gets one task's elements as arguments.
    tasks : iterable of tuple
        One tuple of arguments per call.
    where, n_jobs
        See `backend`.
    description : str
        Label of the progress bar.
    progress : bool
        Show a bar on stderr.

    Yields
    ------
    object
        What `function` returned; in order of completion, except on one process, where it is the given order.

    Raises
    ------
    MMFusionError
        If a worker process died (killed, or out of memory). Errors of `function` itself come through as they are.
    """
    tasks = list(tasks)
    if not tasks:
        return
    with backend(where, n_jobs) as workers:
        parallel = Parallel(
            n_jobs=workers if workers > 1 else None, return_as="generator_unordered", pre_dispatch="all"
        )
        calls = (delayed(_call)(function, task, os.environ.get("PYTHONWARNINGS", "")) for task in tasks)
        bar = tqdm(total=len(tasks), desc=description, disable=not progress or len(tasks) < 2, leave=False)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", "A worker stopped", UserWarning
                )  # loky replaces it; nothing is lost
                for result in parallel(calls):
                    bar.update()
                    yield result
        except TerminatedWorkerError as error:
            raise MMFusionError(
                "a worker process died: it was killed or ran out of memory",
                hint="what was finished is kept; run the same call again, with fewer workers if memory is short",
            ) from error
        finally:
            bar.close()


def _call(function: Callable[..., object], task: tuple, python_warnings: str) -> object:
    with one_thread(), warnings.catch_warnings():
        if "error" in python_warnings:
            warnings.simplefilter("error")
        return function(*task)
