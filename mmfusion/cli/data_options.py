"""Options of the commands that read data: demo, init, validate."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfusion.cli.command import command


def demo(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion demo`."""
    p = command(
        commands,
        "demo",
        "data:demo",
        "write a synthetic cohort as files, in the form of a user's own data",
        "  mmfusion demo my_demo\n  mmfusion demo my_demo --n 200 --model my_model",
    )
    p.add_argument("folder", type=Path, help="new or empty folder")
    p.add_argument("--n", type=int, default=120, help="number of patients (default %(default)s)")
    p.add_argument(
        "--random-seed", type=int, default=0, help="seed with which patients are drawn (default %(default)s)"
    )
    p.add_argument("--model", type=Path, metavar="DIR", help="also fit a model, and save it in this folder")


def init(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion init`."""
    p = command(
        commands,
        "init",
        "data:init",
        "make a manifest from your own folder, and list files that are not used, with the reason",
        "  mmfusion init my_data/\n  mmfusion init my_data/ --rna-unit tpm",
    )
    p.add_argument(
        "folder",
        type=Path,
        help="folder with scans (DICOM folders, ZIPs, NIfTI, NRRD) and tables (CSV, TSV, Excel)",
    )
    p.add_argument("--dataset", help="name of the data set; default, the name of the folder")
    p.add_argument(
        "--rna-unit",
        metavar="UNIT",
        help="counts, tpm, fpkm, log or zscore, if the numbers do not show the unit",
    )
    p.add_argument(
        "--overwrite", action="store_true", help="replace an existing manifest, with all changes made by hand"
    )


def validate(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion validate`."""
    p = command(
        commands,
        "validate",
        "data:validate",
        "check a manifest and all its files, and list what is wrong or not used",
        "  mmfusion validate data_manifest.csv\n"
        "  mmfusion validate my_data/data_manifest.csv --target stage2\n\n"
        "Checked are the schema, hashes, tables, the patients that two modalities share, the columns that\n"
        'two tables share, scans, and columns that leak. The last line is "all is well" if there is no\n'
        "problem. A table that init could not use, and a scan of no known patient, are problems until\n"
        "their rows (role unused) are deleted from the manifest.",
    )
    p.add_argument("manifest", help="a manifest, or the name of a known cohort")
    p.add_argument(
        "--root", type=Path, help="folder from which its paths start; default, the folder of the manifest"
    )
    p.add_argument("--target", help="name of the target, such as stage3_ajcc8, stage2, egfr")
    p.add_argument(
        "--edition",
        type=int,
        choices=(7, 8, 9),
        help="AJCC edition of the labels; default, the one that the manifest or a header states, else 7",
    )
    p.add_argument("--no-scans", action="store_true", help="do not open the scans")
    p.add_argument(
        "--rehash", action="store_true", help="first accept changed files: update their hashes, nothing else"
    )


DATA = (demo, init, validate)
