"""Kill processes at random moments (SIGKILL), and look at what they leave behind.

    python benchmarks/kills.py --kills 100 --seed 0

Five jobs are killed in turn: a cross-validation (in one process and on all cores), a report, the saving of a
model, the demo cohort, and the cache. After each kill nothing may be half-written: what stands under its name
is the old or the new version, whole. The workers of the killed process must end by themselves. The same job
is then run to its end. Its result must be that of a job that was never killed, to the bit, and no draft, lock
or process may be left over. The last line is a summary in JSON; the exit status is 1 if anything was wrong.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
import numpy as np

import mmfusion as mf
from mmfusion.bundle import is_whole
from mmfusion.cli import main
from mmfusion.evaluation.fold_result import FoldResult
from mmfusion.reports.record import read_run
from mmfusion.reports.runner import run_report
from mmfusion.storage.cache import cached, lookup
from mmfusion.storage.hashing import hash_json, hash_path
from mmfusion.synthetic import phantom

MARK = "MMFUSION_KILLS"
ALL_CORES = "nested_cv on all cores"
TURNS = ("save", "report", "nested_cv", "demo", "cache", ALL_CORES, "save", "report", "demo", "cache")
PATIENCE_S = 10.0  # after which a worker of a killed process counts as left over
SETTINGS = {"n_members": 1, "max_epochs": 2, "n_genes": 12, "network": {"d": 8, "hidden": 8}}
NOTEBOOK = """\
import json, pathlib, time
for k in range(20):
    pathlib.Path(work_dir, f"part{k}").write_text("part")
    time.sleep(0.02)
pathlib.Path(out_dir, "figures").mkdir(exist_ok=True)
pathlib.Path(out_dir, "figures", "a.txt").write_text("x" * 10**6)
metrics = {"cohort": "tiny", "target": "stage2", "n": 40, "headline": "0.5"}
pathlib.Path(out_dir, "metrics.json").write_text(json.dumps(metrics))
"""


@dataclass(frozen=True)
class Job:
    """Something that writes: `run` it in a folder, tell its `result`, and name what is half-written."""

    run: Callable[[Path], None]
    result: Callable[[Path], str]
    damage: Callable[[Path], str]
    before: Callable[[Path], None] = lambda _: None  # leaves an older version in the folder


def tabular():
    cohort, _ = phantom(36, 5, missing=0.0, root=Path(os.environ["MMFUSION_CACHE"]) / "cohort")
    return replace(cohort, table=cohort.table.drop(columns="ct", level=0))


def cross_validation(cohort, where: str) -> Job:
    model = mf.StageClassifier(**SETTINGS)
    options = {"outer": 2, "baselines": False, "where": where, "n_jobs": 2, "progress": False}

    def run(folder: Path) -> None:
        result = mf.nested_cv(model, cohort, out=folder / "folds", **options)
        (folder / "result.json").write_text(hash_json(result.predictions.to_csv(index=False)))

    def damage(folder: Path) -> str:
        for file in folder.rglob("*.json"):
            if "-r0-f" in file.name:
                FoldResult.from_json(json.loads(file.read_text())["result"])
        for file in folder.rglob("config.json"):
            hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
            if not hidden and not is_whole(file.parent):
                return f"{file.parent.name} is not whole"
        return ""

    return Job(run, lambda folder: (folder / "result.json").read_text(), damage)


def saving(model, other) -> Job:
    def run(folder: Path) -> None:
        for k in range(12):
            (other if k % 2 else model).save(folder / "model")
        model.save(folder / "model")

    def damage(folder: Path) -> str:
        return "" if is_whole(folder / "model") else "the model is not whole"

    return Job(run, lambda f: hash_path(f / "model"), damage, lambda f: other.save(f / "model"))


def demo() -> Job:
    def run(folder: Path) -> None:
        with (folder / "demo.log").open("w") as log, contextlib.redirect_stdout(log):
            if main(["demo", str(folder / "demo"), "--n", "3"]):
                raise RuntimeError("demo failed")

    def damage(folder: Path) -> str:
        there = folder / "demo"
        return "half a demo" if there.exists() and not (there / "new_patient" / "ehr.csv").exists() else ""

    return Job(run, lambda folder: hash_path(folder / "demo"), damage)


def report() -> Job:
    def run(folder: Path) -> None:
        run_report(folder / "10_tiny.ipynb", {}, folder / "report", progress=False)

    def before(folder: Path) -> None:
        parameters = 'out_dir: str = "."  # report\nwork_dir: str = "."  # parts'
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Tiny")])
        nb.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        nb.cells.append(nbformat.v4.new_code_cell(NOTEBOOK))
        nbformat.write(nb, folder / "10_tiny.ipynb")
        run(folder)
        (folder / "report" / "mine.txt").write_text("written by the user")

    def damage(folder: Path) -> str:
        run = read_run(folder / "report")
        absent = [name for name in run["files"] if not (folder / "report" / name).is_file()]
        mine = (folder / "report" / "mine.txt").is_file()
        return ", ".join(absent) or ("" if mine else "the user's file is gone")

    def result(folder: Path) -> str:
        files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        kept = ("metrics.json", "figures/a.txt", "mine.txt")
        text = "".join((folder / "report" / name).read_text() for name in kept)
        return hash_json([files, text])

    return Job(run, result, damage, before)


def cache() -> Job:
    def make(k: int) -> np.ndarray:
        time.sleep(0.02)
        return np.full((60, 1000), float(k))

    def run(folder: Path) -> None:
        os.environ["MMFUSION_CACHE"] = str(folder / "cache")
        total = sum(float(cached("kill", {"k": k}, lambda k=k: make(k)).sum()) for k in range(40))
        (folder / "result.json").write_text(str(total))

    def damage(folder: Path) -> str:
        os.environ["MMFUSION_CACHE"] = str(folder / "cache")
        names = {path.stem for path in (folder / "cache").rglob("[0-9a-f]*.npy")}
        found = [k for k in range(40) if lookup("kill", {"k": k}) is not None]
        wrong = [k for k in found if not (lookup("kill", {"k": k}) == k).all()]
        return "" if len(found) == len(names) and not wrong else f"{len(names)} files, {len(found)} read"

    return Job(run, lambda folder: (folder / "result.json").read_text(), damage)


def start(job: Job, folder: Path, mark: str) -> int:
    """Run a job in a forked process; return its number."""
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        os.setsid()
        temporary = folder / "temporary"
        temporary.mkdir(exist_ok=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        os.environ[MARK] = mark
        job.run(folder)
        status = 0
    except BaseException:  # noqa: BLE001 - the process must not go on as a copy of this one
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def descendants(mark: str) -> list[int]:
    """Return the processes that were started by a job: they have inherited its environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
    return found


