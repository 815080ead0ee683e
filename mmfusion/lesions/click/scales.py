"""Segment a lesion with the network at several scales, and combine them by the Dice that it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmfusion.compute import one_thread
from mmfusion.imaging import Volume
from mmfusion.lesions.click.cube import continued, thick_enough
from mmfusion.lesions.click.network import SIZE, ClickNet, inputs
from mmfusion.lesions.click.prompt import Prompt

SCALES_MM = (0.8, 1.1, 1.5, 2.0, 2.8, 3.9)  # voxel sizes; the cubes are 38 to 187 mm wide
FLIPS = ((), (3,), (2,), (2, 3))  # axes along which the cubes are mirrored; the results are averaged
SHARPNESS = 0.04  # a scale whose predicted Dice is this much lower has a weight of 1/e
_FILL = 0.5  # share of a cube that the lesion fills, if its size is given by a line or a box
_FEWEST = 2  # scales that are read then


@dataclass(frozen=True, eq=False)
class Reading:
    """The lesion at a point, by the network.

    Attributes
    ----------
    probability : Volume
        Unit "probability", on the cube of the best scale.
    agreement : float
        Mean Dice of the masks of single scales with the combined mask, by weight; 0 to 1.
    quality : float
        Dice that the network predicts for the best scale; 0 to 1.

    Examples
    --------
    >>> share = Volume(np.zeros((8, 8, 8), np.float32), np.eye(4), unit="probability")
    >>> Reading(share, agreement=0.9, quality=0.8).quality
    0.8
    """

    probability: Volume
    agreement: float
    quality: float


def read_scales(scan: Volume, prompt: Prompt, network: ClickNet) -> Reading:
    """Segment the lesion at a point in cubes of several sizes, and combine the results.

    Parameters
    ----------
    scan : Volume
        CT in HU.
    prompt : Prompt
        Where the lesion is. If a line or a box tells its size, only the two scales that suit it are read.
    network : ClickNet
        Trained network.

    Returns
    -------
    Reading
        The combined probability.
    """
    scales = _scales(prompt)
    cubes = [thick_enough(scan, step).crop(prompt.point, SIZE * step, step, fill=np.nan) for step in scales]
    # the network was trained on cubes in a body, and takes air around a small scan for a lesion
    shares, quality = _predict(network, np.stack([continued(cube.array) for cube in cubes]), scales)
    quality = np.clip(quality - [_at_faces(share) for share in shares], 0, 1)
    weights = np.exp((quality - quality.max()) / SHARPNESS)
    best = cubes[int(quality.argmax())]
    single = [
        Volume(share, cube.affine, unit="probability").like(best, fill=-1.0).array
        for share, cube in zip(shares, cubes)
    ]
    known = np.stack([share >= 0 for share in single]) * weights[:, None, None, None]
    combined = (np.stack(single) * known).sum(axis=0) / known.sum(axis=0)
    agreement = np.average([_dice(share, combined) for share in single], weights=weights)
    probability = Volume(combined.astype(np.float32), best.affine, unit="probability")
    return Reading(probability, float(agreement), float(quality.max()))


def _scales(prompt: Prompt) -> Sequence[float]:
    if prompt.extent_mm is None:
        return SCALES_MM
    wanted = prompt.extent_mm / _FILL / SIZE
    return sorted(SCALES_MM, key=lambda step: abs(np.log(step / wanted)))[:_FEWEST]


def _predict(
    network: ClickNet, hu: np.ndarray, scales: Sequence[float]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the probabilities of each cube, and the Dice that is predicted for each."""
    x = inputs(torch.from_numpy(np.ascontiguousarray(hu, np.float32)), torch.tensor(scales))
    total, quality = torch.zeros(len(x), *hu.shape[1:]), torch.zeros(len(x))
    with one_thread(), torch.inference_mode():
        for axes in FLIPS:
            flipped = [axis + 1 for axis in axes]
            out = network(x.flip(flipped) if axes else x)
            share = out["mask"].sigmoid()
            total += (share.flip(flipped) if axes else share)[:, 0]
            quality += out["quality"].sigmoid()
    return list((total / len(FLIPS)).numpy()), (quality / len(FLIPS)).numpy()


def _at_faces(share: np.ndarray) -> float:
    """Return the share of the six faces of a cube that the mask covers: there it leaks, or does not fit."""
    mask = share > 0.5
    return float(np.mean([mask.take(end, axis).mean() for axis in range(3) for end in (0, -1)]))


def _dice(share: np.ndarray, combined: np.ndarray) -> float:
    one, two = (share > 0.5) & (share >= 0), combined > 0.5
    total = np.count_nonzero(one) + np.count_nonzero(two)
    return 2 * np.count_nonzero(one & two) / total if total else 1.0
