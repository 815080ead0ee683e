"""Execute a notebook with papermill, in the Python that runs this code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from mmfusion.errors import ReportError
from mmfusion.reports.notebooks import read_notebook

LOG, CONNECTION = "kernel.log", ".kernel.json"
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # one thread per process, so that sums keep their order
    "TQDM_DISABLE": "1",  # only the progress bar of this module is shown
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    # joblib replaces workers that use much memory; readers need no warning about it
    "PYTHONWARNINGS": "ignore::UserWarning:joblib.externals.loky.process_executor",
}


def _this_python(log: BinaryIO, folder: Path) -> type[AsyncKernelManager]:
    """Return a manager of kernels that run `sys.executable`, with stdout and stderr written to `log`.

    The file that says how to reach a kernel is in `folder`, so that a kill leaves none elsewhere.
    """

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [
                sys.executable,
                "-Xfrozen_modules=off",
                "-m",
                "ipykernel_launcher",
                "-f",
                "{connection_file}",
            ]
            return KernelSpec(argv=argv, display_name="mmfusion", language="python", env=_ENVIRONMENT)

        def __init__(self, **options: object) -> None:
            super().__init__(**{"connection_file": str(folder / CONNECTION), **options})

        async def start_kernel(self, **options: object) -> None:
            await self._async_start_kernel(**{"stdout": log, "stderr": log, **options})

    return ThisPython


def execute(notebook: Path, output: Path, parameters: Mapping[str, object], *, progress: bool = True) -> None:
    """Run `notebook` and write it, with its outputs, to `output` after every cell.

    Raises
    ------
    ReportError
        If a cell fails or the kernel dies.
    KeyboardInterrupt
        If the user interrupts.
    OSError
        If `output` cannot be written.
    """
    nb = read_notebook(notebook)
    nb.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    log = output.with_name(LOG)
    try:
        with log.open("wb") as stream, _quiet_papermill():
            papermill.execute_notebook(
                nb, output, dict(parameters), progress_bar=progress, start_timeout=180,
                kernel_manager_class=_this_python(stream, output.parent),
            )  # fmt: skip
    except PapermillExecutionError as error:
        if error.ename == "KeyboardInterrupt":
            raise KeyboardInterrupt from error
        problem = f"In [{error.exec_count}] failed: {error.ename}: {error.evalue}"
        raise ReportError(problem, file=notebook.name) from error
    except DeadKernelError as error:
        problem = "the notebook's process died: killed, or out of memory"
        hint = "try a smaller cohort, or fewer workers"
        raise ReportError(problem, file=notebook.name, got=_last_line(log), hint=hint) from error
    finally:
        output.with_name(CONNECTION).unlink(missing_ok=True)
    log.unlink()


def _last_line(log: Path) -> str | None:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else None


@contextmanager
def _quiet_papermill() -> Iterator[None]:
    """Log only errors inside the block; restore the log levels at the end."""
    loggers = [logging.getLogger(name) for name in ("papermill", "papermill.translators", "nbclient")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
