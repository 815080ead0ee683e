"""One click on a lesion: real scans with masks, and phantom families that training never saw.

    python benchmarks/one_click.py phantom                     # three families of phantom lesions
    python benchmarks/one_click.py real --data DATA            # three clicks on each real lesion
    python benchmarks/one_click.py slices --data DATA          # slices of 26 other real patients, 2D
    python benchmarks/one_click.py boxes --data DATA           # a tumour of which only boxes are drawn
    python benchmarks/one_click.py time --data DATA            # from a DICOM folder, reading included

A click is a random voxel of the true mask that is at least half as deep as the deepest one. The outline that
is compared ("tight" or "gtv") is stated for each real lesion: radiologists of LIDC drew tight outlines, and
clinical gross tumour volumes were drawn with a margin. Nothing of the real scans is used for training, and no
setting was chosen on them. Which method is the default was decided on the phantom families.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import distance_transform_edt, label
from scipy.stats import wilcoxon

import mmfusion as mf
from mmfusion.errors import MMFusionError
from mmfusion.imaging import Volume, read, read_mask
from mmfusion.metrics.intervals import bootstrap_weights, interval

METHODS = ("growcut", "network")
CLICKS = 3
CASES = {  # name: scan, mask, region, outline; paths below `lesions`
    "LUNG1-001": ("LUNG1-001/ct_native.nii.gz", "LUNG1-001/gtv1_native.nii.gz", None, "gtv"),
    "LUNG1-002": ("LUNG1-002/ct_2mm_thorax.nii.gz", "LUNG1-002/gtv1_2mm.nii.gz", None, "gtv"),
    "cancerdata_pat_2": ("cancerdata_pat_2/ct.nii.gz", "cancerdata_pat_2/gtv1.nii.gz", None, "gtv"),
    "cancerdata_pat_4": ("cancerdata_pat_4/ct.nii.gz", "cancerdata_pat_4/gtv1.nii.gz", None, "gtv"),
    "LIDC-IDRI-0314": (
        "LIDC-IDRI-0314/ct_crop_native.nii.gz", "LIDC-IDRI-0314/consensus_crop_native.nii.gz", None, "tight"
    ),
    "lung1": ("../volumes/lung1_image.nrrd", "../volumes/lung1_label.nrrd", None, "gtv"),
    "4D-Lung-113": (
        "../rtstruct/4D-Lung-113_ct.zip", "../rtstruct/4D-Lung-113_rtstruct.dcm", "Tumor_c40", "gtv"
    ),
    "4D-Lung-113, lymph node": (
        "../rtstruct/4D-Lung-113_ct.zip", "../rtstruct/4D-Lung-113_rtstruct.dcm", "LN_c40", "gtv"
    ),
}  # fmt: skip
APART = ("4D-Lung-113, lymph node",)  # not in the means
PATCH_HU = (-1000.0, 1200.0)  # HU at 0 and range of the 2D patches; an assumption, since they do not say it


def clicks(mask: Volume, n: int) -> list[np.ndarray]:
    """Return points (LPS mm) in the largest piece of a mask."""
    box = mask.bounding_box()
    inside = mask.array[box] != 0
    pieces, count = label(inside, np.ones((3, 3, 3)))
    if count > 1:
        inside = pieces == np.bincount(pieces[pieces > 0]).argmax()
    depth = distance_transform_edt(np.pad(inside, 1), mask.spacing)[1:-1, 1:-1, 1:-1]
    deep = np.argwhere(depth >= 0.5 * depth.max()) + [cut.start for cut in box]
    return [mask.voxel_to_mm(deep[k][::-1]) for k in np.random.default_rng(0).choice(len(deep), n)]


def dice(one: Volume, two: Volume) -> float:
    both = np.count_nonzero(one.array & two.array)
    return 2 * both / (np.count_nonzero(one.array) + np.count_nonzero(two.array))


def options(args: argparse.Namespace, method: str) -> dict[str, object]:
    return {"method": method, "weights": args.weights if method == "network" else None, "check": args.check}


def judged(
    scan: Volume, true: Volume, margin: str, name: str, n: int, args: argparse.Namespace
) -> Iterator[dict]:
    """Yield the Dice of every click and method; 0 where no lesion was found."""
    for number, seed in enumerate(clicks(true, n)):
        for method in args.methods:
            start = time.process_time()
            try:
                found = mf.segment_lesion(scan, seed, margin=margin, **options(args, method))
                score, said = dice(found.mask, true), len(found.warnings)
            except MMFusionError:
                score, said = 0.0, 1
            yield {
                "case": name, "click": number, "method": method, "dice": score, "warnings": said,
                "seconds": time.process_time() - start, "ml": true.volume_ml(), "margin": margin,
            }  # fmt: skip


def by_case(rows: list[dict], methods: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    return frame.pivot_table(index="case", columns="method", values="dice", sort=False)[methods]


def summary(means: pd.DataFrame) -> None:
    """Print the means, and the paired difference of the first two methods."""
    print(f"mean Dice of {len(means)}: " + ", ".join(f"{m} {means[m].mean():.3f}" for m in means))
    if means.shape[1] > 1:
        one, two = means.columns[:2]
        values = (means[one] - means[two]).to_numpy()
        weights = bootstrap_weights(np.zeros(len(values), int))
        low, high = interval((weights * values[:, None]).sum(axis=0)[1:] / len(values))
        p = wilcoxon(values).pvalue if values.any() else 1.0
        print(f"{one} minus {two}: {values.mean():+.3f} [{low:+.3f}, {high:+.3f}], Wilcoxon p {p:.2g}")


def real(args: argparse.Namespace) -> None:
    rows = []
    for name, (ct, mask, part, margin) in CASES.items():
        scan = read(args.data / "lesions" / ct)
        true = read_mask(args.data / "lesions" / mask, scan, part)
        rows += judged(scan, true, margin, name, CLICKS, args)
    means, frame = by_case(rows, args.methods), pd.DataFrame(rows)
    facts = frame.groupby("case").first()
    said = frame[frame["method"] == args.methods[0]].groupby("case")["warnings"].agg(lambda s: (s > 0).mean())
    print("| case | mL | outline | " + " | ".join(args.methods) + " | clicks with a warning |")
    print("|---" * (4 + len(args.methods)) + "|")
    for name, row in means.iterrows():
        cells = " | ".join(f"{value:.2f}" for value in row)
        print(f"| {name} | {facts.ml[name]:.1f} | {facts.margin[name]} | {cells} | {said[name]:.0%} |")
    print()
    summary(means.drop(index=list(APART)))
    seconds = frame.groupby("method")["seconds"].mean()
    print("seconds a click: " + ", ".join(f"{m} {seconds[m]:.2f}" for m in args.methods))


def families(n: int, seed: int) -> dict[str, mf.Cohort]:
    """Return cohorts of other kinds than the cubes of training."""
    return {
        "staging phantom (another generator)": mf.phantom(n, seed, missing=0.0)[0],
        "slices of 5 to 8 mm on the grid of the scanner": mf.lesion_phantom(
            n, seed, grid="scanner", thickness=(5.0, 8.0), size=96
        ),
        "whole chests with one to three lesions": mf.lesion_phantom(
            max(n // 3, 1), seed, whole=True, lesions=(1, 3)
        ),
    }


def phantom(args: argparse.Namespace) -> None:
    for family, cohort in families(args.n, args.seed).items():
        rows, ct = [], cohort.X["ct"]
        for patient, row in ct[ct["volume"].notna()].iterrows():
            scan = read(row["volume"])
            rows += judged(scan, read_mask(row["mask"], scan), "tight", patient, 1, args)
        print(f"\n{family}: ", end="")
        summary(by_case(rows, args.methods))


def slices(args: argparse.Namespace) -> None:
    """Single slices of 48 x 48 voxels of 2 mm (MSD Task06) with at least ten voxels of tumour."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    for file in ("val_patches.npz", "test_patches.npz"):
        rows = []
        with np.load(args.data / "lesions" / "msd06_2mm_patches" / file) as found:
            images, labels = found["images"].astype(np.float32), found["labels"]
        for number in np.flatnonzero(labels.sum(axis=(1, 2)) >= 10):
            scan = Volume(images[number][None] * PATCH_HU[1] + PATCH_HU[0], affine)
            true = Volume(labels[number][None], affine, unit="mask")
            rows += judged(scan, true, "tight", f"{number}", 1, args)
        print(f"{file}: ", end="")
        summary(by_case(rows, args.methods))


