"""Segmentation networks map patches of scans to masks. Importing this package registers them."""

from mmfusion.nn.segmenters import petct_unet, raemd, raseg, unet
from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset, get_preset

__all__ = ["Segmenter", "SegmenterPreset", "get_preset", "petct_unet", "raemd", "raseg", "unet"]
