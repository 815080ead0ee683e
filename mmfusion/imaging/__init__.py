"""Scans and masks: read, write, resample, crop, restore and show them, and find the lungs."""

from typing import TYPE_CHECKING

from mmfusion.imaging.diameters import Diameters, axial_diameters
from mmfusion.imaging.dicom.reader import list_series
from mmfusion.imaging.files import read, read_crop
from mmfusion.imaging.formats.nifti import write_nifti
from mmfusion.imaging.lungs import LungField, lung_field, lung_mask
from mmfusion.imaging.masks import read_mask
from mmfusion.imaging.restoration import restore
from mmfusion.imaging.signature import scan_fingerprint
from mmfusion.imaging.structures import (
    lidc_nodules,
    list_rois,
    read_aim_points,
    read_lidc,
    write_measurements,
    write_rtstruct,
    write_seg,
)
from mmfusion.imaging.union import union_of_masks
from mmfusion.imaging.volume import Volume
from mmfusion.lazy import lazy

__all__ = [
    "Diameters",
    "LungField",
    "Volume",
    "axial_diameters",
    "lidc_nodules",
    "list_rois",
    "list_series",
    "lung_field",
    "lung_mask",
    "montage",
    "read",
    "read_aim_points",
    "read_crop",
    "read_lidc",
    "read_mask",
    "restore",
    "scan_fingerprint",
    "slider",
    "three_planes",
    "union_of_masks",
    "write_measurements",
    "write_nifti",
    "write_rtstruct",
    "write_seg",
]

# matplotlib is loaded only when a figure is drawn
__getattr__, __dir__ = lazy(__name__, {name: "views" for name in ("montage", "slider", "three_planes")})

if TYPE_CHECKING:
    from mmfusion.imaging.views import montage, slider, three_planes
