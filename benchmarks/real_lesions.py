"""Segment real scans with every registered network, after training on the phantom alone.

python benchmarks/real_lesions.py --data DATA --out OUT                  # everything
python benchmarks/real_lesions.py --data DATA --out OUT --networks unet cspat --views crop

DATA is the folder of the real data. Each network is trained on crops and whole chests of the lesion phantom
for about `--seconds` of the processor. Models, masks, scores and figures are saved in OUT. What is there is
not made again, so that a stopped run goes on. The view "crop" is a box of 160 mm around a point in the lesion
(a hint that a user gives by a click), of which only the region at the point is kept. The view "whole" is the
whole scan without a hint. The point is from the published list of seeds if the patient is in it; otherwise it
is the centroid of the true mask, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import mmfusion as mf
from mmfusion.errors import ScanWarning
from mmfusion.figures.lesions import lesion_overlays
from mmfusion.imaging import Volume, read, read_mask, write_nifti
from mmfusion.lesions import LesionSegmenter
from mmfusion.metrics.segmentation import mask_scores
from mmfusion.nn.segmenters import get_preset
from mmfusion.registry import list_segmenters

CROP_MM = 160.0
VIEWS = ("crop", "whole")
SCORES = ("dice", "true_ml", "predicted_ml", "lesions", "lesions_found", "false_lesions")
_TRAIN, _TEST = 900, 901  # seeds of the phantom


@dataclass(frozen=True)
class Case:
    """A real scan: paths below the folder of data, the region of the mask, and the table with its seed."""

    ct: str
    mask: str | None = None
    part: str | None = None
    pet: str | None = None
    seeds: str | None = None
    id_column: str = "Case ID"


CASES = {
    "LUNG1-001": Case(
        "lesions/LUNG1-001/ct_native.nii.gz", "lesions/LUNG1-001/gtv1_native.nii.gz",
        seeds="lung1/fmcib_seeds.csv", id_column="PatientID",
    ),
    "LUNG1-002": Case(
        "lesions/LUNG1-002/ct_2mm_thorax.nii.gz", "lesions/LUNG1-002/gtv1_2mm.nii.gz",
        seeds="lung1/fmcib_seeds.csv", id_column="PatientID",
    ),
    "LIDC-IDRI-0314": Case(
        "lesions/LIDC-IDRI-0314/ct_1p5mm.nii.gz", "lesions/LIDC-IDRI-0314/consensus_1p5mm.nii.gz"
    ),
    "lung1_image": Case("volumes/lung1_image.nrrd", "volumes/lung1_label.nrrd"),
    "4D-Lung-113": Case("rtstruct/4D-Lung-113_ct.zip", "rtstruct/4D-Lung-113_rtstruct.dcm", "Tumor_c40"),
    "R01-001": Case("nsclc_radiogenomics/ct/R01-001.zip", seeds="nsclc_radiogenomics/fmcib_seeds.csv"),
    "AMC-001": Case("pet_ct/AMC-001_ct.zip", pet="pet_ct/AMC-001_pet.zip"),
}  # fmt: skip


def phantom(seed: int, n: int, *, pet: bool) -> pd.DataFrame:
    """Return crops at 2 mm, and a quarter as many whole chests."""
    crops = mf.lesion_phantom(n, seed, spacing=2.0, pet=pet).X
    chests = mf.lesion_phantom(max(n // 4, 1), seed + 50, whole=True, lesions=(1, 3), pet=pet).X
    return pd.concat([crops, chests])


def fitted(network: str, args: argparse.Namespace) -> LesionSegmenter:
    """Return the saved model of a network, or train and save it."""
    folder = args.out / "models" / network
    if folder.exists():
        return mf.load(folder)
    facts = list_segmenters().loc[network]
    X = phantom(_TRAIN, args.patients, pet="pet" in facts["modality"])
    reads_boxes = mf.registry.SEGMENTERS.get(network).uses_cue
    options = {"box_mode": "detector" if reads_boxes else "none"}
    reader = LesionSegmenter(network, max_epochs=1, threshold=0.5, **options).fit(X[:2]).reader
    for _, row in X.iterrows():
        reader.prepare(row)  # into the cache, so that the next epoch is timed without it
    start = time.process_time()
    LesionSegmenter(network, max_epochs=1, threshold=0.5, **options).fit(X)
    epoch = time.process_time() - start
    epochs = int(np.clip(args.seconds / epoch, 1, get_preset(network, "demo").plan.max_epochs))
    start = time.process_time()
    model = LesionSegmenter(network, max_epochs=epochs, **options).fit(X)
    held_out = mf.lesion_phantom(12, _TEST, spacing=2.0, pet="pet" in facts["modality"]).X
    dice = [
        mask_scores(read_mask(true).array, mask.array, mask.spacing, distances=False)["dice"]
        for mask, true in zip(model.predict(held_out), held_out["ct", "mask"], strict=True)
    ]
    result = {"epochs": epochs, "fit_s": round(time.process_time() - start), "dice": float(np.mean(dice))}
    write(args.out / "scores" / f"{network}.phantom.json", result)
    model.save(folder)
    return model


def opened(case: Case, name: str, root: Path) -> tuple[Volume, Volume | None, np.ndarray | None, str]:
    """Return the scan, the true mask, a point in the lesion, and where the point is from."""
    scan = read(root / case.ct)
    mask = None if case.mask is None else read_mask(root / case.mask, scan, case.part)
    if case.seeds is not None:
        table = pd.read_csv(root / case.seeds).set_index(case.id_column)
        if name in table.index:
            return (
                scan,
                mask,
                table.loc[name, ["coordX", "coordY", "coordZ"]].to_numpy(float),
                "list of seeds",
            )
    if mask is None:
        return scan, None, None, ""
    return scan, mask, mask.centroid_mm, "centroid of the mask"


def predicted(
    model: LesionSegmenter, scan: Volume, pet: Path | None, seed: np.ndarray | None
) -> tuple[Volume, float]:
    """Return the mask and the seconds of the processor."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScanWarning)  # the table shows that nothing was found
        mask = model.segment(scan, pet, seed)
    return mask, time.process_time() - start


