"""GrowCut: a lesion and its surroundings grow from seeds, and compete for the voxels between them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation

from mmfusion.imaging import Volume
from mmfusion.lesions.click.cube import thick_enough
from mmfusion.lesions.click.prompt import Prompt

SPACING_MM = 2.0  # voxels on which the regions grow
LOW_HU, HIGH_HU = -700, 150  # attenuation is clipped to this range
SPAN_HU = 700  # a step of this many HU stops all growth
AIR_HU = -550  # darker voxels are not in a lesion, unless the point is in ground glass
SEED_MM = 4.0  # radius of the ball around the point that is in the lesion
STEPS = 60
_GLASS_HU = 130  # how much darker than its middle a ground-glass lesion can be
_JUST_INSIDE = 0.51


def growcut(scan: Volume, prompt: Prompt) -> Volume:
    """Return the lesion at a point as probabilities 0 and 1, on cubic voxels of 2 mm.

    Each voxel has an owner (lesion or surroundings) and a strength. In every step it is taken over by a
    neighbour whose strength, times one minus the relative difference of their HU, is greater than its own.
    At the start the lesion owns a ball around the point, and the surroundings own air and everything out of
    reach.

    Parameters
    ----------
    scan : Volume
        CT in HU.
    prompt : Prompt
        Where the lesion is.

    Returns
    -------
    Volume
        Unit "probability"; axes along LPS.

    References
    ----------
    Vezhnevets and Konouchine 2005, GrowCut: interactive multi-label N-D image segmentation by cellular
    automata, Graphicon 1, 150-156.

    Examples
    --------
    >>> hu = np.full((40, 40, 40), -850, np.int16)
    >>> hu[14:26, 14:26, 14:26] = 40
    >>> found = growcut(Volume(hu, np.eye(4)), Prompt(np.array([19.0, 20, 20]), 30.0))
    >>> bool(abs(found.array.sum() * 8 - 12**3) < 200)  # mm3
    True
    """
    size = 2 * (prompt.reach_mm + 2 * SPACING_MM)
    cube = thick_enough(scan, SPACING_MM).crop(prompt.point, size, SPACING_MM)
    hu = np.clip(cube.array, LOW_HU, HIGH_HU).astype(np.float32)
    points = np.stack(np.meshgrid(*(np.arange(n) for n in cube.shape[::-1]), indexing="ij"), axis=-1)
    where = cube.voxel_to_mm(points.transpose(2, 1, 0, 3))
    lesion = _certain(where, prompt)
    middle = float(np.median(cube.array[lesion]))
    outside = _far(where, prompt) | ((cube.array < min(AIR_HU, middle - _GLASS_HU)) & ~lesion)
    owned = _compete(hu, lesion, outside)
    return Volume(_softened(owned, cube.array), cube.affine, unit="probability")


def _certain(where: np.ndarray, prompt: Prompt) -> np.ndarray:
    """Return the voxels that are in the lesion at the start: a ball, or the middle part of a line."""
    radius = min(SEED_MM, 0.25 * (prompt.extent_mm or np.inf))
    ends = prompt.point + 0.6 * (
        (prompt.line - prompt.point) if prompt.line is not None else np.zeros((2, 3))
    )
    along = ends[1] - ends[0]
    share = np.clip((where - ends[0]) @ along / max(float(along @ along), 1e-9), 0, 1)
    distance = np.linalg.norm(where - ends[0] - share[..., None] * along, axis=-1)
    return distance <= max(radius, float(distance.min()))


def _far(where: np.ndarray, prompt: Prompt) -> np.ndarray:
    """Return the voxels that are out of reach."""
    if prompt.box is not None:
        return ((where < prompt.box[0]) | (where > prompt.box[1])).any(axis=-1)
    return np.linalg.norm(where - prompt.point, axis=-1) > prompt.reach_mm


def _softened(owned: np.ndarray, hu: np.ndarray) -> np.ndarray:
    """Return shares of voxels: at the border to lung, the share follows from the HU (partial volume).

    The border then runs where the HU are half way between lesion and lung, and not along whole voxels.
    """
    middle = float(np.median(hu[owned]))  # of the whole lesion: its centre may be calcified
    near = binary_dilation(owned, np.ones((3, 3, 3))) & ~owned
    lung = hu[near & (hu < AIR_HU)]
    if not lung.size or np.median(lung) > middle - _GLASS_HU:
        return owned.astype(np.float32)
    dark = float(np.median(lung))
    share = np.clip((hu - dark) / (middle - dark), 0, 1).astype(np.float32)
    inside = np.where(owned, np.maximum(share, _JUST_INSIDE), 0)
    return np.where(near & (share < 0.5), share, inside).astype(np.float32)


def _compete(hu: np.ndarray, lesion: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Let two regions grow until no voxel changes its owner; return the voxels of the lesion."""
    mine, strength = lesion.copy(), (lesion | outside).astype(np.float32)
    pairs = []
    for axis in range(3):
        ahead = tuple(slice(1, None) if k == axis else slice(None) for k in range(3))
        behind = tuple(slice(None, -1) if k == axis else slice(None) for k in range(3))
        conduct = 1 - np.minimum(np.abs(np.diff(hu, axis=axis)) / SPAN_HU, 1)
        pairs += [(ahead, behind, conduct), (behind, ahead, conduct)]
    for _ in range(STEPS):
        changed = False
        for to, of, conduct in pairs:
            attack = strength[of] * conduct
            wins = attack > strength[to]
            if wins.any():
                changed = True
                strength[to][wins] = attack[wins]
                mine[to][wins] = mine[of][wins]
        if not changed:
            break
    return mine
