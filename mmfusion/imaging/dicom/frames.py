"""Files with many frames: Enhanced CT and PET, also those converted from single frames (Legacy Converted).

Each frame becomes a header of its own, so that everything else treats it like the file of one slice. See
DICOM PS3.3, sections A.38 and A.56 (the objects), C.7.6.16 (functional groups) and C.8.22 (PET).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedPETImageStorage

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.encoded import EncodedFrames
from mmfusion.imaging.dicom.header import Header, not_understood
from mmfusion.imaging.dicom.headers import DAMAGED, read_frames, values_of
from mmfusion.imaging.dicom.tags import BY_CLASS, WANTED_OF_FRAME
from mmfusion.limits import check_memory

_GROUPS = (
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "FrameContentSequence",
    "PixelValueTransformationSequence", "CTImageFrameTypeSequence", "CTAcquisitionDetailsSequence",
    "CTReconstructionSequence", "CTXRayDetailsSequence", "PETFrameTypeSequence", "PETReconstructionSequence",
    "PETFrameCorrectionFactorsSequence", "CardiacSynchronizationSequence",
    "RespiratorySynchronizationSequence", "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)  # fmt: skip
_AS_SINGLE = {
    "AcquisitionNumber": "FrameAcquisitionNumber",
    "TemporalPositionIdentifier": "TemporalPositionIndex",
    "ImageType": "FrameType",
}  # name in a file of one slice: name in a frame
_UNITS = {"g/ml{SUVbw}": "GML", "{SUVbw}g/ml": "GML", "Bq/ml": "BQML"}  # in the order of preference
_SEQUENCES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_HU = "[hnsf'U]"
_MOST_MBQ = 1e5  # a dose above is in Bq
_BYTES_OF_A_FRAME = 20_000  # that its header takes in memory, about


def has_frames(header: Header) -> bool:
    """Return True if the class of the file allows many frames, as Enhanced CT does.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mmfusion.imaging.dicom.archive import Member
    >>> member = Member("slice.dcm", 0, lambda start, size: b"", Path("slice.dcm"))
    >>> enhanced_ct = "1.2.840.10008.5.1.4.1.1.2.1"
    >>> has_frames(Header(member, {"SOPClassUID": enhanced_ct}, "", None, None))
    True
    """
    return BY_CLASS.get(header.text("SOPClassUID"), ("", False))[1]


def frames_of(header: Header) -> list[Header]:
    """Return one header per frame of an Enhanced or Legacy Converted Enhanced CT or PET.

    The values of a frame are those of the file, of the groups that all frames share, and of its own groups.
    They have the names and units of the file of a single slice: the dose is in Bq, for example.

    Raises
    ------
    ScanError
        If the frames are not described, or fewer or more are described than the file holds.
    """
    full = read_frames(replace(header, member=header.member.kept()))  # all frames are in it
    count = full.number("NumberOfFrames") or 1.0
    check_memory(count * _BYTES_OF_A_FRAME, "the header", file=header.name, error=ScanError)
    shared, each = (full.value(f"{name}FunctionalGroupsSequence") for name in ("Shared", "PerFrame"))
    if not isinstance(each, Sequence) or len(each) != count:
        got = f"a description of {len(each) if isinstance(each, Sequence) else 'none'}"
        raise full.error(
            "frames that are not described", "NumberOfFrames", expected=f"{count:g} frames", got=got
        )
    common = {name: value for name, value in full.values.items() if name not in _SEQUENCES}
    if full.encoded is not None:
        full = replace(full, encoded=EncodedFrames(full.member, full.begin, int(count)))
    try:
        common |= _grouped(shared[0]) if isinstance(shared, Sequence) and len(shared) else {}
        values = [common | _grouped(item) for item in each]
    except DAMAGED as error:
        raise not_understood(header.name, f"the description of its frames: {error}") from error
    frames = [_frame(full, as_single(one, k), k) for k, one in enumerate(values)]
    if full.offset is not None and frames:  # surplus bytes show in the last frame
        last = frames[-1]
        values = {name: value for name, value in last.values.items() if name != "FramesFollow"}
        frames[-1] = replace(last, values=values, length=max(full.length - (last.offset - full.offset), 0))
    return frames


def _grouped(item: Dataset) -> dict[str | int, object]:
    """Return the values in the functional groups of one frame, or of all frames."""
    values: dict[str | int, object] = {}
    for name in _GROUPS:
        if len(sequence := item.get(name) or ()):
            values |= values_of(sequence[0], WANTED_OF_FRAME)
    mappings = [
        values_of(one, WANTED_OF_FRAME) | {"unit": _unit(one)}
        for one in item.get("RealWorldValueMappingSequence") or ()
    ]
    return values | ({"mappings": mappings} if mappings else {})


def _unit(mapping: Dataset) -> str:
    codes = mapping.get("MeasurementUnitsCodeSequence") or ()
    return str(codes[0].get("CodeValue", "")) if len(codes) else ""


def as_single(values: Mapping[str | int, object], k: int) -> dict[str | int, object]:
    """Return the values of frame `k` under the names that they have in the file of one slice.

    Examples
    --------
    >>> pet = {"SOPInstanceUID": "1.2", "DecayCorrected": "YES", "AttenuationCorrected": "YES"}
    >>> as_single(pet, 0)["CorrectedImage"]
    ['DECY', 'ATTN']
    """
    out = {name: value for name, value in values.items() if name not in ("InstanceNumber", "mappings")}
    out |= {"NumberOfFrames": 1, "SOPInstanceUID": f"{values.get('SOPInstanceUID', '')}, frame {k + 1}"}
    for single, framed in _AS_SINGLE.items():
        if framed in values:
            out[single] = values[framed]
    moment = values.get("FrameAcquisitionDateTime")
    if isinstance(moment, str) and "AcquisitionTime" not in values:
        out |= {
            "AcquisitionDate": moment[:8],
            "AcquisitionTime": moment[8:].partition("+")[0].partition("-")[0],
        }
    return out | _mapped(values) | _corrections(values)


def _mapped(values: Mapping[str | int, object]) -> dict[str, object]:
    """Return slope, intercept and unit of the mapping of stored values to HU, SUV or Bq/mL, if needed."""
    if "Units" in values:  # of a converted PET: its own slope counts
        return {}
    mappings = {one["unit"]: one for one in values.get("mappings", ())}
    units = _UNITS if values.get("Modality") == "PT" else {_HU: ""} if "RescaleSlope" not in values else {}
    for code, unit in units.items():
        if (one := mappings.get(code)) is not None and "RealWorldValueLUTData" not in one:
            out = {
                "RescaleSlope": one.get("RealWorldValueSlope"),
                "RescaleIntercept": one.get("RealWorldValueIntercept"),
            }
            return {k: v for k, v in (out | {"Units": unit}).items() if v not in (None, "")}
    return {}


def _corrections(values: Mapping[str | int, object]) -> dict[str, object]:
    """Return the corrections and the dose of an Enhanced PET as a PET of single slices states them."""
    out: dict[str, object] = {}
    pairs = {"DECY": "DecayCorrected", "ATTN": "AttenuationCorrected"}
    if "CorrectedImage" not in values and any(tag in values for tag in pairs.values()):
        out["CorrectedImage"] = [name for name, tag in pairs.items() if values.get(tag) == "YES"] or ["NONE"]
    if "DecayCorrection" not in values and "DecayCorrected" in values:
        out["DecayCorrection"] = "MOMENT" if values["DecayCorrected"] == "YES" else "NONE"
    tracer = values.get("RadiopharmaceuticalInformationSequence")
    if values.get("SOPClassUID") == EnhancedPETImageStorage and isinstance(tracer, dict):
        try:
            dose = float(tracer.get("RadionuclideTotalDose"))
        except (TypeError, ValueError):
            return out
        in_becquerel = (
            dose * 1e6 if dose <= _MOST_MBQ else dose
        )  # the standard says MBq; a higher value is in Bq
        out["RadiopharmaceuticalInformationSequence"] = tracer | {"RadionuclideTotalDose": in_becquerel}
    return out


def _frame(full: Header, values: dict[str | int, object], k: int) -> Header:
    if full.offset is None:
        return replace(full, values=values, frame=k)
    one = Header(full.member, values, full.syntax, full.offset, full.length)
    size = 1
    for tag in ("Rows", "Columns", "BitsAllocated"):
        size *= int(one.number(tag) or 0)
    start = k * (size // 8)
    length = min(max(full.length - start, 0), size // 8)
    begin, values = full.offset + start, values | {"FramesFollow": True}
    return replace(full, values=values, offset=begin, begin=begin, length=length, frame=k)
