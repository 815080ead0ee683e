"""A volume as a notebook shows it: its facts, and one slice."""

from __future__ import annotations

import base64

import numpy as np

from mmfusion.display import html_card, html_facts
from mmfusion.imaging.affine import lps_axes
from mmfusion.imaging.views.montage import montage
from mmfusion.imaging.views.view import png_of
from mmfusion.imaging.volume import Volume


def volume_card(volume: Volume) -> str:
    """Return the facts of a volume and its middle axial slice as HTML.

    Of a mask, the slice with the largest area is shown. Only this slice is drawn, so that large scans are
    shown quickly.

    Examples
    --------
    >>> scan = Volume(np.zeros((4, 8, 8), dtype=np.int16), np.eye(4))
    >>> "4 × 8 × 8" in volume_card(scan)
    True
    """
    facts = {
        "voxels (z, y, x)": " × ".join(map(str, volume.shape)),
        "spacing, mm": " × ".join(f"{s:.4g}" for s in volume.spacing),
        "extent, mm": " × ".join(f"{n * s:.4g}" for n, s in zip(volume.shape, volume.spacing)),
    }
    if volume.unit == "mask":
        facts["volume, mL"] = f"{volume.volume_ml():.4g}"
    else:
        facts[f"values, {volume.unit}"] = f"{volume.array.min():.4g} to {volume.array.max():.4g}"
    if volume.series_uid:
        facts["series"] = volume.series_uid
    picture = base64.b64encode(png_of(montage(_one_slice(volume), n=1), 60)).decode("ascii")
    image = f'<img alt="axial slice" src="data:image/png;base64,{picture}">'
    return html_card(f"{volume.modality} in {volume.unit}", html_facts(facts), image)


def _one_slice(volume: Volume) -> Volume:
    """Return one axial slice as a volume, without a copy of the others."""
    axis = lps_axes(volume.affine, volume.shape)[0][0]
    middle = volume.shape[axis] // 2
    if volume.unit == "mask":
        middle = int(np.count_nonzero(volume.array, axis=tuple({0, 1, 2} - {axis})).argmax())
    box = [slice(0, n) for n in volume.shape]
    box[axis] = slice(middle, middle + 1)
    return volume.crop_box(box)
