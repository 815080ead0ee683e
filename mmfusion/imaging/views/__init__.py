"""Scans to look at: still (montage) and moving (slider), drawn by the same hand."""

from mmfusion.imaging.views.montage import montage
from mmfusion.imaging.views.slider import SliceSlider, slider

__all__ = ["SliceSlider", "montage", "slider"]
