"""Enhanced multi-frame CT and PET made from the files of single slices, with pydicom or highdicom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, EnhancedPETImageStorage, generate_uid

PER_FRAME = ("ImagePositionPatient", "RescaleSlope", "RescaleIntercept", "AcquisitionNumber")


def slices_of(folder: Path) -> list[Dataset]:
    """The files of a folder in the order of their positions."""
    found = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    normal = np.cross(*np.reshape(found[0].ImageOrientationPatient, (2, 3)).astype(float))
    return sorted(found, key=lambda ds: float(np.dot(normal, [float(v) for v in ds.ImagePositionPatient])))


def group(name: str, **values: object) -> Dataset:
    """A functional group with one item."""
    outer, inner = Dataset(), Dataset()
    for keyword, value in values.items():
        setattr(inner, keyword, value)
    setattr(outer, name, [inner])
    return outer


def _add(frame: Dataset, name: str, **values: object) -> Dataset:
    frame.update(group(name, **values))
    return frame


def enhanced(
    slices: Sequence[Dataset],
    path: Path,
    order: Sequence[int] | None = None,
    change: Callable[[Dataset], None] | None = None,
) -> Path:
    """Write single slices as one Enhanced CT or PET whose frames are in the order `order`."""
    order = range(len(slices)) if order is None else order
    slices = [slices[k] for k in order]
    first = slices[0]
    pet = first.Modality == "PT"
    ds = deepcopy(first)
    for keyword in (*PER_FRAME, "PixelSpacing", "ImageOrientationPatient", "SliceThickness"):
        if keyword in ds:
            delattr(ds, keyword)
    kind = EnhancedPETImageStorage if pet else EnhancedCTImageStorage
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = kind
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["enhanced", str(first.SeriesInstanceUID)])
    ds.NumberOfFrames = len(slices)
    ds.PixelData = b"".join(one.PixelData for one in slices)
    shared = group("PlaneOrientationSequence", ImageOrientationPatient=first.ImageOrientationPatient)
    _add(
        shared, "PixelMeasuresSequence", PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness
    )
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [_frame(one, k, pet=pet) for k, one in enumerate(slices)]
    if pet:
        _as_enhanced_pet(ds)
    if change:
        change(ds)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def _frame(one: Dataset, k: int, *, pet: bool) -> Dataset:
    frame = group("PlanePositionSequence", ImagePositionPatient=one.ImagePositionPatient)
    _add(frame, "FrameContentSequence", FrameAcquisitionNumber=one.get("AcquisitionNumber", 1), StackID="1")
    frame.FrameContentSequence[0].InStackPositionNumber = k + 1
    scaling = {"RescaleSlope": one.RescaleSlope, "RescaleIntercept": one.RescaleIntercept}
    if not pet:
        return _add(frame, "PixelValueTransformationSequence", RescaleType="HU", **scaling)
    _add(frame, "PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=0, RescaleType="US")
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "Bq/ml", "UCUM", "Becquerels/milliliter"
    _add(frame, "RealWorldValueMappingSequence", MeasurementUnitsCodeSequence=[code])
    mapping = frame.RealWorldValueMappingSequence[0]
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = map(float, scaling.values())
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, 32767
    mapping["RealWorldValueFirstValueMapped"].VR = mapping["RealWorldValueLastValueMapped"].VR = "US"
    return frame


def _as_enhanced_pet(ds: Dataset) -> None:
    """The elements of an Enhanced PET: the dose in MBq, and the moment to which the decay was corrected."""
    tracer = ds.RadiopharmaceuticalInformationSequence[0]
    tracer.RadiopharmaceuticalStartDateTime = f"{ds.SeriesDate}{tracer.RadiopharmaceuticalStartTime}"
    tracer.RadionuclideTotalDose = float(tracer.RadionuclideTotalDose) / 1e6
    del tracer.RadiopharmaceuticalStartTime
    ds.DecayCorrectionDateTime = f"{ds.SeriesDate}{ds.SeriesTime}"
    ds.DecayCorrected = ds.AttenuationCorrected = "YES"
    for keyword in (
        "Units",
        "DecayCorrection",
        "CorrectedImage",
        "SeriesType",
        "SeriesTime",
        "AcquisitionTime",
    ):
        delattr(ds, keyword)


def legacy_converted(slices: Sequence[Dataset], path: Path) -> Path:
    """Write single slices as one Legacy Converted Enhanced CT or PET, made by highdicom."""
    pet = slices[0].Modality == "PT"
    legacy = highdicom.legacy
    make = legacy.LegacyConvertedEnhancedPETImage if pet else legacy.LegacyConvertedEnhancedCTImage
    for one in slices:
        for keyword, value in {
            "StudyDate": "20200229", "StudyTime": "120000", "ContentDate": "20200229", "ContentTime": "1200",
            "AcquisitionDate": "20200229", "AcquisitionTime": "120000", "SeriesDate": "20200229",
            "SeriesTime": "120000", "Manufacturer": "m", "AccessionNumber": "", "PatientName": "X",
            "PatientBirthDate": "", "PatientSex": "", "ReferringPhysicianName": "", "StudyID": "",
            "FrameOfReferenceUID": "1.2.3", "PositionReferenceIndicator": "",
        }.items():  # fmt: skip
            if keyword not in one:
                setattr(one, keyword, value)
    made = make(list(slices), generate_uid(), 7, generate_uid(), 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path)
    return path