def box_of(mask: np.ndarray) -> np.ndarray:
    """Return the box around the voxels of each slice, as a mask."""
    filled = np.zeros_like(mask, dtype=bool)
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        y, x = np.nonzero(mask[number])
        filled[number, y.min() : y.max() + 1, x.min() : x.max() + 1] = True
    return filled


def boxes(args: argparse.Namespace) -> None:
    """Compare the boxes around masks with those that a radiologist drew on each slice of 8 mm.

    A box has corners without tumour, so that no Dice of masks can be had. The overlap is that of boxes.
    """
    folder = args.data / "lesions" / "lung_pet_ct_dx_A0002"
    scan = read(folder / "ct_native.nii.gz")
    drawn = read_mask(folder / "tumour_boxes_native.nii.gz", scan)
    inside = drawn.array != 0
    place = np.argwhere(inside)
    corners = np.stack([scan.voxel_to_mm(end[::-1]) for end in (place.min(axis=0), place.max(axis=0))])
    print("| method | pointed at by | mL | IoU of boxes | share of the mask in the boxes | warnings |")
    print("|---|---|---|---|---|---|")
    for method in args.methods:
        prompts = [(f"click {k + 1}", {"seed": point}) for k, point in enumerate(clicks(drawn, CLICKS))]
        for name, prompt in [*prompts, ("box around all", {"box": corners})]:
            found = mf.segment_lesion(scan, **prompt, **options(args, method))
            mask = found.mask.array != 0
            mine = box_of(mask)
            iou = np.count_nonzero(mine & inside) / np.count_nonzero(mine | inside)
            share = np.count_nonzero(mask & inside) / np.count_nonzero(mask)
            said = "; ".join(found.warnings) or "none"
            print(f"| {method} | {name} | {found.volume_ml:.0f} | {iou:.2f} | {share:.2f} | {said} |")


