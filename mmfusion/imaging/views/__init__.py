"""Show scans: a page of slices, one slice with a slider, or three slices through a point.

All of them are drawn by the same code.
"""

from mmfusion.imaging.views.montage import montage
from mmfusion.imaging.views.slider import SliceSlider, slider
from mmfusion.imaging.views.through import three_planes

__all__ = ["SliceSlider", "montage", "slider", "three_planes"]
