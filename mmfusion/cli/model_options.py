"""Options of the commands on models and reports: report, notebooks, predict, compare, doctor."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfusion.cli.command import command, point


def report(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion report`."""
    p = command(
        commands,
        "report",
        "report:report",
        "execute a notebook and write a report; without a name, list the notebooks",
        "  mmfusion report\n"
        "  mmfusion report stage_fusion --parameters\n"
        "  mmfusion report stage_fusion -p cohort=radiogenomics -p data_root=/data/nsclc -o reports/r01\n"
        "  mmfusion report stage_fusion --batch runs.csv -o reports/runs\n\n"
        "In the table of --batch, an empty cell leaves the notebook's default. If --parameters says\n"
        "that `none` is possible (fusions, learning_curve), write none: an empty cell means the default\n"
        "there as well.\n\n"
        "A failed run leaves no report. To resume an interrupted run, repeat the command.",
    )
    p.add_argument("notebook", nargs="?", help="name of a notebook (stage_fusion, 20_stage_fusion) or a path")
    p.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a parameter; may be repeated",
    )
    p.add_argument(
        "-o", "--out", type=Path, metavar="DIR", help="folder of the report; default, reports/NOTEBOOK"
    )
    p.add_argument(
        "--batch",
        type=Path,
        metavar="CSV",
        help="table with one row per run; the columns are parameters and `name`",
    )
    p.add_argument(
        "--parameters", action="store_true", help="list the parameters of the notebook, and the targets"
    )


def notebooks(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion notebooks`."""
    p = command(
        commands,
        "notebooks",
        "report:notebooks",
        "copy the notebooks into a folder, for editing",
        "  mmfusion notebooks my_notebooks\n"
        "  mmfusion report my_notebooks/20_stage_fusion.ipynb -p cohort=my_data/data_manifest.csv\n\n"
        "An edited copy is never overwritten. `mmfusion report` runs a copy by its path.",
    )
    p.add_argument("folder", type=Path, help="folder for the copies; created if absent")


def predict(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion predict`."""
    p = command(
        commands,
        "predict",
        "model:predict",
        "stage one patient from any subset of modalities, or all patients of a manifest",
        "  mmfusion predict --model models/stage --ct scan.zip --seed -55.2,12.5,-140 --ehr ehr.csv\n"
        "  mmfusion predict --model models/stage --rna cohort_rna.csv --patient R01-001 --json\n"
        "  mmfusion predict --model models/stage --manifest data_manifest.csv -o predictions.csv",
    )
    p.add_argument("--model", type=Path, required=True, metavar="DIR", help="a saved model")
    p.add_argument("--ct", type=Path, help="CT: folder or ZIP of DICOM, NIfTI, NRRD; or a CSV of CT features")
    p.add_argument("--pet", type=Path, help="PET, in the same forms; it may be the folder or ZIP of --ct")
    p.add_argument("--rna", type=Path, help="gene expression (CSV, TSV)")
    p.add_argument("--ehr", type=Path, help="health record (CSV, TSV)")
    p.add_argument("--patient", metavar="ID", help="patient id, for tables of several patients")
    p.add_argument(
        "--seed",
        type=point,
        metavar="X,Y,Z",
        help="a point in the tumour in --ct, LPS mm; default, the whole lungs",
    )
    p.add_argument(
        "--pet-seed",
        type=point,
        metavar="X,Y,Z",
        help="a point in the tumour in --pet, LPS mm; default, the middle of the scan",
    )
    p.add_argument(
        "--series", metavar="UID", help="series of --ct: a UID, part of a description, thinnest, ..."
    )
    p.add_argument("--pet-series", metavar="UID", help="series of --pet, in the same forms")
    p.add_argument("--rna-unit", metavar="UNIT", help="unit of --rna; default, the unit of the model")
    p.add_argument("--site", help="site of the examination, for a model that harmonises by site")
    p.add_argument(
        "--coverage",
        type=float,
        metavar="P",
        help="probability with which the set of stages contains the true one: 0.8, 0.9 (default) or 0.95",
    )
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--manifest", metavar="CSV", help="stage all patients of a manifest (or known cohort)")
    p.add_argument("--root", type=Path, help="folder from which the paths of the manifest start")
    p.add_argument(
        "-o", "--out", type=Path, metavar="CSV", help="with --manifest: table of predictions to write"
    )


def compare(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion compare`."""
    p = command(
        commands,
        "compare",
        "report:compare",
        "show the differences between two reports",
        "  mmfusion compare reports/r01 reports/r02\n"
        "  mmfusion compare reports/r01 reports/r02 -o changes.html",
    )
    p.add_argument("a", type=Path, help="folder of a report")
    p.add_argument("b", type=Path, help="folder of another report")
    p.add_argument("--all", action="store_true", help="list every metric, and not only the first ten")
    p.add_argument("-o", "--out", type=Path, metavar="HTML", help="also write a page")


def doctor(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion doctor`."""
    command(
        commands,
        "doctor",
        "doctor:doctor",
        "check this installation: versions, cores, memory, folders, kernel",
        "  mmfusion doctor",
    )


MODELS = (report, notebooks, predict, compare, doctor)
