"""Relations of the polygons of one plane: which one lies within which, and which were drawn twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array

_WITHIN = 0.99  # share of a polygon's area that lies in another one if it is within it; the rest is rounding
_TWICE = 0.25  # voxels; mean distance of two outlines, one within the other, that are one outline drawn twice


@dataclass
class Nested:
    """A polygon and its place among the others.

    Attributes
    ----------
    depth : int
        0 if no other polygon contains it, 1 if it is a hole, 2 if it is an island in a hole, and so on.
    holes : list of int
        The polygons that lie within it and are one deeper.

    Examples
    --------
    >>> Nested(depth=1, holes=[2])  # a hole with an island
    Nested(depth=1, holes=[2])
    """

    depth: int = 0
    holes: list[int] = field(default_factory=list)


def nested(common: coo_array, lengths: Sequence[float]) -> dict[int, Nested]:
    """Return the nesting of polygons, the deepest first; without those that were drawn twice.

    Parameters
    ----------
    common : sparse array, shape (n, n)
        Area that each pair of polygons has in common, in voxels; on the diagonal the polygon's own area.
    lengths : sequence of float
        Length of each outline, in voxels.

    Examples
    --------
    >>> areas = coo_array([[100.0, 16.0, 4.0], [16.0, 16.0, 4.0], [4.0, 4.0, 4.0]])  # a hole and an island
    >>> nested(areas, [40.0, 16.0, 8.0])
    {2: Nested(depth=2, holes=[]), 1: Nested(depth=1, holes=[2]), 0: Nested(depth=0, holes=[1])}
    """
    area = common.diagonal()
    around: dict[int, list[int]] = defaultdict(list)
    twice = set()
    for a, b, both in zip(*common.coords, common.data):
        if a != b and (area[a], -a) > (area[b], -b) and both >= _WITHIN * area[b]:
            around[int(b)].append(int(a))
            if area[a] - both <= _TWICE * lengths[b]:
                twice.add(int(b))
    found: dict[int, Nested] = {}
    for k in map(int, np.lexsort((np.arange(len(area)), -area))):
        if k in twice or not area[k]:
            continue
        outer = [a for a in around[k] if a not in twice]
        found[k] = Nested(1 + max((found[a].depth for a in outer), default=-1))
        for a in outer:
            if found[a].depth == found[k].depth - 1:
                found[a].holes.append(k)
    return dict(sorted(found.items(), key=lambda item: -item[1].depth))