def scores(true: Volume | None, mask: Volume) -> dict[str, float]:
    """Return the scores of a mask; without a true mask, its volume alone."""
    if true is None:
        return {"predicted_ml": mask.volume_ml()}
    found = mask_scores(true.array, mask.array, mask.spacing)
    found |= {f"{kind}_ml": found[f"{kind}_mm3"] / 1000 for kind in ("true", "predicted")}
    return {name: found[name] for name in SCORES}


def write(path: Path, result: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))


def run(network: str, args: argparse.Namespace) -> None:
    """Segment every scan with a network."""
    model, several = None, "pet" in list_segmenters().loc[network, "modality"]
    for name in args.cases:
        case = CASES[name]
        stems = {view: args.out / "scores" / f"{network}.{name}.{view}.json" for view in args.views}
        todo = [view for view, path in stems.items() if not path.exists()]
        if not todo or several != (case.pet is not None):
            continue  # a network that reads PET needs a PET, and AMC-001 is for these networks
        model = fitted(network, args) if model is None else model
        scan, true, seed, origin = opened(case, name, args.data)
        for view in todo:
            if view == "crop" and seed is None:
                continue
            part = scan if view == "whole" else scan.around(seed, CROP_MM)
            mask, seconds = predicted(
                model, part, case.pet and args.data / case.pet, seed if view == "crop" else None
            )
            (args.out / "masks").mkdir(parents=True, exist_ok=True)
            write_nifti(mask, args.out / "masks" / f"{network}.{name}.{view}.nii.gz")
            found = scores(None if true is None else true.like(part), mask)
            write(stems[view], {**found, "seconds": seconds, "seed": origin if view == "crop" else "none"})
            print(f"{network} {name} {view}: {found}", flush=True)


def tables(args: argparse.Namespace) -> Iterator[str]:
    """Yield the tables in Markdown."""
    rows = [
        (*path.stem.split("."), json.loads(path.read_text())) for path in (args.out / "scores").glob("*.json")
    ]
    trained = {row[0]: row[-1] for row in rows if row[1] == "phantom"}
    yield "\n| network | epochs | training, s | Dice of 12 held-out phantoms |\n|---|---|---|---|"
    for network, found in sorted(trained.items()):
        yield f"| `{network}` | {found['epochs']} | {found['fit_s']} | {found['dice']:.2f} |"
    for view in VIEWS:
        these = {(row[0], row[1]): row[3] for row in rows if row[1] != "phantom" and row[2] == view}
        names = [name for name in CASES if any(name == other for _, other in these)]
        if not names:
            continue
        head = [f"{name} ({seed_of(these, name)})" if view == "crop" else name for name in names]
        yield f"\n{view}: Dice, or mL where there is no mask\n"
        yield f"| network | {' | '.join(head)} |\n|---|{'---|' * len(names)}"
        for network in sorted({one for one, _ in these}):
            yield f"| `{network}` | {' | '.join(cell(these.get((network, name)), view) for name in names)} |"


def seed_of(these: dict[tuple[str, str], dict], name: str) -> str:
    return next(found["seed"] for (_, other), found in these.items() if other == name)


def cell(found: dict[str, float] | None, view: str) -> str:
    if found is None:
        return ""
    if "dice" not in found:
        return f"{found['predicted_ml']:.1f} mL"
    false = f", {found['false_lesions']:.0f} false" if view == "whole" else ""
    return f"{found['dice']:.2f}{false}"


def figures(args: argparse.Namespace) -> None:
    """Draw the outlines of all networks over each scan."""
    folder = args.out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for name in args.cases:
        scan, true, seed, _ = opened(CASES[name], name, args.data)
        for view in args.views:
            masks = sorted((args.out / "masks").glob(f"*.{name}.{view}.nii.gz"))
            if not masks:
                continue
            part = scan if view == "whole" else scan.around(seed, CROP_MM)
            there = None if true is None else true.like(part)
            rows = {path.name.split(".")[0]: (part, there, read_mask(path)) for path in masks}
            lesion_overlays(rows).savefig(folder / f"{name}_{view}.png", dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--networks", nargs="*", default=list(list_segmenters().index))
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--views", nargs="*", default=list(VIEWS), choices=list(VIEWS))
    parser.add_argument("--patients", type=int, default=48, help="crops of the phantom to learn from")
    parser.add_argument("--seconds", type=float, default=300, help="of the processor, for each training")
    parser.add_argument("--only-tables", action="store_true", help="of what is in OUT; no training")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for network in [] if args.only_tables else args.networks:
        run(network, args)
    figures(args)
    for line in tables(args):
        print(line)


if __name__ == "__main__":
    main()
