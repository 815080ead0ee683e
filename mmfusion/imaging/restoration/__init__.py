"""Restoration of CT: reduce noise or blur, and keep HU and the grid."""

from mmfusion.imaging.restoration.base import Restorer, difference, make_restorer, noise_hu, restore
from mmfusion.imaging.restoration.cellpose import CellposeRestorer
from mmfusion.imaging.restoration.classical import Bilateral, Identity, NonLocalMeans, Wavelet

__all__ = [
    "Bilateral",
    "CellposeRestorer",
    "Identity",
    "NonLocalMeans",
    "Restorer",
    "Wavelet",
    "difference",
    "make_restorer",
    "noise_hu",
    "restore",
]
