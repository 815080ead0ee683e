"""Prepare masks for the two writers: check names, and resample to the slices of the series."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
from pydicom.dataset import Dataset

from mmfusion.errors import ScanError
from mmfusion.imaging.structures.rois import check_same_patient_space
from mmfusion.imaging.structures.source import SourceSeries
from mmfusion.imaging.volume import Volume

Masks = Volume | Mapping[str, Volume]
_SOUND = re.compile(r"[^\\\x00-\x1f\x7f]+")  # DICOM separates values by a backslash


def named(masks: Masks, name: str) -> dict[str, Volume]:
    """Return name -> mask for one mask or several.

    Parameters
    ----------
    masks : Volume, or mapping of name to Volume
        Masks to write.
    name : str
        Name of the mask if `masks` is one Volume.

    Raises
    ------
    ScanError
        If there is no mask, one is not a mask, or a name does not have 1 to 64 characters, or has a character
        that DICOM does not allow.

    Examples
    --------
    >>> mask = Volume(np.ones((2, 2, 2), dtype=np.uint8), np.eye(4), unit="mask")
    >>> list(named(mask, "Tumour"))
    ['Tumour']
    """
    found = {name: masks} if isinstance(masks, Volume) else dict(masks)
    for label, mask in found.items():
        if not isinstance(mask, Volume):
            got = type(mask).__name__
            raise ScanError("not a mask", column=label, expected="a Volume of unit mask", got=got)
        mask.expect("mask", label)
        check_name(label, "region name")
    if not found:
        raise ScanError("no mask to write", expected="at least one")
    return found


def check_name(name: object, what: str) -> None:
    """Raise a `ScanError` unless DICOM can hold a name (value representation LO).

    Examples
    --------
    >>> check_name("Tumour", "region name")
    """
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not _SOUND.fullmatch(name):
        expected = "1 to 64 characters, no backslash and no line break"
        raise ScanError(f"not a valid {what}", expected=expected, got=repr(name)[:80])


def state_letters(ds: Dataset, names: Iterable[str]) -> None:
    """State UTF-8 in a data set whose names have letters that the scan's character set may lack.

    Examples
    --------
    >>> ds = Dataset()
    >>> state_letters(ds, ["Tümör"])
    >>> ds.SpecificCharacterSet
    'ISO_IR 192'
    """
    if not "".join(names).isascii():
        ds.SpecificCharacterSet = "ISO_IR 192"


def on_slices(mask: Volume, name: str, series: SourceSeries) -> np.ndarray:
    """Return a mask on the slices of a series, uint8, shape (z, y, x), in the order of the headers.

    Parameters
    ----------
    mask : Volume
        The mask, on any grid.
    name : str
        Name of the mask for messages.
    series : SourceSeries
        The series that the mask is written for.

    Raises
    ------
    ScanError
        If the mask was drawn on another scan, or has no voxel on these slices.
    """
    first = series.headers[0]
    check_same_patient_space(mask, series.path, frame_of_reference=first.get("FrameOfReferenceUID"))
    array = mask.on_grid(series.affine, series.shape).array
    if not array.any():
        got = f"{mask.volume_ml():.2f} mL outside of them" if mask.array.any() else "an empty mask"
        raise ScanError(
            "nothing to write", file=series.path, column=name, expected="a voxel on its slices", got=got
        )
    return array
