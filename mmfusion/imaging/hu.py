"""Hounsfield units that mean something to every module."""

PADDING_HU = -1024  # and below: outside the scanner's circle; the lowest value that a scanner measures
AIR_HU = -1000.0  # also what lies outside the field of view
LUNG_THRESHOLD_HU = -400  # lung and air lie below, tissue above
CT_WINDOW = (-1000.0, 400.0)  # of what networks and restorers are given: from air to contrast-filled vessels
