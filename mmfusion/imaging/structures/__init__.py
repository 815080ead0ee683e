"""Regions drawn on scans: read and write DICOM-SEG and RTSTRUCT, read AIM."""

from mmfusion.imaging.structures.aim import read_aim_points
from mmfusion.imaging.structures.listing import list_rois
from mmfusion.imaging.structures.rtstruct_writer import write_rtstruct
from mmfusion.imaging.structures.seg_writer import write_seg

__all__ = ["list_rois", "read_aim_points", "write_rtstruct", "write_seg"]
