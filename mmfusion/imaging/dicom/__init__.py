"""DICOM series of CT and PET: files, headers, which series, where slices lie, what pixels mean."""
