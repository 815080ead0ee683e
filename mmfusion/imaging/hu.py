"""Hounsfield units (HU) that several modules use."""

PADDING_HU = -1024  # the lowest value that a scanner measures; used outside the scanner's circle
AIR_HU = -1000.0  # also the value outside the field of view
LUNG_THRESHOLD_HU = -400  # lung and air lie below, tissue above
CT_WINDOW = (-1000.0, 400.0)  # range given to networks and restorers: from air to vessels with contrast agent
