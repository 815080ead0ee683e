"""Segment a lesion that a click, a box or a line points at: `segment_lesion`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmfusion.errors import DataError, ScanError
from mmfusion.imaging import Volume, read
from mmfusion.imaging.dicom.choose import SeriesRules
from mmfusion.lesions.click.doubts import check_point, doubts
from mmfusion.lesions.click.growcut import growcut
from mmfusion.lesions.click.network import ClickNet, loaded
from mmfusion.lesions.click.prompt import Point, Prompt, prompt
from mmfusion.lesions.click.result import LesionMask
from mmfusion.lesions.click.scales import read_scales
from mmfusion.lesions.click.shape import MARGINS_MM, lesion_at
from mmfusion.lesions.measures import measure

METHODS = ("auto", "network", "growcut")
VERSION = 2  # version of the masks; with a new number, what depends on them is computed again
DEFAULT = "growcut"  # what "auto" means


def segment_lesion(
    scan: Volume | str | Path,
    seed: Point | None = None,
    *,
    box: Sequence[Point] | None = None,
    line: Sequence[Point] | None = None,
    method: str = "auto",
    margin: str = "tight",
    series: SeriesRules = None,
    weights: str | Path | None = None,
    check: bool = True,
) -> LesionMask:
    """Segment one lung lesion in a CT, from a click, a box or a line.

    Parameters
    ----------
    scan : Volume or path
        CT in HU: a Volume, a folder or ZIP of DICOM, a NIfTI, NRRD or MetaImage file.
    seed : (x, y, z), optional
        A point in the lesion, LPS mm.
    box : two points, optional
        Opposite corners of a box that contains the lesion, LPS mm; with or without a seed.
    line : two points, optional
        Ends of the longest diameter (RECIST), LPS mm.
    method : {"auto", "growcut", "network"}
        "growcut" grows the lesion and its surroundings from the point until they meet, and needs no weights.
        "network" reads cubes of six sizes around the point. Its weights are in the package; they were trained
        on the lesion phantom alone (`MODEL_CARD.md` beside them). "auto" is "growcut": it was better on real
        lesions, although the network was better on drawn ones.
    margin : {"tight", "gtv"}
        Which outline is meant: "tight" is the visible border, as radiologists draw nodules (LIDC); "gtv" adds
        1.5 mm, as gross tumour volumes for radiotherapy are drawn.
    series : str or sequence of str, optional
        Rules that choose a series of DICOM; see `mmfusion.imaging.read`.
    weights : path, optional
        Other weights of the network, made by `python -m mmfusion.lesions.click.training`.
    check : bool
        Segment the lesion by the other method too, and add a warning if the two masks differ much. It takes
        about one to two seconds.

    Returns
    -------
    LesionMask
        Mask on the grid of the scan, volume, diameters, and warnings where it should not be trusted.

    Raises
    ------
    ScanError
        If the scan cannot be read or is not in HU; if the point lies outside the scan, or in air; if no
        tissue is near it. A point in healthy tissue or lung gives a mask with a warning.
    DataError
        If the method or the margin is unknown, or there are weights for another method.
    WeightsUnavailable
        If there are no weights of the network.

    Examples
    --------
    >>> hu = np.full((60, 60, 60), -850, np.int16)
    >>> hu[sum((axis - 30.0) ** 2 for axis in np.ogrid[:60, :60, :60]) <= 8.0**2] = 40
    >>> found = segment_lesion(Volume(hu, np.eye(4)), (30, 30, 30), method="growcut")
    >>> bool(abs(found.longest_mm - 16) < 2), found.warnings
    (True, ())
    """
    volume, chosen = open_ct(scan, series), checked(method, margin, weights, check=check)
    return _segment(volume, prompt(volume, seed, box, line), **chosen)


def segment_lesions(
    scan: Volume | str | Path,
    seeds: Sequence[Point],
    *,
    method: str = "auto",
    margin: str = "tight",
    series: SeriesRules = None,
    weights: str | Path | None = None,
    check: bool = True,
) -> list[LesionMask]:
    """Segment several lesions of one CT, one click each.

    Parameters
    ----------
    scan, method, margin, series, weights, check
        As for `segment_lesion`.
    seeds : sequence of (x, y, z)
        A point in each lesion, LPS mm.

    Returns
    -------
    list of LesionMask
        In the order of the points. If two masks overlap, both have a warning.

    Raises
    ------
    ScanError, DataError
        As `segment_lesion`; the message says which point.

    Examples
    --------
    >>> hu = np.full((40, 40, 80), -850, np.int16)
    >>> for x in (20, 60):
    ...     hu[sum((axis - c) ** 2 for axis, c in zip(np.ogrid[:40, :40, :80], (20.0, 20.0, x))) <= 36] = 40
    >>> scan = Volume(hu, np.eye(4))
    >>> [len(one.warnings) for one in segment_lesions(scan, [(20, 20, 20), (60, 20, 20)], method="growcut")]
    [0, 0]
    """
    volume, chosen = open_ct(scan, series), checked(method, margin, weights, check=check)
    if not len(seeds):
        raise DataError("no point is given", parameter="seeds", expected="one (x, y, z) per lesion")
    found = []
    for number, seed in enumerate(seeds, 1):
        try:
            found.append(_segment(volume, prompt(volume, seed), **chosen))
        except ScanError as error:
            if error.column is None and error.parameter is None:
                error.parameter = f"seeds, point {number} of {len(seeds)}"
            raise
    return [_apart(one, found) for one in found]


def open_ct(scan: Volume | str | Path, series: SeriesRules = None) -> Volume:
    """Return a scan as a Volume in HU, after checking it; parameters are those of `segment_lesion`."""
    if isinstance(scan, Volume):
        if series is not None:
            raise ScanError("series is for DICOM", got="a Volume")
        scan.expect("HU", parameter="scan")
        return scan
    if not isinstance(scan, str | Path):
        hint = "make a Volume of an array (z, y, x) and its affine in LPS mm: Volume(array, affine)"
        raise ScanError("not a scan", expected="a Volume or a path", got=type(scan).__name__, hint=hint)
    return read(scan, series, unit="HU")


def checked(method: str, margin: str, weights: str | Path | None, *, check: bool = True) -> dict[str, object]:
    """Return how to segment, with the network loaded; parameters are those of `segment_lesion`."""
    if method not in METHODS:
        raise DataError("unknown method", parameter="method", expected=", ".join(METHODS), got=method)
    if margin not in MARGINS_MM:
        raise DataError("unknown margin", parameter="margin", expected=", ".join(MARGINS_MM), got=margin)
    method = DEFAULT if method == "auto" else method
    if weights is not None and method != "network":
        raise DataError("weights are for the network", parameter="method", expected="network", got=method)
    network = loaded(weights) if check or method == "network" else None
    return {"method": method, "margin": margin, "network": network, "check": check}


def _segment(
    scan: Volume, where: Prompt, method: str, margin: str, network: ClickNet | None, *, check: bool
) -> LesionMask:
    check_point(scan, where)
    mask, trust = _mask(scan, where, margin, network if method == "network" else None)
    if check:
        trust["overlap"] = _overlap(mask, scan, where, margin, None if method == "network" else network)
    return LesionMask(
        mask=mask,
        seed=where.point,
        method=method,
        margin=margin,
        warnings=doubts(scan, mask, where, **trust),
        measures=measure(scan, mask),
    )


def _mask(
    scan: Volume, where: Prompt, margin: str, network: ClickNet | None
) -> tuple[Volume, dict[str, float]]:
    """Return the mask by the network, or by GrowCut if there is none, and how sure the network is."""
    trust = {}
    if network is not None:
        reading = read_scales(scan, where, network)
        probability = reading.probability
        trust = {"agreement": reading.agreement, "quality": reading.quality}
    else:
        probability = growcut(scan, where)
    if where.box is not None:
        probability = _within(probability, where.box)
    return lesion_at(probability, scan, where, margin), trust


def _overlap(mask: Volume, scan: Volume, where: Prompt, margin: str, network: ClickNet | None) -> float:
    """Return the Dice of a mask with that of the other method; 0 if the other method finds no lesion."""
    try:
        other, _ = _mask(scan, where, margin, network)
    except ScanError:
        return 0.0
    both = np.count_nonzero(mask.array & other.array)
    return 2 * both / (np.count_nonzero(mask.array) + np.count_nonzero(other.array))


def _within(probability: Volume, box: np.ndarray) -> Volume:
    """Return probabilities with 0 outside a box along LPS; the axes of the volume are along LPS too."""
    array = probability.array.copy()
    low, high = probability.mm_to_voxel(box)[:, ::-1]
    for axis, n in enumerate(array.shape):
        index = np.arange(n)
        np.moveaxis(array, axis, 0)[(index < low[axis]) | (index > high[axis])] = 0
    return replace(probability, array=array)


def _apart(one: LesionMask, others: Sequence[LesionMask]) -> LesionMask:
    """Return a mask, with a warning if it overlaps with another one."""
    numbers = [
        number
        for number, other in enumerate(others, 1)
        if other is not one and (one.mask.array & other.mask.array).any()
    ]
    if not numbers:
        return one
    text = f"the mask overlaps with that of point {', '.join(map(str, numbers))}"
    return replace(one, warnings=(*one.warnings, text))
