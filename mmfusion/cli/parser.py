"""The parser of the command line, with its help texts.

It imports no large package, so that `--help` is fast.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mmfusion
from mmfusion.modalities import IMAGING

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
    for add in (
        _demo,
        _init,
        _validate,
        _features,
        _segment,
        _report,
        _notebooks,
        _predict,
        _compare,
        _doctor,
    ):
        add(commands)
    return parser


def _command(commands, name: str, run: str, help_: str, examples: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help_,
        description=help_[0].upper() + help_[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print messages about the progress")
    parser.set_defaults(run=run)
    return parser


def _demo(commands) -> None:
    p = _command(
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


def _init(commands) -> None:
    p = _command(
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


def _validate(commands) -> None:
    p = _command(
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


def _features(commands) -> None:
    p = _command(
        commands,
        "features",
        "features:features",
        "compute features of the scans of a cohort: a foundation model (fmcib), radiomics, or a segmenter",
        "  mmfusion features my_data/data_manifest.csv -o my_data/deep.csv\n"
        "  mmfusion features seeds.csv -o deep.csv --weights model_weights.torch\n"
        "  mmfusion features demo -o control.csv --random-weights 0\n"
        "  mmfusion features my_data/data_manifest.csv --measures -o my_data/measures.csv\n"
        "  mmfusion features my_data/data_manifest.csv --radiomics -o my_data/radiomics.csv\n"
        "  mmfusion features my_data/data_manifest.csv --radiomics --modality pet -p spacing=4 -o pet.csv\n"
        "  mmfusion features my_data/data_manifest.csv --segmenter models/raseg --level mid -o mid.csv\n\n"
        "Writes one row per patient, and the settings beside it as .json. By default these are the 4096\n"
        "features of the foundation model around the seed. --measures, --radiomics and --segmenter read\n"
        "the masks. The first two segment a CT without a mask from its seed, as `mmfusion segment` does,\n"
        "and say so.\n"
        "A scan is not computed twice. Failed scans are listed.\n\n"
        "-p sets the voxel size (spacing), the grey levels (bin_width or bins), intensity_range, families\n"
        "and so on; `none` and commas are possible: -p spacing=none -p families=morphology,glcm.\n"
        "All settings: python -c 'help(\"mmfusion.features.RadiomicsSettings\")'.",
    )
    p.add_argument(
        "source", help="a manifest, a known cohort, or a table of fmcib with columns image_path, coordX, ..."
    )
    p.add_argument("-o", "--out", type=Path, required=True, metavar="CSV", help=".csv, .csv.gz or .parquet")
    p.add_argument(
        "--root", type=Path, help="folder from which its paths start; default, the folder of the manifest"
    )
    p.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="checkpoint; default, the published one, which is downloaded once",
    )
    p.add_argument("--random-weights", type=int, metavar="SEED", help="use untrained weights, as a control")
    p.add_argument("--measures", action="store_true", help="volume, diameters, sphericity and HU of lesions")
    p.add_argument("--radiomics", action="store_true", help="IBSI features of the lesions in the masks")
    p.add_argument("--modality", choices=IMAGING, help="with --radiomics: the scans (default ct)")
    p.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="with --radiomics: change a setting; may be repeated",
    )
    p.add_argument(
        "--stability",
        action="store_true",
        help="with --radiomics: also compute all features with changed masks, and write CSV.stability.csv: "
        "how well they agree (ICC)",
    )
    p.add_argument(
        "--by-site",
        action="store_true",
        help="also write CSV.sites.csv: how well the features predict the site, before and after ComBat",
    )
    p.add_argument("--segmenter", type=Path, metavar="DIR", help="deep features of a saved segmenter (raseg)")
    p.add_argument("--level", help="with --segmenter: high, mid or multi (default high)")
    p.add_argument("--device", default="cpu", help="cpu or cuda (default %(default)s)")
    p.add_argument("--n-jobs", type=int, help="number of processes; default, all cores")


def _segment(commands) -> None:
    p = _command(
        commands,
        "segment",
        "segment:segment",
        "segment a lung lesion from one click, a box or a line, and measure it",
        "  mmfusion segment scan.zip --seed -55.2,12.5,-140 -o mask.nii.gz\n"
        "  mmfusion segment scan.zip --line -70,12,-140,-40,20,-140 -o mask.dcm --report measures.dcm\n"
        "  mmfusion segment --manifest my_data/data_manifest.csv -o my_data/lesions\n\n"
        "Printed are the volume, the longest axial diameter and its perpendicular, and warnings where the\n"
        "mask should not be trusted. Points are in LPS mm; a RAS point has opposite signs of x and y.",
    )
    p.add_argument("scan", nargs="?", type=Path, help="CT: folder or ZIP of DICOM, NIfTI, NRRD")
    p.add_argument(
        "--seed",
        type=_point,
        action="append",
        metavar="X,Y,Z",
        help="a point in the lesion, LPS mm; may be repeated for several lesions",
    )
    p.add_argument(
        "--box",
        type=_two_points,
        metavar="X,Y,Z,X,Y,Z",
        help="two opposite corners of a box around the lesion",
    )
    p.add_argument(
        "--line", type=_two_points, metavar="X,Y,Z,X,Y,Z", help="ends of its longest diameter (RECIST)"
    )
    p.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help=".nii.gz or .dcm (DICOM-SEG); with --manifest, a folder",
    )
    p.add_argument("--form", choices=("nifti", "seg", "rtstruct"), help="default, by the name of FILE")
    p.add_argument(
        "--report", type=Path, metavar="DCM", help="also write a DICOM structured report (TID 1500)"
    )
    p.add_argument(
        "--method", choices=("auto", "growcut", "network"), default="auto", help="default %(default)s"
    )
    p.add_argument(
        "--margin",
        choices=("tight", "gtv"),
        default="tight",
        help="tight: the visible border; gtv: 1.5 mm more, as for radiotherapy (default %(default)s)",
    )
    p.add_argument("--weights", type=Path, metavar="FILE", help="weights of the method network")
    p.add_argument("--series", metavar="UID", help="series: a UID, part of a description, thinnest, ...")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--manifest", metavar="CSV", help="one lesion of each patient of a manifest with seeds")
    p.add_argument("--root", type=Path, help="folder from which the paths of the manifest start")
    p.add_argument("--n-jobs", type=int, help="with --manifest: number of processes; default, all cores")


def _report(commands) -> None:
    p = _command(
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


def _notebooks(commands) -> None:
    p = _command(
        commands,
        "notebooks",
        "report:notebooks",
        "copy the notebooks into a folder, for editing",
        "  mmfusion notebooks my_notebooks\n"
        "  mmfusion report my_notebooks/20_stage_fusion.ipynb -p cohort=my_data/data_manifest.csv\n\n"
        "An edited copy is never overwritten. `mmfusion report` runs a copy by its path.",
    )
    p.add_argument("folder", type=Path, help="folder for the copies; created if absent")


def _predict(commands) -> None:
    p = _command(
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
        type=_point,
        metavar="X,Y,Z",
        help="a point in the tumour in --ct, LPS mm; default, the whole lungs",
    )
    p.add_argument(
        "--pet-seed",
        type=_point,
        metavar="X,Y,Z",
        help="a point in the tumour in --pet, LPS mm; default, the middle of the scan",
    )
    p.add_argument(
        "--series", metavar="UID", help="series of --ct: a UID, part of a description, thinnest, ..."
    )
    p.add_argument("--pet-series", metavar="UID", help="series of --pet, in the same forms")
    p.add_argument("--rna-unit", metavar="UNIT", help="unit of --rna; default, the unit of the model")
    p.add_argument("--site", help="site of the examination, for a model that harmonises by site")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--manifest", metavar="CSV", help="stage all patients of a manifest (or known cohort)")
    p.add_argument("--root", type=Path, help="folder from which the paths of the manifest start")
    p.add_argument(
        "-o", "--out", type=Path, metavar="CSV", help="with --manifest: table of predictions to write"
    )


def _compare(commands) -> None:
    p = _command(
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


def _doctor(commands) -> None:
    _command(
        commands,
        "doctor",
        "doctor:doctor",
        "check this installation: versions, cores, memory, folders, kernel",
        "  mmfusion doctor",
    )


def _point(text: str) -> tuple[float, ...]:
    return _numbers(text, 3, "x,y,z")


def _two_points(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    numbers = _numbers(text, 6, "x,y,z,x,y,z")
    return numbers[:3], numbers[3:]


def _numbers(text: str, n: int, names: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != n:
        raise argparse.ArgumentTypeError(f"expected {names} in mm, got {text!r}")
    return numbers
