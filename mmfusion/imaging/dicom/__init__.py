"""Read series of CT and PET from DICOM folders and ZIPs; write a CT as DICOM."""
