"""Segmentation networks on patients that they were not trained on: Markdown tables for the README.

    python benchmarks/lesions converge               # each trained until early stopping
    python benchmarks/lesions equal --seconds 180    # all trained for as many seconds of the processor
    python benchmarks/lesions ablations              # the ablations of the papers
    python benchmarks/lesions slices                 # neighbouring slices of PET/CT, by position
    python benchmarks/lesions expression             # expression and masks, with one task and with both
    python benchmarks/lesions sts --data DATA        # 26 real PET/CT

Training and test patients of the phantom have different seeds. All networks read the same scans at the same
voxel size, with the same augmentation, in patches of 32 x 32 x 32 voxels of 2 mm (48 x 48 for networks of
slices). The learning rate, the batch size and the loss are those of the demo preset. The threshold is chosen
on inner training patients. No boxes or clicks are given, but in the row of RA-Seg that says ORACLE.

A finished run is a JSON file in `--out`, and is not repeated. Seconds are those of the processor, so that
other programs on the machine do not matter.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import expression as joint
import grids
import papers
import sarcomas
from runs import Patients, Run, carry_out
from tables import by_position, compared, predictions, sizes


def finish(mode: str, runs: list[Run], args: argparse.Namespace) -> dict[str, dict]:
    """Carry out runs in separate processes, and return their results by row."""
    patients = Patients(args.n_train, args.n_test, args.seed)
    files = {run.row: Path(args.out) / mode / f"{_slug(run)}-{args.seed}.json" for run in runs}
    with ProcessPoolExecutor(args.jobs, multiprocessing.get_context("spawn")) as pool:
        jobs = {pool.submit(carry_out, run, patients, files[run.row]): run.row for run in runs}
        for job in as_completed(jobs):
            one = json.loads(job.result().read_text())
            dice = sum(row["dice"] for row in one["scores"]) / len(one["scores"])
            print(f"<!-- {jobs[job]}: Dice {dice:.3f}, {one['seconds']:.0f} s -->", flush=True)
    return {row: json.loads(file.read_text()) for row, file in files.items()}


def _slug(run: Run) -> str:
    return _slug_of(f"{run.network}-{run.row}")


def _slug_of(row: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", row.lower()).strip("-")


def _table(results: dict[str, dict], references: list[str], last: dict[str, dict] | None = None) -> str:
    return compared(predictions(results), references, sizes(results), last)


def two_tables(results: dict[str, dict], runs: list[Run]) -> None:
    """Print the table of CT and that of PET/CT, each against the reference on the same scans."""
    for pet, reference in ((False, grids.REFERENCE), (True, f"{grids.REFERENCE} (CT and PET)")):
        rows = {run.row: results[run.row] for run in runs if run.pet is pet}
        if rows:
            print(f"\n{'PET/CT' if pet else 'CT'}\n\n{_table(rows, [reference])}")


def converge(args: argparse.Namespace) -> None:
    runs = grids.converge(args.networks, args.max_epochs, args.patience)
    two_tables(finish("converge", runs, args), runs)


def equal(args: argparse.Namespace) -> None:
    runs = grids.equal(args.networks, args.seconds)
    two_tables(finish("equal", runs, args), runs)


def ablations(args: argparse.Namespace) -> None:
    for network, runs in grids.ablations(args.networks, args.epochs).items():
        results = finish("ablations", runs, args)
        paper = papers.column(network, list(results))
        print(f"\n{network}\n\n{_table(results, list(results)[:1], {'Dice in the paper': paper})}")


def slices(args: argparse.Namespace) -> None:
    results = finish("slices", grids.slices(args.epochs), args)
    paper = {"Dice in the paper, private data": papers.SLICES}
    print(f"\n{_table(results, ['2D, pretrained'], paper)}")
    for start in ("scratch", "pretrained"):
        rows = {row: one for row, one in results.items() if row.endswith(start)}
        print(f"\n{by_position(rows, f'2D, {start}')}")


def expression(args: argparse.Namespace) -> None:
    setting = joint.Setting(args.n_train, args.n_test, args.epochs, args.seed)
    with ProcessPoolExecutor(args.jobs, multiprocessing.get_context("spawn")) as pool:
        jobs = {}
        for row, params in joint.rows(args.groups, args.rows).items():
            file = Path(args.out) / "expression" / f"{_slug_of(row)}-{args.seed}.json"
            jobs[row] = pool.submit(joint.carry_out, row, params, setting, file)
        files = {row: job.result() for row, job in jobs.items()}
    results = {row: json.loads(file.read_text()) for row, file in files.items()}
    print(f"\n{joint.table(results, setting)}\n\nCosine by epoch: {joint.cosines(results)}")


def sts(args: argparse.Namespace) -> None:
    root = Path(args.data) / "lesions" / "sts_petct"
    out = Path(args.out) / "sts" / str(args.seed)
    result = sarcomas.cross_validate(root, args.networks, args.epochs, args.seed, out=out, jobs=args.jobs)
    print(f"\n{compared(result.predictions, list(sarcomas.THRESHOLDS))}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = {f.__name__: f for f in (converge, equal, ablations, slices, expression, sts)}
    parser.add_argument("mode", choices=modes)
    parser.add_argument("--networks", nargs="*", default=[], help="registered names; default: all")
    parser.add_argument("--n-train", type=int, default=64, help="training patients")
    parser.add_argument("--n-test", type=int, default=40, help="test patients")
    parser.add_argument("--seed", type=int, default=0, help="of patients, weights and patches")
    parser.add_argument("--seconds", type=float, default=180, help="training time of `equal`")
    parser.add_argument("--max-epochs", type=int, default=40, help="of `converge`")
    parser.add_argument("--patience", type=int, default=10, help="of `converge`, epochs")
    parser.add_argument(
        "--epochs", type=int, default=20, help="of `ablations`, `slices`, `expression`, `sts`"
    )
    parser.add_argument("--groups", nargs="*", default=["tasks", "balance"], help="of `expression`; or parts")
    parser.add_argument("--rows", nargs="*", default=[], help="only these rows of `expression`, and the main")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one core")
    parser.add_argument("--out", default="lesion_runs", help="folder of the results")
    parser.add_argument("--data", help="folder with `lesions/sts_petct`, for `sts`")
    args = parser.parse_args()
    modes[args.mode](args)


if __name__ == "__main__":
    main()
