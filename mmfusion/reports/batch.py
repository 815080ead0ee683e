"""Make one report per row of a table; failures are listed, and complete reports are not made again."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mmfusion.errors import MMFusionError, ReportError
from mmfusion.escaping import unguarded_cells, write_csv
from mmfusion.reports.inputs import input_hashes
from mmfusion.reports.notebooks import find_notebook, short_name
from mmfusion.reports.parameters import RESERVED, check_known, convert_parameters, notebook_parameters
from mmfusion.reports.provenance import versions
from mmfusion.reports.record import FAILED, is_report, read_run
from mmfusion.reports.runner import run_report
from mmfusion.storage.atomic import saved
from mmfusion.storage.hashing import hash_path
from mmfusion.storage.source import code_hash

log = logging.getLogger(__name__)
TABLE = "batch.csv"
_NAME = re.compile(r"[\w][\w.+@=-]*")


def run_batch(
    notebook: str | Path,
    runs: str | Path | pd.DataFrame,
    out: str | Path | None = None,
    *,
    progress: bool = True,
) -> pd.DataFrame:
    """Run a notebook once per row of a table.

    Parameters
    ----------
    notebook : str or path
        As in `run_report`.
    runs : path or DataFrame
        One row per run; the columns are parameters. An empty cell means the notebook's default. `none` means
        nothing, for the parameters that allow it. The optional column `name` is the name of the run's folder;
        default r01, r02, ...
    out : path, optional
        Folder of the runs; default `reports/<notebook>`.
    progress : bool
        Show progress bars.

    Returns
    -------
    DataFrame
        One row per run: `name`, `status` ("done", "complete before", "failed"), `seconds`, `error`. The same
        table is in `out/batch.csv` after every run.

    Raises
    ------
    ReportError
        If the table has an unknown column, two runs with the same name, or no rows. A failed run raises no
        error.
    """
    path = find_notebook(notebook)
    known = notebook_parameters(path)
    table = _read(runs)
    names = _names(table, runs)
    rows = table.drop(columns="name", errors="ignore")
    check_known(rows.columns, known, path)
    out = Path(out if out is not None else Path("reports") / short_name(path))
    results: list[dict[str, object]] = []
    for name, (_, row) in zip(names, rows.iterrows(), strict=True):
        given = {column: value for column, value in row.items() if value != ""}
        results.append({"name": name, **_one(path, given, out / name, progress=progress)})
        with saved(out / TABLE, ReportError) as draft:
            write_csv(pd.DataFrame(results), draft, index=False)
    return pd.DataFrame(results)


def _one(notebook: Path, given: Mapping[str, str], out: Path, *, progress: bool) -> dict[str, object]:
    try:
        if _is_complete(notebook, given, out):
            log.info("%s is complete", out.name)
            return {"status": "complete before", "seconds": read_run(out)["seconds"], "error": ""}
        run_report(notebook, given, out, progress=progress)
        return {"status": "done", "seconds": read_run(out)["seconds"], "error": ""}
    except MMFusionError as error:
        log.warning("%s failed: %s", out.name, error)
        return {"status": "failed", "seconds": None, "error": str(error)}


def _is_complete(notebook: Path, given: Mapping[str, str], out: Path) -> bool:
    """Return True if `out` has the report of the same notebook, parameter values, files and code."""
    if not is_report(out):
        return False
    known = notebook_parameters(notebook)
    wanted = {n: p.default for n, p in known.items() if n not in RESERVED} | convert_parameters(
        given, known, notebook
    )
    run = read_run(out)
    return (
        run["parameters"] == wanted
        and run["notebook"]["sha256"] == hash_path(notebook)
        and run["inputs"] == input_hashes(wanted, out.absolute())
        and run["versions"]["mmfusion"] == versions()["mmfusion"]
        and run.get("code") == code_hash()
    )


def _read(runs: str | Path | pd.DataFrame) -> pd.DataFrame:
    if isinstance(runs, pd.DataFrame):
        table = runs.astype(object).where(runs.notna(), "")
    else:
        try:
            table = unguarded_cells(
                pd.read_csv(
                    runs, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True
                )
            )
        except FileNotFoundError as error:
            raise ReportError("no such table of runs", file=runs) from error
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise ReportError("not a CSV table", file=runs, got=error, expected="one row per run") from error
    if table.empty:
        raise ReportError(
            "the table of runs has no rows", file=None if isinstance(runs, pd.DataFrame) else runs
        )
    return table.rename(columns=str.strip)


def _names(table: pd.DataFrame, runs: object) -> list[str]:
    width = max(2, len(str(len(table))))
    given = table["name"] if "name" in table else [""] * len(table)
    names = [str(n).strip() or f"r{i:0{width}d}" for i, n in enumerate(given, 1)]
    file = None if isinstance(runs, pd.DataFrame) else runs
    for name in names:
        if not _NAME.fullmatch(name):
            raise ReportError("not a valid name of a folder", file=file, column="name", got=repr(name),
                              expected="letters, digits, . _ + @ = -")  # fmt: skip
        if name.endswith(FAILED):
            raise ReportError("a name that is reserved for failed runs", file=file, column="name", got=name)
        if names.count(name) > 1:
            raise ReportError("two runs have the same name", file=file, column="name", got=name)
    return names
