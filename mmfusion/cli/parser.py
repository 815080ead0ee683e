"""The parser of the command line, with its help texts.

It imports no large package, so that `--help` is fast.
"""

from __future__ import annotations

import argparse

import mmfusion
from mmfusion.cli.data_options import DATA
from mmfusion.cli.model_options import MODELS
from mmfusion.cli.scan_options import SCANS

_EPILOG = """\
first steps:
  mmfusion demo my_demo --model my_model        a synthetic cohort, and a model fitted to it
  mmfusion predict --model my_model --ct my_demo/new_patient/scan.zip \\
                   --rna my_demo/new_patient/rna.csv --ehr my_demo/new_patient/ehr.csv
  mmfusion report stage_fusion -p cohort=demo   a report with nested cross-validation

your own data:
  mmfusion init my_data/                        a manifest from your folders
  mmfusion validate my_data/data_manifest.csv
  mmfusion report stage_fusion -p cohort=my_data/data_manifest.csv -o reports/r01

`mmfusion COMMAND --help` explains a command. Research software; not for decisions about patients."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; each command sets `run`, a "module:function" in `mmfusion.cli`."""
    parser = argparse.ArgumentParser(
        prog="mmfusion",
        description=mmfusion.__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mmfusion {mmfusion.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (*DATA, *SCANS, *MODELS):
        add(commands)
    return parser
