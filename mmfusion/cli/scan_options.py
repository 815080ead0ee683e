"""Options of the commands that work on scans: features, segment."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfusion.cli.command import command, point, two_points
from mmfusion.modalities import IMAGING


def features(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion features`."""
    p = command(
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
    p.add_argument(
        "--lesion",
        choices=("any", "mask", "click"),
        help="with --measures or --radiomics: lesions of masks, of one click on the seed, or any (default): "
        "the mask if there is one",
    )
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


def segment(commands: argparse._SubParsersAction) -> None:
    """Add `mmfusion segment`."""
    p = command(
        commands,
        "segment",
        "segment:segment",
        "segment a lung lesion from one click, a box or a line, and measure it",
        "  mmfusion segment scan.zip --seed -55.2,12.5,-140 -o mask.nii.gz\n"
        "  mmfusion segment scan.zip --line -70,12,-140,-40,20,-140 -o mask.dcm --report measures.dcm\n"
        "  mmfusion segment --manifest my_data/data_manifest.csv -o results/lesions\n\n"
        "Printed are the volume, the longest axial diameter and its perpendicular, and warnings where the\n"
        "mask should not be trusted. Points are in LPS mm; a RAS point has opposite signs of x and y.",
    )
    p.add_argument("scan", nargs="?", type=Path, help="CT: folder or ZIP of DICOM, NIfTI, NRRD")
    p.add_argument(
        "--seed",
        type=point,
        action="append",
        metavar="X,Y,Z",
        help="a point in the lesion, LPS mm; may be repeated for several lesions",
    )
    p.add_argument(
        "--box",
        type=two_points,
        metavar="X,Y,Z,X,Y,Z",
        help="two opposite corners of a box around the lesion",
    )
    p.add_argument(
        "--line", type=two_points, metavar="X,Y,Z,X,Y,Z", help="ends of its longest diameter (RECIST)"
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
    p.add_argument("--weights", type=Path, metavar="FILE", help="other weights of the method network")
    p.add_argument(
        "--no-check",
        dest="check",
        action="store_false",
        help="do not compare the mask with that of the other method (saves one to two seconds)",
    )
    p.add_argument("--series", metavar="UID", help="series: a UID, part of a description, thinnest, ...")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--manifest", metavar="CSV", help="one lesion of each patient of a manifest with seeds")
    p.add_argument("--root", type=Path, help="folder from which the paths of the manifest start")
    p.add_argument("--n-jobs", type=int, help="with --manifest: number of processes; default, all cores")


SCANS = (features, segment)