def seconds_until_gone(mark: str) -> float:
    begun = time.perf_counter()
    while descendants(mark) and time.perf_counter() - begun < PATIENCE_S:
        time.sleep(0.05)
    return time.perf_counter() - begun


def left_over(folder: Path) -> list[str]:
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*")]
    hidden = [n for n in names if any(p.startswith(".") or p.endswith(".lock") for p in n.split("/"))]
    return hidden + [name for name in names if name.startswith("temporary/")]


def prepared(job: Job, scratch: Path) -> Path:
    shutil.rmtree(scratch / "work", ignore_errors=True)
    folder = scratch / "work"
    folder.mkdir()
    job.before(folder)
    return folder


def reference(job: Job, scratch: Path) -> tuple[str, float]:
    """Return the result and the seconds of a job that is never killed."""
    folder, begun = prepared(job, scratch), time.perf_counter()
    _, status = os.waitpid(start(job, folder, "reference"), 0)
    if status:
        raise RuntimeError("the job fails without a kill")
    return job.result(folder), time.perf_counter() - begun


def one_kill(job: Job, scratch: Path, delay: float, mark: str, expected: str) -> dict[str, object]:
    folder = prepared(job, scratch)
    number = start(job, folder, mark)
    time.sleep(delay)
    ended = os.waitpid(number, os.WNOHANG)[0]
    if not ended:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
    found = {"killed": not ended, "seconds_of_workers": seconds_until_gone(mark)}
    try:
        found["damage"] = job.damage(folder)
    except Exception as error:  # noqa: BLE001 - any error means that something is half-written
        found["damage"] = f"{type(error).__name__}: {error}"
    _, status = os.waitpid(start(job, folder, f"{mark}-again"), 0)
    found["differs"] = bool(status) or job.result(folder) != expected
    seconds_until_gone(f"{mark}-again")
    found["left"] = left_over(folder) + [f"process {n}" for n in descendants(mark)]
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", help="some of the jobs only")
    return parser.parse_args()


def run_all(kills: int, seed: int, only: list[str] | None, scratch: Path) -> dict[str, object]:
    cohort, rng = tabular(), random.Random(seed)
    one, other = (mf.StageClassifier(**SETTINGS, random_state=k).fit(cohort.X, cohort.y) for k in (0, 1))
    jobs = {
        "save": saving(one, other), "report": report(), "nested_cv": cross_validation(cohort, "serial"),
        "demo": demo(), "cache": cache(), ALL_CORES: cross_validation(cohort, "loky"),
    }  # fmt: skip
    jobs = {name: job for name, job in jobs.items() if only is None or name in only}
    turns = [name for name in TURNS if name in jobs]
    known = {name: reference(job, scratch) for name, job in jobs.items()}
    counts: Counter[str] = Counter()
    slowest, problems = 0.0, []
    for k in range(kills):
        name = turns[k % len(turns)]
        expected, seconds = known[name]
        delay = rng.uniform(0, seconds)
        found = one_kill(jobs[name], scratch, delay, f"{os.getpid()}-{k}", expected)
        counts[name] += found["killed"]
        slowest = max(slowest, found["seconds_of_workers"])
        if found["damage"] or found["differs"] or found["left"] or found["seconds_of_workers"] >= PATIENCE_S:
            problems.append({"job": name, "kill": k, "after_s": round(delay, 3), **found})
            print(problems[-1], flush=True)
        print(f"{k + 1}/{kills} {name} after {delay:.2f} of {seconds:.2f} s", file=sys.stderr, flush=True)
    return {
        "kills": kills, "killed_before_the_end": dict(counts), "problems": len(problems),
        "half_written": sum(bool(p["damage"]) for p in problems),
        "reruns_that_differ": sum(p["differs"] for p in problems),
        "left_over": sum(bool(p["left"]) for p in problems),
        "slowest_end_of_workers_s": round(slowest, 2),
    }  # fmt: skip


if __name__ == "__main__":
    given = arguments()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MMFUSION_CACHE"] = f"{scratch}/shared-cache"
        summary = run_all(given.kills, given.seed, given.jobs, Path(scratch))
    print(json.dumps(summary))
    raise SystemExit(bool(summary["problems"]))
