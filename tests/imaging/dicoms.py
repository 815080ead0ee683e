"""Small synthetic DICOM series, with whatever is wrong with them that a test asks for."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

AXIAL = (1, 0, 0, 0, 1, 0)


def phantom_hu(shape=(6, 16, 20)) -> np.ndarray:
    """Return int16 (z, y, x), -1000 to 1499 HU in every slice; neighbours differ, so that shifts show."""
    return (np.arange(np.prod(shape)).reshape(shape) * 1237 % 2500 - 1000).astype(np.int16)


def write_series(
    folder: Path,
    hu: np.ndarray,
    spacing=(2.5, 0.8, 0.7),
    origin=(-30.0, -40.0, 100.0),
    orientation=AXIAL,
    *,
    series: str = "1",
    modality: str = "CT",
    description: str = "",
    change: Callable[[Dataset, int], None] | None = None,
) -> Path:
    """Write one file per slice of `hu` (z, y, x); slices follow the cross product of `orientation`.

    With modality "PT", `hu` are Bq/mL (int16), of 350 MBq given to 70 kg an hour before the scan: see
    `SUV_PER_BQML`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    row, column = np.array(orientation, dtype=float).reshape(2, 3)
    for k, plane in enumerate(hu):
        ds = _slice(plane, np.array(origin) + k * spacing[0] * np.cross(row, column), spacing, orientation)
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=["series", series])
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(
            entropy_srcs=[series, str(k)]
        )
        ds.Modality, ds.InstanceNumber = modality, k + 1
        ds.SeriesDescription, ds.SeriesNumber = description, 1 + sum(map(ord, series)) % 1000
        if modality == "PT":
            _make_pet(ds, plane)
        if change:
            change(ds, k)
        # neither the order of names nor InstanceNumber tells the order of slices
        ds.save_as(folder / f"{series}_{(k * 7) % 1000:03d}.dcm", enforce_file_format=True)
    return folder


SUV_PER_BQML = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))


def _make_pet(ds: Dataset, plane: np.ndarray) -> None:
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
    ds.Units, ds.DecayCorrection, ds.CorrectedImage = "BQML", "START", ["DECY", "ATTN", "SCAT"]
    ds.SeriesType, ds.PatientWeight = ["WHOLE BODY", "IMAGE"], 70
    ds.SeriesDate = ds.AcquisitionDate = "20200229"
    ds.SeriesTime, ds.AcquisitionTime = "140000", "140210.5"
    tracer = Dataset()
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = 350e6, 6586.2
    tracer.RadiopharmaceuticalStartTime = "130000.00"
    ds.RadiopharmaceuticalInformationSequence = [tracer]
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    ds.PixelData = plane.astype("<i2").tobytes()


def _slice(plane, position, spacing, orientation) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.StudyInstanceUID, ds.PatientID = generate_uid(entropy_srcs=["study"]), "P1"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImagePositionPatient = [f"{v:.9g}" for v in position]
    ds.ImageOrientationPatient = [f"{v:.9g}" for v in orientation]
    ds.PixelSpacing, ds.SliceThickness = [spacing[1], spacing[2]], spacing[0]
    ds.Rows, ds.Columns = plane.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    ds.PixelData = (plane.astype(np.int32) + 1024).astype("<i2").tobytes()
    return ds


def zipped(folder: Path, path: Path, prefix: str = "a/b/c") -> Path:
    """The folder's files in a ZIP, nested below `prefix`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{prefix}/{file.relative_to(folder)}")
    return path
