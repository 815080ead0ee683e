"""Write measurements of segmented lesions as a DICOM structured report (TID 1500) with highdicom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pydicom
from pydicom.sr.coding import Code
from pydicom.uid import UID, generate_uid

from mmfusion import __version__
from mmfusion.errors import ScanError
from mmfusion.exclusive import silenced
from mmfusion.imaging.dicom.choose import SeriesRules
from mmfusion.imaging.saving import saved
from mmfusion.imaging.structures.seg_writer import completed
from mmfusion.imaging.structures.source import Source, read_source, readable
from mmfusion.imaging.structures.targets import state_letters

_MM = Code("mm", "UCUM", "millimeter")
_HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
_ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
MEASURES = {  # name -> concept, unit, derivation: DICOM PS3.16, CID 7469 and CID 7464
    "volume_ml": (Code("118565006", "SCT", "Volume"), Code("ml", "UCUM", "milliliter"), None),
    "longest_mm": (Code("103339001", "SCT", "Long Axis"), _MM, None),
    "perpendicular_mm": (Code("103340004", "SCT", "Short Axis"), _MM, None),
    "sphericity": (Code("QCFX", "IBSI", "Sphericity"), Code("1", "UCUM", "no units"), None),
    "mean_hu": (_ATTENUATION, _HU, Code("373098007", "SCT", "Mean")),
    "sd_hu": (_ATTENUATION, _HU, Code("386136009", "SCT", "Standard Deviation")),
}
_LESION = Code("52988006", "SCT", "Lesion")
_LUNG = Code("39607008", "SCT", "Lung")
_CT_CHEST = Code("24627-2", "LN", "CT Chest")
_ROOT = "2.25."  # UIDs that are made from the name of a device


def write_measurements(
    measures: Sequence[Mapping[str, float]],
    segmentation: str | Path,
    scan: Source,
    path: str | Path,
    *,
    algorithm: str,
    series: SeriesRules = None,
) -> Path:
    """Write the measurements of the segments of a DICOM-SEG as a structured report.

    Parameters
    ----------
    measures : sequence of mapping
        For segments 1, 2, ...: values by the names in `MEASURES`, mL, mm and HU.
    segmentation : path
        The DICOM-SEG file.
    scan : path or sequence of paths
        DICOM files of the scan on which it was made.
    path : path
        Name of the new file. An existing file is replaced.
    algorithm : str
        Name of the algorithm.
    series : str or sequence of str, optional
        Rules that choose a series of `scan`; see `mmfusion.imaging.read`.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ScanError
        If there are not as many measures as segments, if a name is unknown, or if a file cannot be read or
        written.

    References
    ----------
    DICOM PS3.16, TID 1500 (Measurement Report) and TID 1411 (Volumetric ROI Measurements).
    """
    from highdicom.sr import (
        Comprehensive3DSR,
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
    )

    unknown = sorted({name for one in measures for name in one} - set(MEASURES))
    if unknown:
        raise ScanError("unknown measurement", expected=", ".join(MEASURES), got=", ".join(unknown))
    path, source = Path(path), read_source(scan, series)
    with readable(segmentation, "DICOM-SEG"):
        seg = pydicom.dcmread(segmentation)
        count = len(seg.get("SegmentSequence", ()))
    if count != len(measures):
        raise ScanError("not one set of measurements for each segment", file=segmentation, expected=count,
                        got=len(measures))  # fmt: skip
    scan_uid = str(source.headers[0].SeriesInstanceUID)
    with silenced("pydicom", "highdicom"):
        device = DeviceObserverIdentifyingAttributes(
            uid=UID(generate_uid(_ROOT, entropy_srcs=["mmfusion", __version__])), name="mmfusion"
        )
        report = MeasurementReport(
            observation_context=ObservationContext(
                observer_device_context=ObserverContext(Code("121007", "DCM", "Device"), device)
            ),
            procedure_reported=_CT_CHEST,
            imaging_measurements=[
                _region(number, values, seg, scan_uid, algorithm) for number, values in enumerate(measures, 1)
            ],
        )
        ds = Comprehensive3DSR(
            evidence=[*(completed(header) for header in source.headers), seg],
            content=report[0],
            series_instance_uid=generate_uid(),
            series_number=901,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="mmfusion",
            series_description="Measurements of lesions",
        )
        state_letters(ds, [algorithm])
        with saved(path, source.files) as draft:
            ds.save_as(draft, enforce_file_format=True)
    return path


def _region(
    number: int, values: Mapping[str, float], seg: pydicom.Dataset, scan: str, algorithm: str
) -> object:
    """Return the content of one lesion: its segment and its measurements."""
    from highdicom.sr import (
        AlgorithmIdentification,
        FindingSite,
        Measurement,
        ReferencedSegment,
        SourceSeriesForSegmentation,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    found = []
    for name, value in values.items():
        concept, unit, derivation = MEASURES[name]
        found.append(Measurement(name=concept, value=float(value), unit=unit, derivation=derivation))
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=generate_uid(), identifier=f"Lesion {number}"),
        referenced_segment=ReferencedSegment(
            seg.SOPClassUID, seg.SOPInstanceUID, number, source_series=SourceSeriesForSegmentation(scan)
        ),
        finding_type=_LESION,
        finding_sites=[FindingSite(_LUNG)],
        algorithm_id=AlgorithmIdentification(algorithm, __version__),
        measurements=found,
    )
