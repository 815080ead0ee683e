"""Time to read a crop around a seed, and a whole volume at 1 mm, from DICOM: ours and MONAI's as in fmcib.

    python benchmarks/scans.py ../shared/data/nsclc_radiogenomics/ct/R01-001.zip --seed -95.69 -144.98 -66.12

The scan is read from the ZIP and from the same files unpacked. MONAI's `LoadImage` cannot read a ZIP of
DICOM. For MONAI the ZIP is therefore unpacked first, as a user would do. The script prints medians of
interleaved runs, their ratio, the difference of the results, and the peak memory of reading divided by the
decoded size.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from monai.transforms import LoadImage, Orientation, ScaleIntensityRange, Spacing, SpatialCrop
from scipy.ndimage import gaussian_filter

from mmfusion.imaging import Volume, list_series, read, read_crop

SIDE, LOW, HIGH = 96, -1000.0, 400.0


def monai_whole(path: Path):
    """Return the volume at 1 mm in LPS order, shape (1, x, y, z), with its affine in RAS mm."""
    with tempfile.TemporaryDirectory() as scratch:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                archive.extractall(scratch)
            path = Path(scratch)
        folder = next(path.rglob("*.dcm")).parent
        image = LoadImage(image_only=True, ensure_channel_first=True)(folder)
    return Spacing(pixdim=1.0, mode="bilinear", padding_mode="zeros")(Orientation(axcodes="LPS")(image))


def monai_crop(path: Path, seed: np.ndarray):
    image = monai_whole(path)
    voxel = np.linalg.inv(image.affine.numpy()) @ [-seed[0], -seed[1], seed[2], 1]
    cube = SpatialCrop(roi_center=np.rint(voxel[:3]).astype(int), roi_size=(SIDE,) * 3)(image)
    return ScaleIntensityRange(LOW, HIGH, 0.0, 1.0, clip=True)(cube)


def our_crop(path: Path, seed: np.ndarray) -> np.ndarray:
    crop = read_crop(path, seed, SIDE, 1.0, fill=LOW)
    return np.clip((crop.array - LOW) / (HIGH - LOW), 0, 1, dtype=np.float32)


def difference(image, scan: Volume, seed: np.ndarray) -> str:
    """Describe the difference in HU at MONAI's samples; our samples are averages over 1 mm."""
    ras_to_lps = np.diag([-1, -1, 1, 1])
    theirs = image[0].numpy().transpose(2, 1, 0)
    ours = scan.on_grid(ras_to_lps @ image.affine.numpy(), theirs.shape).array
    z, y, x = np.rint(np.linalg.inv(ras_to_lps @ image.affine.numpy()) @ [*seed, 1])[2::-1].astype(int)
    box = tuple(slice(max(c - SIDE // 2, 0), c + SIDE // 2) for c in (z, y, x))
    a, b = theirs[box], ours[box]
    smooth = [gaussian_filter(v, 2.0) for v in (a, b)]
    correlation = np.corrcoef(smooth[0].ravel(), smooth[1].ravel())[0, 1]
    left = np.abs(smooth[0] - smooth[1]).mean()
    text = f"after smoothing by 2 mm {left:.2f} HU (correlation {correlation:.6f})"
    return f"{np.abs(a - b).mean():.1f} HU; {text}"


def peak(step: Callable) -> int:
    """Return the peak number of bytes held by numpy and Python during a step."""
    tracemalloc.start()
    step()
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return held


def seconds(step: Callable) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("--seed", type=float, nargs=3, required=True, metavar=("X", "Y", "Z"), help="LPS mm")
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    seed = np.array(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(arguments.archive) as archive:
        archive.extractall(scratch)
        print("| from | result | MONAI, s | ours, s | ratio | our peak memory / decoded |")
        print("|---|---|---|---|---|---|")
        for path in (Path(scratch), arguments.archive):
            steps = {
                f"{SIDE} mm crop": (lambda p=path: monai_crop(p, seed), lambda p=path: our_crop(p, seed)),
                "whole at 1 mm": (lambda p=path: monai_whole(p), lambda p=path: read(p).resample(1)),
            }
            decoded = np.prod(list_series(path).loc[0, "shape"]) * 2
            memory = [peak(lambda p=path: our_crop(p, seed)), peak(lambda p=path: read(p))]
            for (name, (theirs, ours)), held in zip(steps.items(), memory, strict=True):
                theirs(), ours()
                times = [(seconds(theirs), seconds(ours)) for _ in range(arguments.runs)]
                a, b = (statistics.median(column) for column in zip(*times, strict=True))
                kind = "ZIP" if path.suffix == ".zip" else "folder"
                print(
                    f"| {kind} | {name} | {a:.2f} | {b:.3f} | {a / b:.1f} | {held / decoded:.2f} |",
                    flush=True,
                )
        print(f"difference: {difference(monai_whole(arguments.archive), read(arguments.archive), seed)}")


if __name__ == "__main__":
    main()
