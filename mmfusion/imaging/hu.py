"""Hounsfield units that mean something to every module."""

from mmfusion.modalities import MODALITIES

PADDING_HU = -1024  # and below: outside the scanner's circle; the lowest value that a scanner measures
AIR_HU = MODALITIES["ct"].outside  # also what lies outside the field of view
LUNG_THRESHOLD_HU = -400  # lung and air lie below, tissue above
CT_WINDOW = MODALITIES["ct"].window  # of what networks and restorers are given
