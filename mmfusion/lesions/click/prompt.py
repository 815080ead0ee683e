"""Prompts, with which a user points at a lesion: a point in it, a box around it, or a line across it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume

Point = Sequence[float]
REACH_MM = 70.0  # a lesion is searched up to this distance from a point in it
_LEAST_MM = 2.0  # shortest line, and shortest side of a box
_BEYOND = 1.3  # a lesion is searched up to this many times the length of a line, around its middle


@dataclass(frozen=True, eq=False)
class Prompt:
    """Position of one lesion in a scan.

    Attributes
    ----------
    point : ndarray, shape (3,)
        A point in the lesion (x, y, z), LPS mm.
    reach_mm : float
        Largest distance from the point to any part of the lesion, mm.
    box : ndarray of shape (2, 3), optional
        Lower and upper corner (x, y, z) of a box that contains the lesion, LPS mm.
    line : ndarray of shape (2, 3), optional
        Ends (x, y, z) of the longest diameter, LPS mm.

    Examples
    --------
    >>> Prompt(np.zeros(3)).reach_mm
    70.0
    """

    point: np.ndarray
    reach_mm: float = REACH_MM
    box: np.ndarray | None = None
    line: np.ndarray | None = None

    @property
    def kind(self) -> str:
        """One of "point", "box" and "line"."""
        return "box" if self.box is not None else "line" if self.line is not None else "point"

    @property
    def extent_mm(self) -> float | None:
        """Length of the line, or longest side of the box, mm; None for a point."""
        if self.box is not None:
            return float(np.ptp(self.box, axis=0).max())
        return None if self.line is None else float(np.linalg.norm(self.line[1] - self.line[0]))


def prompt(
    scan: Volume,
    seed: Point | None = None,
    box: Sequence[Point] | None = None,
    line: Sequence[Point] | None = None,
) -> Prompt:
    """Return the prompt that a user gives for one lesion, after checking that it lies in the scan.

    Parameters
    ----------
    scan : Volume
        The scan.
    seed : (x, y, z), optional
        A point in the lesion, LPS mm. It may be given with a box.
    box : two points, optional
        Two opposite corners of a box that contains the lesion, LPS mm.
    line : two points, optional
        Ends of the longest diameter of the lesion (RECIST), LPS mm.

    Raises
    ------
    ScanError
        If nothing is given, or a line together with something else; if a point lies outside the scan; if a
        line or a side of the box is shorter than 2 mm; if the seed is not in the box.

    Examples
    --------
    >>> scan = Volume(np.zeros((40, 40, 40), np.int16), np.eye(4))
    >>> found = prompt(scan, line=[(10, 20, 20), (30, 20, 20)])
    >>> found.kind, found.point.tolist(), found.extent_mm, found.reach_mm
    ('line', [20.0, 20.0, 20.0], 20.0, 26.0)
    """
    if line is not None:
        if seed is not None or box is not None:
            raise ScanError("a line does not go with a seed or a box", hint="give one of them")
        ends = _pair(scan, line, "line")
        length = float(np.linalg.norm(ends[1] - ends[0]))
        if length < _LEAST_MM:
            raise ScanError("the line is too short", parameter="line", expected=f"at least {_LEAST_MM:g} mm",
                            got=f"{length:.1f} mm")  # fmt: skip
        return Prompt(scan.expect_inside(ends.mean(axis=0)), _BEYOND * length, line=ends)
    if box is not None:
        return _boxed(scan, seed, box)
    if seed is None:
        raise ScanError("no lesion is pointed at", expected="seed, box or line, in LPS mm")
    return Prompt(scan.expect_inside(seed))


def _boxed(scan: Volume, seed: Point | None, box: Sequence[Point]) -> Prompt:
    ends = np.sort(_pair(scan, box, "box"), axis=0)
    if np.ptp(ends, axis=0).min() < _LEAST_MM:
        got = " x ".join(f"{side:.1f}" for side in np.ptp(ends, axis=0)) + " mm"
        raise ScanError("the box is too thin", parameter="box", expected=f"sides of {_LEAST_MM:g} mm or more",
                        got=got)  # fmt: skip
    point = scan.expect_inside(ends.mean(axis=0) if seed is None else seed)
    if ((point < ends[0]) | (point > ends[1])).any():
        raise ScanError("the seed is not in the box", parameter="seed", got=np.round(point, 1).tolist())
    return Prompt(point, float(np.abs(ends - point).max()), box=ends)


def _pair(scan: Volume, points: Sequence[Point], name: str) -> np.ndarray:
    """Return two points in the scan, shape (2, 3)."""
    if isinstance(points, str) or not hasattr(points, "__len__") or len(points) != 2:
        raise ScanError(f"not a {name}", parameter=name, expected="two points (x, y, z), LPS mm", got=points)
    return np.stack([scan.expect_inside(point) for point in points])
