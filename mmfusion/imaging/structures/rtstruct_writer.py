"""Write RTSTRUCT: the edges of a mask's voxels as closed planar contours, slice by slice."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from mmfusion import __version__
from mmfusion.errors import ScanError
from mmfusion.imaging.colours import BLUE, GREEN, ORANGE, PURPLE, RED, SKY
from mmfusion.imaging.dicom.choose import SeriesRules
from mmfusion.imaging.saving import saved
from mmfusion.imaging.structures.contours import outlines
from mmfusion.imaging.structures.source import Source, SourceSeries, read_source
from mmfusion.imaging.structures.targets import Masks, named, on_slices, state_letters

_COLOURS = tuple(tuple(bytes.fromhex(c[1:])) for c in (BLUE, ORANGE, GREEN, RED, SKY, PURPLE))  # 0 to 255
_COPIED = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_STUDY = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management: retired, but other programs expect it here


def write_rtstruct(
    mask: Masks, source: Source, path: str | Path, *, name: str = "Tumour", series: SeriesRules = None
) -> Path:
    """Write a mask as DICOM RT Structure Set on the slices of its series.

    The contours run along the edges of the voxels. Reading the file on the same slices therefore gives the
    same mask. A hole is a contour within a contour.

    Parameters
    ----------
    mask : Volume, or mapping of name to Volume
        One mask or several. A mask on another grid than the series is resampled.
    source : path or sequence of paths
        DICOM files of the series: a folder, a ZIP, or the files.
    path : path
        Name of the new file. An existing file is replaced.
    name : str
        Name of the region if `mask` is one Volume.
    series : str or sequence of str, optional
        Rules that choose a series of `source` if there are several; see `mmfusion.imaging.read`.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ScanError
        If `source` has no series or no frame of reference; if the mask was drawn on another scan, or has no
        voxel on the slices; if the file cannot be written, or would replace one of `source`.
    """
    path, masks, target = Path(path), named(mask, name), read_source(source, series)
    first = target.headers[0]
    if not first.get("FrameOfReferenceUID"):
        raise ScanError(
            "a series without frame of reference",
            file=target.path,
            column="FrameOfReferenceUID",
            hint="contours need a frame of reference; write_seg does not, because it refers to slices",
        )
    ds = _structure_set(target)
    state_letters(ds, masks)
    ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence = [], [], []
    for number, (label, volume) in enumerate(masks.items(), 1):
        contours = _contours(on_slices(volume, label, target), target)
        frame = first.FrameOfReferenceUID
        ds.StructureSetROISequence.append(
            _item(
                ROINumber=number,
                ReferencedFrameOfReferenceUID=frame,
                ROIName=label,
                ROIGenerationAlgorithm="",
            )
        )
        colour = list(_COLOURS[(number - 1) % len(_COLOURS)])
        ds.ROIContourSequence.append(
            _item(ROIDisplayColor=colour, ContourSequence=contours, ReferencedROINumber=number)
        )
        ds.RTROIObservationsSequence.append(
            _item(
                ObservationNumber=number,
                ReferencedROINumber=number,
                RTROIInterpretedType="",
                ROIInterpreter="",
            )
        )
    with saved(path, target.files) as draft:
        ds.save_as(draft, enforce_file_format=True)
    return path


def _structure_set(target: SourceSeries) -> Dataset:
    first, now = target.headers[0], datetime.now()
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for keyword in _COPIED:
        if keyword in first or keyword != "SpecificCharacterSet":
            setattr(ds, keyword, first.get(keyword, ""))
    ds.Modality, ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = "RTSTRUCT", generate_uid(), 901, 1
    ds.OperatorsName = ""
    ds.Manufacturer = ds.ManufacturerModelName = "mmfusion"
    ds.SoftwareVersions = __version__
    ds.StructureSetLabel = "mmfusion"
    ds.StructureSetDate = ds.InstanceCreationDate = f"{now:%Y%m%d}"
    ds.StructureSetTime = ds.InstanceCreationTime = f"{now:%H%M%S}"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = first.FrameOfReferenceUID, ""
    series = _item(
        SeriesInstanceUID=first.SeriesInstanceUID, ContourImageSequence=[_image(h) for h in target.headers]
    )
    study = _item(
        ReferencedSOPClassUID=_STUDY,
        ReferencedSOPInstanceUID=first.StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    ds.ReferencedFrameOfReferenceSequence = [
        _item(FrameOfReferenceUID=first.FrameOfReferenceUID, RTReferencedStudySequence=[study])
    ]
    ds.ApprovalStatus = "UNAPPROVED"
    return ds


def _contours(array: np.ndarray, target: SourceSeries) -> list[Dataset]:
    items = []
    for k, (plane, header) in enumerate(zip(array, target.headers, strict=True)):
        for polygon in outlines(plane) if plane.any() else ():
            voxels = np.column_stack([polygon, np.full(len(polygon), k)])
            points = voxels @ target.affine[:3, :3].T + target.affine[:3, 3]
            item = _item(ContourImageSequence=[_image(header)], ContourGeometricType="CLOSED_PLANAR")
            item.NumberOfContourPoints, item.ContourNumber = len(points), len(items) + 1
            item.ContourData = [f"{v:.4f}" for v in points.ravel()]
            items.append(item)
    return items


def _image(header: Dataset) -> Dataset:
    return _item(ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID)


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
