"""The DICOM elements that this package reads from headers."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    PositronEmissionTomographyImageStorage,
)

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
    "InstanceNumber", "ImagesInAcquisition", "NumberOfSlices", "PhotometricInterpretation",
    "AcquisitionNumber", "AcquisitionDateTime", "TemporalPositionIdentifier", "EchoNumbers", "KVP",
    "ConvolutionKernel", "NominalPercentageOfCardiacPhase", "NominalPercentageOfRespiratoryPhase",
    "TriggerTime", "StackID",
)  # fmt: skip
_TRACER = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
    "Radiopharmaceutical",
    "RadionuclideCodeSequence",
    "CodeMeaning",  # in the sequence
)
# of a file with many frames: in the file, and in the groups that describe its frames
_OF_FRAMES = (
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DecayCorrected",
    "AttenuationCorrected", "DecayCorrectionDateTime", "ConcatenationUID", "InConcatenationNumber",
    "InConcatenationTotalNumber", "ConcatenationFrameOffsetNumber",
)  # fmt: skip
_OF_ONE_FRAME = (
    "FrameAcquisitionNumber", "FrameAcquisitionDateTime", "FrameReferenceDateTime", "FrameType",
    "TemporalPositionIndex", "TemporalPositionTimeOffset", "FrameAcquisitionDuration",
    "RealWorldValueSlope", "RealWorldValueIntercept", "RealWorldValueFirstValueMapped",
    "RealWorldValueLastValueMapped", "RealWorldValueLUTData", "DecayCorrectionDateTime",
)  # fmt: skip
_CREATORS = 0x00090010, 0x70530010  # without them pydicom does not know the types of private elements
_PRIVATE = (*_CREATORS, GE_SCAN_TIME, PHILIPS_SUV, PHILIPS_BQML)

Wanted = Mapping[int, tuple[str | int, str | None]]  # tag to name and value representation (None: unknown)
WANTED: Wanted = {
    **{Tag(keyword): (keyword, dictionary_VR(keyword)) for keyword in KEYWORDS},
    **{Tag(tag): (tag, None) for tag in _PRIVATE},
}
FRAMES: Wanted = {Tag(keyword): (keyword, dictionary_VR(keyword)) for keyword in _OF_FRAMES}
WANTED_OF_FRAME: Wanted = {
    **WANTED,
    **{Tag(keyword): (keyword, dictionary_VR(keyword)) for keyword in _OF_ONE_FRAME},
}
WANTED_OF_TRACER: Wanted = {Tag(keyword): (keyword, dictionary_VR(keyword)) for keyword in _TRACER}
# classes of images of slices: to the modality, and whether a file holds many frames
BY_CLASS: Mapping[str, tuple[str, bool]] = {
    str(CTImageStorage): ("CT", False),
    str(PositronEmissionTomographyImageStorage): ("PT", False),
    str(EnhancedCTImageStorage): ("CT", True),
    str(LegacyConvertedEnhancedCTImageStorage): ("CT", True),
    str(EnhancedPETImageStorage): ("PT", True),
    str(LegacyConvertedEnhancedPETImageStorage): ("PT", True),
}
# value representations that are text
TEXTS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "SH", "TM", "UI"))
