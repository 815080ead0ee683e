"""Time saved by the cache: crops compared with reading the scan; entries compared with a raw memory map.

    python benchmarks/cache.py [folder with the real data, default ../shared/data]

All files are in the page cache of the operating system, so that the speed of the disk plays no part.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmfusion.preprocessing.scans import standard_crop
from mmfusion.storage import cache

SEED = (-95.69377779916789, -144.98459803983542, -66.12100036778227)  # seed of R01-001, published by fmcib
N, SIDE = 1000, 64


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def crops(scan: Path, scratch: Path) -> None:
    """Time the 96 mm crop of R01-001 at 1 mm, from a ZIP and from a folder."""
    folder = scratch / "R01-001"
    with zipfile.ZipFile(scan) as archive:
        archive.extractall(folder)
    time.sleep(0.1)  # the cache does not trust very new files, because they may still change
    print(f"{'crop of 96^3 at 1 mm':24} {'cold, ms':>10} {'warm, ms':>10} {'ratio':>8}")
    for name, path in (
        ("ZIP", scan),
        (f"folder of {sum(p.is_file() for p in folder.rglob('*'))} files", folder),
    ):

        def crop(path: Path = path) -> np.ndarray:
            return standard_crop(path, SEED, 96, 1.0)

        cold, warm = [], []
        crop()
        for k in range(5):
            os.environ["MMFUSION_CACHE"] = str(scratch / f"cold {name} {k}")
            cold.append(seconds(crop))
            time.sleep(0.1)
            warm += [seconds(crop) for _ in range(50)]
        cold, warm = statistics.median(cold), statistics.median(warm)
        print(f"{name:24} {cold * 1e3:10.1f} {warm * 1e3:10.2f} {cold / warm:8.0f}")


def stream(scratch: Path) -> None:
    """Time the sums of 1,000 volumes of 64^3, read one after the other."""
    os.environ["MMFUSION_CACHE"] = str(scratch / "stream")
    shape = (SIDE, SIDE, SIDE)
    rng = np.random.default_rng(0)
    base = rng.random(shape, dtype=np.float32)
    with (scratch / "raw").open("wb") as file:
        for k in range(N):
            (base + k).tofile(file)

    def entry(k: int) -> np.ndarray:
        return cache.cached("volumes", {"scan": "0" * 32, "k": k, "version": 1}, lambda: base + k)

    fill = seconds(lambda: [entry(k) for k in range(N)])
    time.sleep(0.1)
    sums = {}

    def raw() -> None:
        volumes = np.memmap(scratch / "raw", np.float32, "r", shape=(N, *shape))
        sums["raw"] = [volume.sum() for volume in volumes]

    def ours() -> None:
        sums["ours"] = [entry(k).sum() for k in range(N)]

    def loaded() -> None:
        sums["numpy"] = [np.load(path, mmap_mode="r").sum() for path in paths]

    raw(), ours()
    cache._seen.clear()
    paths = sorted((scratch / "stream").rglob("*.npy"))
    times: dict[str, list[float]] = {
        name: [] for name in ("raw memory map", "first pass", "later passes", "numpy.load")
    }
    peak = 0.0
    before = rss_mib()
    for _ in range(7):
        times["raw memory map"].append(seconds(raw))
        cache._seen.clear()
        times["first pass"].append(seconds(ours))
        times["later passes"].append(seconds(ours))
        times["numpy.load"].append(seconds(loaded))
    for k in range(N):
        entry(k).sum()
        peak = max(peak, rss_mib() - before)
    assert sums["raw"] == sums["ours"]
    print(f"\n{N} volumes of {SIDE}^3 ({N * base.nbytes / 2**20:.0f} MiB), filled in {fill:.1f} s")
    print(f"{'read by':24} {'ms per volume':>13} {'GB/s':>8} {'speed / raw':>12}")
    reference = statistics.median(times["raw memory map"])
    for name, measured in times.items():
        t = statistics.median(measured)
        print(f"{name:24} {t / N * 1e3:13.3f} {N * base.nbytes / t / 1e9:8.2f} {reference / t:12.2f}")
    print(f"resident memory grew by at most {peak:.1f} MiB while {N} volumes were read")


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "shared" / "data"
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MMFUSION_CACHE"] = str(Path(scratch) / "cache")
        scan = data / "nsclc_radiogenomics" / "ct" / "R01-001.zip"
        if scan.is_file():
            crops(scan, Path(scratch))
        else:
            print(f"{scan} does not exist, so the crop is left out")
        stream(Path(scratch))


if __name__ == "__main__":
    main()
