"""Write LIDC-IDRI XML as the publishers do: contours run on the first pixels outside the region."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import ndimage

from mmfusion.imaging import Volume
from mmfusion.imaging.structures.contours import outlines

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage uid="1.3.6.1" xmlns="http://www.nih.gov"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.nih.gov LidcReadMessage.xsd">
<ResponseHeader><Version>1.8.1</Version><SeriesInstanceUid>{series}</SeriesInstanceUid>
<StudyInstanceUID>1.2.840.1</StudyInstanceUID></ResponseHeader>
"""
SESSION = """<readingSession><annotationVersion>3.12</annotationVersion>
<servicingRadiologistID>anonymous</servicingRadiologistID>{marks}</readingSession>
"""
ROI = """<roi><imageZposition>{z}</imageZposition><imageSOP_UID>1.2.{k}</imageSOP_UID>
<inclusion>{inside}</inclusion>{points}</roi>
"""
RATINGS = "<characteristics><subtlety>5</subtlety><malignancy>4</malignancy></characteristics>"


def points(pixels: Sequence[Sequence[int]], tag: str = "edgeMap") -> str:
    return "".join(f"<{tag}><xCoord>{x}</xCoord><yCoord>{y}</yCoord></{tag}>" for x, y in pixels)


def outside(plane: np.ndarray) -> list[list[tuple[int, int]]]:
    """Return the chains of pixels just outside each part of a mask's plane, holes filled."""
    chains = []
    labels, n = ndimage.label(plane)
    for k in range(1, n + 1):
        line = max(outlines(ndimage.binary_fill_holes(labels == k)), key=len)
        corners = np.vstack([line, line[:1]])
        chain: list[tuple[int, int]] = []
        area = np.sum(corners[:-1, 0] * corners[1:, 1] - corners[1:, 0] * corners[:-1, 1])
        for (x0, y0), (x1, y1) in pairwise(corners):
            step = np.sign([x1 - x0, y1 - y0])
            normal = np.array([step[1], -step[0]]) * np.sign(area)  # points out of the region
            for i in range(int(abs(x1 - x0) + abs(y1 - y0))):
                edge = np.array([x0, y0]) + step * (i + 0.5)
                pixel = tuple(np.rint(edge + normal / 2).astype(int).tolist())
                if not chain or chain[-1] != pixel:
                    chain.append(pixel)
        chains.append(chain)
    return chains


def nodule(mask: Volume, name: str = "1", holes: np.ndarray | None = None) -> str:
    """Return one reader's nodule; `holes` is a mask of excluded regions."""
    rois = ""
    for k, plane in enumerate(mask.array):
        for flag, part in (("TRUE", plane), ("FALSE", None if holes is None else holes[k])):
            if part is None or not part.any():
                continue
            z = mask.voxel_to_mm([0, 0, k])[2]
            for chain in outside(part):
                rois += ROI.format(z=z, k=k, inside=flag, points=points(chain))
    return f"<unblindedReadNodule><noduleID>{name}</noduleID>{RATINGS}{rois}</unblindedReadNodule>"


def small(pixel: tuple[int, int], z: float, name: str = "s") -> str:
    roi = ROI.format(z=z, k=0, inside="TRUE", points=points([pixel]))
    return f"<unblindedReadNodule><noduleID>{name}</noduleID>{roi}</unblindedReadNodule>"


def other(pixel: tuple[int, int], z: float, name: str = "n") -> str:
    place = f"<imageZposition>{z}</imageZposition><imageSOP_UID>1.2.0</imageSOP_UID>"
    return f"<nonNodule><nonNoduleID>{name}</nonNoduleID>{place}{points([pixel], 'locus')}</nonNodule>"


def write_lidc(path: Path, readers: Sequence[Sequence[str]], series: str = "1.2.3") -> Path:
    """Write the marks of each reader."""
    sessions = "".join(SESSION.format(marks="".join(marks)) for marks in readers)
    path.write_text(HEAD.format(series=series) + sessions + "</LidcReadMessage>\n", encoding="utf-8")
    return path


def ball(shape: Sequence[int], center: Sequence[float], radius: float, affine: np.ndarray) -> Volume:
    """Return a ball as a mask; centre (z, y, x) and radius in voxels."""
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    inside = sum((g - c) ** 2 for g, c in zip(grid, center)) <= radius**2
    return Volume(inside.astype(np.uint8), affine, unit="mask")
