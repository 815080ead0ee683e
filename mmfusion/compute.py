"""Run tasks in this process, on all cores (loky) or on a Dask cluster, with the same results everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm.auto import tqdm

from mmfusion.errors import MMFusionError, check_whole
from mmfusion.exclusive import own_filters, silenced
from mmfusion.orphans import end_with
from mmfusion.thread_counts import limited


@contextmanager
def one_thread() -> Iterator[None]:
    """Run numerical code on one thread, then put the thread counts back.

    The order of sums changes with the number of threads, and so do the last digits of a result. Several
    threads are also slower if other jobs use the machine. Every fit and every prediction of the library runs
    on one thread, so that a number does not depend on the machine's number of cores. Several threads of a
    program can be in such a block at the same time; each computes on one core.

    Examples
    --------
    >>> import torch
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    with limited():
        yield


def check_jobs(n_jobs: object) -> None:
    """Raise a `DataError` if `n_jobs` is not None, -1 (both: all cores), or a whole number of 1 or more.

    Examples
    --------
    >>> check_jobs(-1)
    >>> check_jobs(0)
    Traceback (most recent call last):
    mmfusion.errors.DataError: parameter n_jobs: out of range (expected a whole number, 1 or more; got 0)
    """
    if n_jobs is not None and n_jobs != -1:  # -1 as in scikit-learn
        check_whole("n_jobs", n_jobs)


@contextmanager
def backend(where: str = "auto", n_jobs: int | None = None) -> Iterator[int]:
    """Choose where `run` sends its tasks, and yield the number of workers.

    Parameters
    ----------
    where : str
        "serial": this process. "loky": processes on this machine. "auto": loky if there is more than one
        core, else serial. "dask": a local Dask cluster. An address such as "tcp://scheduler:8786": a running
        Dask cluster. "slurm" or "slurm:QUEUE": jobs of a Slurm cluster, through dask-jobqueue.
    n_jobs : int, optional
        Number of workers. Default, and -1: number of cores.

    Yields
    ------
    int
        Number of workers.

    Raises
    ------
    MMFusionError
        If `where` is unknown, or Dask is needed and not installed.
    DataError
        If `n_jobs` is neither -1 nor a whole number of 1 or more.

    Examples
    --------
    >>> with backend("serial") as workers:
    ...     workers
    1
    """
    check_jobs(n_jobs)
    n_jobs = cpu_count() if n_jobs in (None, -1) else n_jobs
    if where == "auto":
        where = "loky" if n_jobs > 1 else "serial"
    if where == "serial":
        with parallel_config(backend="sequential"):
            yield 1
    elif where == "loky":
        start = {"initializer": end_with, "initargs": (os.getpid(),)}
        with parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1, **start):
            yield n_jobs
    elif where == "dask" or where.startswith(("tcp://", "tls://", "slurm")):
        with (
            _dask_client(where, n_jobs) as client,
            parallel_config(backend="dask", wait_for_workers_timeout=600),
        ):
            yield sum(client.nthreads().values()) or n_jobs
    else:
        raise MMFusionError(
            "unknown compute backend",
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
    """Call `function(*task)` for each task, and yield each result when it is ready.

    Parameters
    ----------
    function : callable
        Function to call. The workers must be able to import it.
    tasks : iterable of tuple
        One tuple of arguments per call.
    where, n_jobs
        See `backend`.
    description : str
        Label of the progress bar.
    progress : bool
        Show a progress bar on stderr if there are two tasks or more.

    Yields
    ------
    object
        What `function` returned. The order is the order of completion; with one worker it is the order of
        `tasks`.

    Raises
    ------
    MMFusionError
        If a worker process died (it was killed or ran out of memory). Errors raised by `function` are passed
        on unchanged.

    Examples
    --------
    >>> list(run(pow, [(2, 3), (2, 4)], where="serial", progress=False))
    [8, 16]
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
            # its warning that a worker stopped: loky replaces the worker, no task is lost
            with silenced("joblib.externals.loky", category=UserWarning):
                for result in parallel(calls):
                    bar.update()
                    yield result
        except TerminatedWorkerError as error:
            raise MMFusionError(
                "a worker process died: it was killed or ran out of memory",
                hint="finished results are kept; run it again, with fewer workers if memory is short",
            ) from error
        finally:
            bar.close()


def _call(function: Callable[..., object], task: tuple, python_warnings: str) -> object:
    if "error" not in python_warnings:
        with one_thread():
            return function(*task)
    with one_thread(), own_filters("error"):
        return function(*task)
