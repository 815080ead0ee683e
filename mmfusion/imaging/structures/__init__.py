"""Regions drawn on scans: read and write DICOM-SEG and RTSTRUCT, read AIM and LIDC-IDRI."""

from mmfusion.imaging.structures.aim import read_aim_points
from mmfusion.imaging.structures.lidc import read_lidc
from mmfusion.imaging.structures.lidc_masks import lidc_nodules
from mmfusion.imaging.structures.listing import list_rois
from mmfusion.imaging.structures.rtstruct_writer import write_rtstruct
from mmfusion.imaging.structures.seg_writer import write_seg
from mmfusion.imaging.structures.sr_writer import write_measurements

__all__ = [
    "lidc_nodules",
    "list_rois",
    "read_aim_points",
    "read_lidc",
    "write_measurements",
    "write_rtstruct",
    "write_seg",
]
