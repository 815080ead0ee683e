"""What can be typed, and the help that teaches it. Imports nothing heavy: `--help` is instant."""

from __future__ import annotations

import argparse
from pathlib import Path

import mmfusion

_EPILOG = """\
a first walk:
  mmfusion demo my_demo --model my_model        a synthetic cohort, and a model fitted on it
  mmfusion predict --model my_model --ct my_demo/new_patient/scan.zip \\
                   --rna my_demo/new_patient/rna.csv --ehr my_demo/new_patient/ehr.csv
  mmfusion report stage_fusion -p cohort=demo   a report with nested cross-validation

your own data:
  mmfusion init my_data/                        a manifest from your folders
  mmfusion validate my_data/data_manifest.csv
  mmfusion report stage_fusion -p cohort=my_data/data_manifest.csv -o reports/r01

`mmfusion COMMAND --help` explains one. Research software; not for decisions about patients."""


def build_parser() -> argparse.ArgumentParser:
    """The parser; every command sets `run`, "module:function" below `mmfusion.cli`."""
    parser = argparse.ArgumentParser(
        prog="mmfusion",
        description=mmfusion.__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mmfusion {mmfusion.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (_demo, _init, _validate, _features, _report, _notebooks, _predict, _compare, _doctor):
        add(commands)
    return parser


def _command(commands, name: str, run: str, help_: str, examples: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=help_, description=help_[0].upper() + help_[1:] + ".", epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is being done")
    parser.set_defaults(run=run)
    return parser


def _demo(commands) -> None:
    p = _command(
        commands, "demo", "data:demo", "write a synthetic cohort as files, as a user's own data would be",
        "  mmfusion demo my_demo\n  mmfusion demo my_demo --n 200 --model my_model",
    )  # fmt: skip
    p.add_argument("folder", type=Path, help="new or empty folder")
    p.add_argument("--n", type=int, default=120, help="patients (default %(default)s)")
    p.add_argument("--random-seed", type=int, default=0, help="draws the patients (default %(default)s)")
    p.add_argument("--model", type=Path, metavar="DIR", help="also fit a model, and save it here")


def _init(commands) -> None:
    p = _command(
        commands, "init", "data:init", "make a manifest from your own folders, and say what did not match, and why",
        "  mmfusion init my_data/\n  mmfusion init my_data/ --rna-unit tpm",
    )  # fmt: skip
    p.add_argument(
        "folder", type=Path, help="holds scans (DICOM folders, ZIPs, NIfTI, NRRD) and tables (CSV, TSV)"
    )
    p.add_argument("--dataset", help="name of the data set; default the folder's")
    p.add_argument(
        "--rna-unit", metavar="UNIT", help="counts, tpm, fpkm, log or zscore, where numbers do not tell"
    )
    p.add_argument(
        "--overwrite", action="store_true", help="replace a manifest, and what was set by hand in it"
    )


def _validate(commands) -> None:
    p = _command(
        commands, "validate", "data:validate", "check a manifest: schema, hashes, tables, scans, columns that leak",
        "  mmfusion validate data_manifest.csv\n  mmfusion validate my_data/data_manifest.csv --target stage2",
    )  # fmt: skip
    p.add_argument("manifest", help="a manifest, or the name of a known cohort")
    p.add_argument("--root", type=Path, help="folder that its paths start from; default the manifest's own")
    p.add_argument("--target", help="what is predicted, such as stage3_ajcc8, stage2, egfr")
    p.add_argument(
        "--edition",
        type=int,
        choices=(7, 8, 9),
        help="AJCC edition of the labels' stages, or T, N and M (default 7)",
    )
    p.add_argument("--no-scans", action="store_true", help="do not open the scans")
    p.add_argument(
        "--rehash", action="store_true", help="first accept changed files: rewrite their hashes, no more"
    )


def _features(commands) -> None:
    p = _command(
        commands, "features", "features:features", "encode the CT scans of a cohort with a foundation model (fmcib)",
        "  mmfusion features my_data/data_manifest.csv -o my_data/deep.csv\n"
        "  mmfusion features seeds.csv -o deep.csv --weights model_weights.torch\n"
        "  mmfusion features demo -o control.csv --random-weights 0\n\n"
        "Writes 4096 columns a patient. Scans encoded before are not encoded again; one that fails is listed.",
    )  # fmt: skip
    p.add_argument(
        "source", help="a manifest or the name of a known cohort; or fmcib's table: image_path, coordX, ..."
    )
    p.add_argument("-o", "--out", type=Path, required=True, metavar="CSV", help=".csv, .csv.gz or .parquet")
    p.add_argument("--root", type=Path, help="folder that its paths start from; default the manifest's own")
    p.add_argument(
        "--weights", type=Path, metavar="FILE", help="checkpoint; default the published one, downloaded once"
    )
    p.add_argument("--random-weights", type=int, metavar="SEED", help="untrained weights instead: a control")
    p.add_argument("--device", default="cpu", help="cpu or cuda (default %(default)s)")
    p.add_argument("--n-jobs", type=int, help="processes; default all cores")


def _report(commands) -> None:
    p = _command(
        commands, "report", "report:report", "execute a notebook into a report; without a name, list the notebooks",
        "  mmfusion report\n"
        "  mmfusion report stage_fusion --parameters\n"
        "  mmfusion report stage_fusion -p cohort=radiogenomics -p data_root=/data/nsclc -o reports/r01\n"
        "  mmfusion report stage_fusion --batch runs.csv -o reports/runs\n\n"
        "In the table of --batch, an empty cell leaves the notebook's default. Where --parameters says that `none` is\n"
        "possible (fusions, learning_curve), write none: an empty cell would be the default there too.\n\n"
        "A failed run is never left standing as a report. The same command again resumes what was interrupted.",
    )  # fmt: skip
    p.add_argument("notebook", nargs="?", help="stage_fusion, 20_stage_fusion or a path")
    p.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="KEY=VALUE", help="as often as needed"
    )
    p.add_argument(
        "-o", "--out", type=Path, metavar="DIR", help="the report's folder; default reports/NOTEBOOK"
    )
    p.add_argument(
        "--batch", type=Path, metavar="CSV", help="a row a run: columns are parameters, and `name`"
    )
    p.add_argument(
        "--parameters", action="store_true", help="list the notebook's parameters, and the named targets"
    )


def _notebooks(commands) -> None:
    p = _command(
        commands, "notebooks", "report:notebooks", "copy the notebooks into a folder, to be edited there",
        "  mmfusion notebooks my_notebooks\n"
        "  mmfusion report my_notebooks/20_stage_fusion.ipynb -p cohort=my_data/data_manifest.csv\n\n"
        "A notebook that was edited there is never overwritten. `mmfusion report` runs a copy by its path.",
    )  # fmt: skip
    p.add_argument("folder", type=Path, help="where to; made if absent")


def _predict(commands) -> None:
    p = _command(
        commands, "predict", "model:predict", "stage one patient from any subset of modalities, or all of a manifest",
        "  mmfusion predict --model models/stage --ct scan.zip --seed -55.2,12.5,-140 --rna rna.csv --ehr ehr.csv\n"
        "  mmfusion predict --model models/stage --rna cohort_rna.csv --patient R01-001 --json\n"
        "  mmfusion predict --model models/stage --manifest data_manifest.csv -o predictions.csv",
    )  # fmt: skip
    p.add_argument("--model", type=Path, required=True, metavar="DIR", help="a saved model")
    p.add_argument("--ct", type=Path, help="folder or ZIP of DICOM, NIfTI, NRRD; or a CSV of CT features")
    p.add_argument("--pet", type=Path, help="likewise, of the PET; it may be the folder or ZIP of --ct")
    p.add_argument("--rna", type=Path, help="gene expression (CSV, TSV)")
    p.add_argument("--ehr", type=Path, help="health record (CSV, TSV)")
    p.add_argument("--patient", metavar="ID", help="who, in tables of several")
    p.add_argument(
        "--seed",
        type=_point,
        metavar="X,Y,Z",
        help="a point in the tumour of --ct, LPS mm; else the whole lungs",
    )
    p.add_argument(
        "--pet-seed",
        type=_point,
        metavar="X,Y,Z",
        help="a point in the tumour of --pet, LPS mm; else its middle",
    )
    p.add_argument(
        "--series", metavar="UID", help="which series of --ct: a UID, part of a description, thinnest, ..."
    )
    p.add_argument("--pet-series", metavar="UID", help="likewise, of --pet")
    p.add_argument("--rna-unit", metavar="UNIT", help="unit of --rna; default the model's")
    p.add_argument("--site", help="where the patient was examined, for a model that harmonises by site")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--manifest", metavar="CSV", help="stage every patient of a manifest (or known cohort)")
    p.add_argument("--root", type=Path, help="folder that the manifest's paths start from")
    p.add_argument("-o", "--out", type=Path, metavar="CSV", help="with --manifest: the table to write")


def _compare(commands) -> None:
    p = _command(
        commands, "compare", "report:compare", "show what changed between two reports",
        "  mmfusion compare reports/r01 reports/r02\n  mmfusion compare reports/r01 reports/r02 -o changes.html",
    )  # fmt: skip
    p.add_argument("a", type=Path, help="a report's folder")
    p.add_argument("b", type=Path, help="another's")
    p.add_argument("-o", "--out", type=Path, metavar="HTML", help="also write a page")


def _doctor(commands) -> None:
    _command(
        commands, "doctor", "doctor:doctor", "check this installation: versions, cores, memory, folders, kernel",
        "  mmfusion doctor",
    )  # fmt: skip


def _point(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected x,y,z in mm, got {text!r}") from None
    return x, y, z
