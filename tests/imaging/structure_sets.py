"""Small scans and what is drawn on them, for the tests of structures."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from mmfusion.imaging import Volume, read
from tests.imaging.dicoms import AXIAL, write_series

FRAME = generate_uid(entropy_srcs=["frame"])
SAGITTAL = (0, 1, 0, 0, 0, -1)
OBLIQUE = (0.98480775, 0.17364818, 0, 0, 0, -1)


def scan(folder, shape=(8, 40, 44), spacing=(3.0, 0.8, 0.9), orientation=AXIAL, *, frame=FRAME, series="1"):
    """Folder of a CT with a frame of reference, and the volume."""

    def change(ds: Dataset, k: int) -> None:
        ds.FrameOfReferenceUID = frame
        if not frame:
            del ds.FrameOfReferenceUID

    hu = np.full(shape, -800, np.int16)
    hu[:, 5:-5, 5:-5] = 40
    folder = write_series(folder, hu, spacing, orientation=orientation, series=series, change=change)
    return folder, read(folder)


def ball(volume: Volume, radius: float, hole: float = 0.0, off=(0.0, 0.0, 0.0)) -> Volume:
    """A ball, or a shell, round the middle of a scan."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij"), -1)[..., ::-1]
    far = np.linalg.norm(volume.voxel_to_mm(index) - volume.center_mm - off, axis=-1)
    inside = ((far < radius) & (far >= hole)).astype(np.uint8)
    return Volume(inside, volume.affine, unit="mask", frame_of_reference=volume.frame_of_reference)


def square(x0, y0, x1, y1, z):
    return [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]


def rtstruct(path, rois, *, frame=FRAME, series=None, kind="CLOSED_PLANAR", change=None):
    """Write a structure set; `rois`: name -> list of contours, each a list of (x, y, z) in LPS mm."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.Modality, ds.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    ds.StructureSetROISequence, ds.ROIContourSequence = [], []
    if series:
        image = item(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=generate_uid())
        of = item(SeriesInstanceUID=series, ContourImageSequence=[image])
        study = item(RTReferencedSeriesSequence=[of])
        ds.ReferencedFrameOfReferenceSequence = [
            item(FrameOfReferenceUID=frame, RTReferencedStudySequence=[study]),
        ]
    for number, (name, contours) in enumerate(rois.items(), 1):
        ds.StructureSetROISequence.append(
            item(ROINumber=number, ROIName=name, ReferencedFrameOfReferenceUID=frame)
        )
        drawn = [
            item(ContourGeometricType=kind, NumberOfContourPoints=len(points),
                 ContourData=[f"{v:.4f}" for v in np.ravel(points)])
            for points in contours
        ]  # fmt: skip
        ds.ROIContourSequence.append(item(ReferencedROINumber=number, ContourSequence=drawn))
    if change:
        change(ds)
    ds.save_as(path, enforce_file_format=True)
    return path


def item(**values) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def dice(a: Volume, b: Volume) -> float:
    both = np.count_nonzero(a.array & b.array)
    return 2 * both / (np.count_nonzero(a.array) + np.count_nonzero(b.array))


def grid(shape=(10, 60, 60), spacing=(2.0, 1.0, 1.0), **more):
    affine = np.diag([*spacing[::-1], 1.0])
    return Volume(np.zeros(shape, np.int16), affine, frame_of_reference=FRAME, **more)
