"""The DICOM elements that this package reads from headers."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

GE_SCAN_TIME, PHILIPS_SUV, PHILIPS_BQML = 0x0009100D, 0x70531000, 0x70531009
KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "Modality", "SeriesInstanceUID", "SeriesDescription", "SeriesNumber",
    "ImageType", "FrameOfReferenceUID", "PatientID",
    "Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness",
    "SpacingBetweenSlices", "GantryDetectorTilt",
    "SamplesPerPixel", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "Units", "SUVType", "SeriesType", "CorrectedImage", "AttenuationCorrectionMethod", "DecayCorrection",
    "PatientWeight", "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime", "FrameReferenceTime",
    "ActualFrameDuration", "RadiopharmaceuticalInformationSequence",
)  # fmt: skip
_TRACER = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
)
_CREATORS = 0x00090010, 0x70530010  # without them pydicom does not know the types of private elements
_PRIVATE = (*_CREATORS, GE_SCAN_TIME, PHILIPS_SUV, PHILIPS_BQML)

Wanted = Mapping[int, tuple[str | int, str | None]]  # tag to name and value representation (None: unknown)
WANTED: Wanted = {
    **{Tag(keyword): (keyword, dictionary_VR(keyword)) for keyword in KEYWORDS},
    **{Tag(tag): (tag, None) for tag in _PRIVATE},
}
WANTED_OF_TRACER: Wanted = {Tag(keyword): (keyword, dictionary_VR(keyword)) for keyword in _TRACER}
# value representations that are text
TEXTS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "SH", "TM", "UI"))
