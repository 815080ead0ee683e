"""Reasons not to trust the mask of a lesion, as warnings in words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.spatial import ConvexHull, QhullError

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume
from mmfusion.lesions.click.prompt import Prompt

AIR_HU, BONE_HU = -780.0, 220.0  # a point whose surroundings are darker or brighter is not in a lesion
GAS_HU = -950.0  # no tissue is this dark
AGREE = 0.6  # least agreement of the scales
SURE = 0.5  # least Dice that the network predicts for itself
SAME = 0.6  # least Dice of two methods; on drawn lesions below it, GrowCut is mostly wrong
LUNG_HU, IN_LUNG = -500.0, 0.05  # HU of lung, and its least share of the voxels around a lung lesion
AERATED_HU = -700.0  # even ground glass is denser
COMPACT = 0.45  # least share of its convex hull that a lesion fills
FILL = 0.25  # least volume of a mask, as a share of the ellipsoid in the box of the user
AT_LIMIT = 0.03  # share of the mask at the limit of the search, from which the mask may be cut off
_BALL_MM = 2.5  # radius of the surroundings of the point


def doubts(
    scan: Volume,
    mask: Volume,
    prompt: Prompt,
    *,
    agreement: float | None = None,
    quality: float | None = None,
    overlap: float | None = None,
) -> tuple[str, ...]:
    """Return the reasons not to trust a mask.

    Parameters
    ----------
    scan : Volume
        CT in HU.
    mask : Volume
        The mask of one lesion, on the grid of the scan.
    prompt : Prompt
        The point, box or line of the user.
    agreement, quality : float, optional
        As in `mmfusion.lesions.click.scales.Reading`; None for methods without them.
    overlap : float, optional
        Dice with the mask of another method, 0 to 1; None if there is none.

    Returns
    -------
    tuple of str
        One sentence per reason; empty if there is none.

    Examples
    --------
    >>> hu = np.full((20, 40, 40), -850, np.int16)
    >>> hu[8:12, 15:25, 15:25] = 30
    >>> scan, mask = Volume(hu, np.eye(4)), Volume((hu > 0).astype(np.uint8), np.eye(4), unit="mask")
    >>> doubts(scan, mask, Prompt(np.array([20.0, 20, 10])))
    ()
    >>> doubts(scan, mask, Prompt(np.array([5.0, 5, 10])))[0]
    'the point is in air or healthy lung (-850 HU)'
    """
    found = [
        *_point(scan, mask, prompt),
        *_borders(scan, mask),
        *_tissue(scan, mask),
        *_form(mask, prompt),
        *_extent(mask, prompt),
    ]
    if agreement is not None and agreement < AGREE:
        found.append(f"the scales of the network disagree (mean Dice {agreement:.2f} with their mean)")
    if quality is not None and quality < SURE:
        found.append(f"the network is not sure (it expects a Dice of {quality:.2f})")
    if overlap is not None and overlap < SAME:
        found.append(f"a second method does not find the same lesion (Dice {overlap:.2f} with its mask)")
    return tuple(found)


def check_point(scan: Volume, prompt: Prompt) -> None:
    """Raise a `ScanError` if a point lies in air outside tissue: beside the patient, or in an airway.

    Examples
    --------
    >>> air = Volume(np.full((9, 9, 9), -1000, np.int16), np.eye(4))
    >>> check_point(air, Prompt(np.full(3, 4.0)))
    Traceback (most recent call last):
    mmfusion.errors.ScanError: no lesion at this point (expected tissue; got air, -1000 HU) -> ...
    """
    around = _hu_around(scan, prompt)
    if around < GAS_HU:
        hint = (
            "give a point inside the lesion, in LPS mm; a point in a cavity is better given as a box or line"
        )
        raise ScanError("no lesion at this point", expected="tissue", got=f"air, {around:.0f} HU", hint=hint)


def _hu_around(scan: Volume, prompt: Prompt) -> float:
    return float(np.median(scan.around(prompt.point, 2 * _BALL_MM).array))


def _point(scan: Volume, mask: Volume, prompt: Prompt) -> Iterator[str]:
    around = _hu_around(scan, prompt)
    if around < AIR_HU:
        yield f"the point is in air or healthy lung ({around:.0f} HU)"
    elif around > BONE_HU:
        yield f"the point is in bone, calcium or strong contrast ({around:.0f} HU)"
    voxel = np.rint(scan.mm_to_voxel(prompt.point)[::-1]).astype(int)
    if not mask.array[tuple(voxel)]:
        yield "the point is not in the mask, which is that of the nearest lesion"


def _borders(scan: Volume, mask: Volume) -> Iterator[str]:
    box = mask.bounding_box()
    names = ("slice", "row", "column")
    for name, cut, n in zip(names, box, scan.shape):
        if n > 1 and (cut.start == 0 or cut.stop == n):
            yield f"the lesion reaches the first or last {name} of the scan, and may be cut off"
    if box[0].stop - box[0].start == 1:
        yield "the lesion is seen in one slice only"


def _tissue(scan: Volume, mask: Volume) -> Iterator[str]:
    box = tuple(slice(max(cut.start - 1, 0), cut.stop + 1) for cut in mask.bounding_box())
    inside, hu = mask.array[box] != 0, scan.array[box]
    around = hu[binary_dilation(inside, np.ones((3, 3, 3))) & ~inside]
    if around.size and (around < LUNG_HU).mean() < IN_LUNG:
        yield "hardly any lung is around it: it may be chest wall, mediastinum, a vessel or a lymph node"
    if (mean := float(hu[inside].mean())) < AERATED_HU:
        yield f"the mask is mostly aerated lung (mean {mean:.0f} HU)"


def _form(mask: Volume, prompt: Prompt) -> Iterator[str]:
    part = mask.crop_box(mask.bounding_box())
    edge = np.argwhere(part.array & ~_inside(part.array))
    points = part.voxel_to_mm(edge[:, ::-1])
    far = np.linalg.norm(points - prompt.point, axis=1) > prompt.reach_mm - 2 * max(min(mask.spacing), 1.0)
    if prompt.box is None and far.mean() > AT_LIMIT:
        yield (
            f"the mask reaches the limit of the search, {prompt.reach_mm:.0f} mm from the point: the lesion "
            "is larger, or the disease is diffuse, or the mask runs into other tissue"
        )
    try:
        hull = ConvexHull(points).volume
    except QhullError:  # all voxels lie in one plane
        return
    volume = 1000 * mask.volume_ml()
    if len(edge) > 50 and volume < COMPACT * hull:
        yield f"the form is ragged: the mask fills {volume / hull:.0%} of its convex hull"


def _extent(mask: Volume, prompt: Prompt) -> Iterator[str]:
    if prompt.box is None:
        return
    ellipsoid = np.pi / 6 * float(np.prod(prompt.box[1] - prompt.box[0])) / 1000
    if (share := mask.volume_ml() / ellipsoid) < FILL:
        yield f"the mask is small for its box: {share:.0%} of an ellipsoid that fills the box"


def _inside(mask: np.ndarray) -> np.ndarray:
    """Return the voxels of a mask that do not touch its background."""
    return ~binary_dilation(~np.pad(mask != 0, 1))[1:-1, 1:-1, 1:-1]
