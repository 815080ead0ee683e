"""Show scans: a page of slices (montage) or one slice with a slider, drawn by the same code."""

from mmfusion.imaging.views.montage import montage
from mmfusion.imaging.views.slider import SliceSlider, slider

__all__ = ["SliceSlider", "montage", "slider"]
