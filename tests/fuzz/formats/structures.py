"""DICOM-SEG, RTSTRUCT and label images, read on the grid of a scan."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from mmfusion.imaging import Volume, list_rois, read, read_mask, write_nifti, write_rtstruct, write_seg
from tests.fuzz.mutate import Change
from tests.fuzz.registry import Format
from tests.imaging.structure_sets import scan

SHAPE, SPACING = (6, 20, 22), (3.0, 0.8, 0.9)


def drawn(rng: np.random.Generator, ct: Volume) -> Volume:
    """Return a mask of a few boxes, with a hole in each."""
    array = np.zeros(ct.shape, np.uint8)
    for _ in range(rng.integers(1, 4)):
        z, y, x = (int(rng.integers(0, n - 5)) for n in (ct.shape[0], *ct.shape[1:]))
        array[z : z + 3, y : y + 5, x : x + 5] = 1
        array[z : z + 3, y + 2, x + 2] = 0
    return Volume(array, ct.affine, unit="mask", frame_of_reference=ct.frame_of_reference)


def make_dicom(write, rng: np.random.Generator, folder: Path) -> Path:
    with tempfile.TemporaryDirectory() as place:
        source, ct = scan(Path(place) / "ct", SHAPE, SPACING)
        masks = {name: drawn(rng, ct) for name in ("GTV", "Node")[: rng.integers(1, 3)]}
        return write(masks, source, folder / "regions.dcm")


def make_labels(suffix: str, rng: np.random.Generator, folder: Path) -> Path:
    affine = np.diag([*SPACING[::-1], 1.0])
    mask = drawn(rng, Volume(np.zeros(SHAPE, np.int16), affine))
    labels = mask.array * rng.integers(1, 4, SHAPE).astype(np.uint8)
    return write_nifti(Volume(labels, affine, unit="mask"), folder / f"labels{suffix}")


def reference() -> Volume:
    with tempfile.TemporaryDirectory() as place:
        return read(scan(Path(place) / "ct", SHAPE, SPACING)[0])


CT = reference()


def read_regions(path: Path) -> object:
    """Return the regions and their joined mask."""
    rois = list_rois(path)
    mask = read_mask(path, CT, "*")
    return rois, mask.array, mask.affine


def read_labels(path: Path) -> object:
    mask = read_mask(path, roi="*")
    return mask.array, mask.affine


def tells(packed: bool, change: Change) -> bool:
    """Return True for what a length or a checksum shows."""
    return change.kind in ("truncate", "file gone") or packed


FORMATS = [
    Format("seg", partial(make_dicom, write_seg), read_regions, partial(tells, False)),
    Format("rtstruct", partial(make_dicom, write_rtstruct), read_regions, partial(tells, False)),
    Format("labels nii", partial(make_labels, ".nii"), read_labels, partial(tells, False)),
    Format("labels nii.gz", partial(make_labels, ".nii.gz"), read_labels, partial(tells, True)),
]