def seconds(args: argparse.Namespace) -> None:
    """Time one click on a folder of DICOM, reading included, on one core."""
    seeds = pd.read_csv(args.data / "nsclc_radiogenomics/fmcib_seeds.csv").set_index("Case ID")
    point = seeds.loc["R01-001", ["coordX", "coordY", "coordZ"]].to_numpy(float)
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(args.data / "nsclc_radiogenomics/ct/R01-001.zip") as packed:
            packed.extractall(folder)
        for method in args.methods:
            for turn in ("first", "second"):
                start = time.perf_counter()
                found = mf.segment_lesion(folder, point, **options(args, method))
                print(f"{method}, {turn} call: {time.perf_counter() - start:.2f} s, {found}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = {"phantom": phantom, "real": real, "slices": slices, "boxes": boxes, "time": seconds}
    parser.add_argument("mode", choices=modes)
    parser.add_argument("--data", type=Path, help="folder of the real data")
    parser.add_argument("--methods", nargs="*", default=["growcut"], choices=METHODS)
    parser.add_argument("--weights", type=Path, help="of the method network")
    parser.add_argument("--check", action="store_true", help="compare the two methods, which warns")
    parser.add_argument("--n", type=int, default=60, help="phantom patients of each family")
    parser.add_argument("--seed", type=int, default=700, help="of the phantom patients")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    modes[args.mode](args)


if __name__ == "__main__":
    main()
