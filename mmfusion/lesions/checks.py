"""Checks of the parameters of a LesionSegmenter, which also bring each of them into one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from numbers import Integral, Real
from os import PathLike
from typing import TYPE_CHECKING

from mmfusion.errors import DataError, check_seed
from mmfusion.lesions.objective import Objective
from mmfusion.modalities import scan_modality
from mmfusion.nn.params import unusable
from mmfusion.nn.segmenters import SegmenterPreset
from mmfusion.preprocessing.augmentation import CropAugmentation
from mmfusion.registry import SEGMENTERS

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

BOX_MODES = ("none", "oracle", "jittered", "detector")


def modalities_of(model: LesionSegmenter) -> tuple[str, ...]:
    """Return the modalities that a segmenter reads; default those of its network.

    Raises
    ------
    DataError
        If the parameter cannot be used.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> modalities_of(LesionSegmenter("unet", modalities="pet"))
    ('pet',)
    """
    if model.modalities is None:
        listed = SEGMENTERS.frame().loc[model.network, "modality"]
        return tuple(name.strip() for name in listed.split(","))
    try:
        given = (model.modalities,) if isinstance(model.modalities, str) else tuple(model.modalities)
        different = len(set(given)) == len(given) > 0
    except TypeError:  # a number, or lists in a list
        given, different = model.modalities, False
    if not different:
        raise unusable("modalities", "one or more different modalities of scans", given)
    return tuple(scan_modality(name).name for name in given)


def size_of(size: object, preset: SegmenterPreset, options: Mapping[str, object]) -> tuple[int, ...]:
    """Return the sides of a patch, voxels; default those of the preset.

    Parameters
    ----------
    size : int, sequence of int, or None
        Value of the parameter `size`. One number is used for all sides.
    preset : SegmenterPreset
        Preset of the network.
    options : mapping
        Options of the network. With `spatial_dims=2`, a patch has two sides.

    Raises
    ------
    DataError
        If the parameter cannot be used.

    Examples
    --------
    >>> from mmfusion.nn.segmenters import get_preset
    >>> size_of(16, get_preset("unet", "demo"), {})
    (16, 16, 16)
    """
    if size is None:
        # the sides of a preset for volumes serve a network of slices too
        return tuple(preset.size[-2:] if options.get("spatial_dims") == 2 else preset.size)
    try:
        sides = tuple(size)
    except TypeError:
        sides = (size,) * len(size_of(None, preset, options))
    if len(sides) not in (2, 3) or not all(is_whole(n, 1) for n in sides):
        raise unusable("size", "a whole number of voxels, or two or three", size)
    return tuple(int(n) for n in sides)


def spacing_of(spacing: float | Sequence[float]) -> tuple[float, float, float]:
    """Return the voxel size (z, y, x), mm.

    Raises
    ------
    DataError
        If the parameter cannot be used.

    Examples
    --------
    >>> spacing_of(2)
    (2.0, 2.0, 2.0)
    """
    try:
        values = tuple(spacing)
    except TypeError:
        values = (spacing,) * 3
    if len(values) != 3 or not all(_number(mm) and 0 < mm < 100 for mm in values):
        raise unusable("spacing", "mm above 0, one number or (z, y, x)", spacing)
    return tuple(float(mm) for mm in values)


def augmentation_of(given: object) -> CropAugmentation | None:
    """Return the augmentation for a value of the parameter: the default for None, no augmentation for False.

    Raises
    ------
    DataError
        If the parameter cannot be used.

    Examples
    --------
    >>> augmentation_of({"flip": "z"}).flip
    'z'
    """
    if given is None or isinstance(given, CropAugmentation):
        return given or CropAugmentation()
    if given is False:
        return None
    known = {f.name for f in fields(CropAugmentation)}
    if isinstance(given, Mapping) and set(given) <= known:
        return CropAugmentation(**{**asdict(CropAugmentation()), **given})
    expected = f"a CropAugmentation, a mapping of some of {', '.join(sorted(known))}, False, or None"
    raise unusable("augment", expected, given)


def check_settings(model: LesionSegmenter) -> None:
    """Raise a `DataError` if a parameter is out of range, or the network does not read boxes.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> check_settings(LesionSegmenter(threshold=0.4))
    """
    if not isinstance(model.box_mode, str) or model.box_mode not in BOX_MODES:
        raise unusable("box_mode", ", ".join(BOX_MODES), model.box_mode)
    if model.box_mode != "none" and not SEGMENTERS.get(model.network).uses_cue:
        raise DataError(
            f"{model.network} does not read boxes",
            parameter="box_mode",
            expected="none",
            got=model.box_mode,
            hint="choose a network that reads a cue, such as raseg",
        )
    if not isinstance(model.options, Mapping | None):
        raise unusable("options", "a mapping of options of the network", type(model.options).__name__)
    inner = isinstance(model.threshold, str) and model.threshold == "inner"
    if not inner and not (_number(model.threshold) and 0 < model.threshold < 1):
        raise unusable("threshold", "'inner', or a number between 0 and 1", model.threshold)
    if not isinstance(model.start, str | PathLike | None):
        raise unusable("start", "the folder of a saved segmenter, or None", model.start)
    Objective.of(model)
    check_seed(model.random_state)


def is_whole(value: object, low: int) -> bool:
    """Return True if a value is a whole number of at least `low`.

    Examples
    --------
    >>> is_whole(3, 1), is_whole(2.5, 1), is_whole(True, 0)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= low


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
