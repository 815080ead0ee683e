"""LIDC-IDRI XML, read on the grid of a scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmfusion.imaging import Volume, read_lidc, read_mask
from tests.fuzz.mutate import Change
from tests.fuzz.registry import Format
from tests.imaging.lidc_files import ball, nodule, other, small, write_lidc

AFFINE = np.diag([0.7, 0.7, 1.25, 1.0])
CT = Volume(np.full((8, 30, 32), -800, np.int16), AFFINE)


def make(rng: np.random.Generator, folder: Path) -> Path:
    masks = [ball(CT.shape, (4, 14, 15 + int(rng.integers(0, 3))), 4.0, AFFINE) for _ in range(3)]
    readers = [[nodule(m), small((3, 3), 2.5), other((5, 6), 2.5)] for m in masks]
    return write_lidc(folder / "158.xml", [*readers, []])


def read(path: Path) -> object:
    """Return the marks and the consensus."""
    marks = [
        (m.reader, m.name, m.kind, [(c.points, c.z, c.inside) for c in m.contours])
        for m in read_lidc(path).marks
    ]
    return marks, read_mask(path, CT, "*").array


def tells(change: Change) -> bool:
    """Return True for what the structure shows: XML without its end is not XML."""
    return change.kind in ("truncate", "file gone")


FORMATS = [Format("lidc", make, read, tells, text=lambda name, data: len(data))]
