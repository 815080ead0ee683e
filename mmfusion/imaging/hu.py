"""Hounsfield units (HU) that several modules use."""

from mmfusion.modalities import MODALITIES

PADDING_HU = -1024  # the lowest value that a scanner measures; used outside the scanner's circle
AIR_HU = MODALITIES["ct"].outside  # also the value outside the field of view
LUNG_THRESHOLD_HU = -400  # lung and air lie below, tissue above
CT_WINDOW = MODALITIES["ct"].window  # range given to networks and restorers
