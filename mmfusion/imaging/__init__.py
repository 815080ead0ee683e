"""Scans: read, placed in the patient, sampled where needed."""

from mmfusion.imaging.files import read, read_mask
from mmfusion.imaging.lungs import LungField, lung_field, lung_mask
from mmfusion.imaging.volume import Volume

__all__ = ["LungField", "Volume", "lung_field", "lung_mask", "read", "read_mask"]
