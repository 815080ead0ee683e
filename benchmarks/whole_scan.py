"""Segment a whole scan of 512 x 512 x 300 voxels: seconds of each step, and the largest memory.

python benchmarks/whole_scan.py unet resenc_unet   # the demo size of these networks
python benchmarks/whole_scan.py unet --preset full --flips

The export, which brings the result to the grid of the scan, should take less time than the inference, and the
process should stay below 6 GiB. Each network runs in a process of its own, on one thread. Times are those of
the processor (as `time.process_time`), so that other programs on the machine do not matter.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd

import mmfusion as mf
from mmfusion.imaging import Volume
from mmfusion.lesions.export import export_mask
from mmfusion.lesions.inference import prediction_boxes, probability_map

SPACING = (1.0, 0.7, 0.7)
LIMIT_GIB = 6.0


def scan(shape: tuple[int, int, int], n: int, seed: int) -> tuple[Volume, Volume]:
    """Return a body of soft tissue with two lungs of noise and n lesions in them, and the mask of these."""
    rng = np.random.default_rng(seed)
    y, x = (np.linspace(-1, 1, m, dtype=np.float32) for m in shape[1:])
    plane = y[:, None] ** 2 + x[None] ** 2
    lungs = (np.abs(x[None]) > 0.1) & (plane < 0.6)
    slice_ = np.where(lungs, -820, np.where(plane < 0.9, 40, -1000)).astype(np.int16)
    array = np.repeat(slice_[None], shape[0], axis=0)
    array += rng.integers(-40, 41, shape, dtype=np.int16)
    mask = np.zeros(shape, np.uint8)
    for _ in range(n):
        at = [
            rng.uniform(0.2, 0.8) * shape[0],
            rng.uniform(0.3, 0.7) * shape[1],
            rng.choice([0.3, 0.7]) * shape[2],
        ]
        radius = rng.uniform(6, 15)
        box = tuple(
            slice(max(int(c - radius / mm), 0), int(c + radius / mm) + 2)
            for c, mm in zip(at, SPACING, strict=True)
        )
        grid = np.ogrid[box]
        inside = sum(((g - c) * mm) ** 2 for g, c, mm in zip(grid, at, SPACING, strict=True)) < radius**2
        array[box][inside] = 30
        mask[box][inside] = 1
    affine = np.diag([SPACING[2], SPACING[1], SPACING[0], 1.0])
    return Volume(array, affine), Volume(mask, affine, unit="mask")


def fitted(name: str, args: argparse.Namespace) -> mf.LesionSegmenter:
    """Return a network that was trained for a few epochs, or not at all."""
    model = mf.LesionSegmenter(name, args.preset, max_epochs=max(args.epochs, 1), test_time_flips=args.flips)
    pairs = [scan((60, 100, 100), 3, seed) for seed in range(1, 5)]
    X = pd.DataFrame({("ct", "volume"): [a for a, _ in pairs], ("ct", "mask"): [b for _, b in pairs]})
    X.index = [f"P{k}" for k in range(len(X))]
    return model.fit(X)


def one(name: str, args: argparse.Namespace) -> dict[str, object]:
    model = fitted(name, args)
    if not args.epochs:
        model.module_ = model.fitted_.build().eval()  # its noise is the worst case of the export
    volume, true = scan(tuple(args.shape), args.lesions, 0)
    row = pd.Series({("ct", "volume"): volume}, name="whole")
    seconds, start = {}, time.process_time()

    def stop(step: str) -> None:
        nonlocal start
        seconds[step] = time.process_time() - start
        start = time.process_time()

    scans = model.reader.prepare(row)
    stop("resample_s")
    probability = probability_map(model, scans, prediction_boxes(model, row, scans))
    stop("inference_s")
    mask = export_mask(probability, volume, model.threshold_)
    stop("export_s")
    both = int((mask.array & true.array).sum())
    dice = 2 * both / max(int(mask.array.sum()) + int(true.array.sum()), 1)
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**{k: round(v, 2) for k, v in seconds.items()}, "peak_gib": round(gib, 2),
            "voxels": int(mask.array.sum()), "dice": round(dice, 3)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--epochs", type=int, default=20, help="0: a network that was not trained")
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 512, 512))
    parser.add_argument("--lesions", type=int, default=5)
    parser.add_argument("--flips", action="store_true")
    parser.add_argument("--here", action="store_true", help="one network, in this process; prints JSON")
    args = parser.parse_args()
    if args.here:
        print(json.dumps(one(args.networks[0], args)))
        return
    given = [word for word in sys.argv[1:] if word not in args.networks]
    rows = {}
    for name in args.networks:
        command = [sys.executable, __file__, name, "--here", *given]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows[name] = json.loads(done.stdout.splitlines()[-1])
    table = pd.DataFrame.from_dict(rows, orient="index")
    table["export_faster"] = table["export_s"] < table["inference_s"]
    table["below_limit"] = table["peak_gib"] <= LIMIT_GIB
    print(table.to_string())


if __name__ == "__main__":
    main()
