"""Scan files other than DICOM: NIfTI, NRRD and MetaImage, read with bounded memory and to the last byte."""
