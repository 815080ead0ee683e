"""Segmentation networks map patches of scans to masks. Importing this package registers them."""

from mmfusion.nn.segmenters import cipa, slicenet, unet
from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset, get_preset

__all__ = ["Segmenter", "SegmenterPreset", "cipa", "get_preset", "slicenet", "unet"]
