"""Write a CT as a DICOM series in a ZIP, as hospitals deliver it."""

from __future__ import annotations

import io
import zipfile
from copy import deepcopy
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from mmfusion.errors import ScanError
from mmfusion.imaging.saving import saved
from mmfusion.imaging.volume import Volume
from mmfusion.storage.hashing import hash_bytes

_INTERCEPT = -1024
_HIGHEST = 2**16 - 1 + _INTERCEPT  # HU that 16 bits hold
_ZIP_DATE = (2024, 1, 1, 0, 0, 0)  # of every member, so that the same scan gives the same bytes


def write_dicom_zip(volume: Volume, path: str | Path, patient_id: str, *, description: str = "CT") -> Path:
    """Write a CT as a DICOM series in a ZIP, one file per slice.

    Parameters
    ----------
    volume : Volume
        In HU, in any orientation, which is kept. Values are rounded to whole numbers.
    path : path
        The ZIP to write. It is replaced if it exists.
    patient_id : str
        PatientID of the series. The other identifiers are computed from it and from the scan, so that the
        same scan of the same patient gives the same bytes.
    description : str
        SeriesDescription, at most 64 characters.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ScanError
        If the volume is not a CT or exceeds the range of 16 bits, if the name does not end in .zip, or if the
        file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from mmfusion.imaging.files import read
    >>> hu = np.full((4, 16, 16), -1000, np.int16)
    >>> hu[:, 4:12, 4:12] = 40
    >>> ct = Volume(hu, np.diag([1.0, 1.0, 2.5, 1.0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scan = read(write_dicom_zip(ct, Path(folder) / "ct.zip", "P1"))
    >>> scan.spacing, bool((scan.array == hu).all())
    ((2.5, 1.0, 1.0), True)
    """
    path = Path(path)
    if path.suffix.lower() != ".zip":
        raise ScanError("not a name for a ZIP", file=path, expected=".zip", got=path.suffix or "no suffix")
    volume.expect("HU")
    hu = np.rint(volume.array).astype(np.int64)
    if hu.min() < _INTERCEPT or hu.max() > _HIGHEST:
        expected, got = f"{_INTERCEPT} to {_HIGHEST} HU", f"{hu.min()} to {hu.max()}"
        raise ScanError("values out of range", patient=patient_id, file=path, expected=expected, got=got)
    stored = (hu - _INTERCEPT).astype("<u2")
    header = _header(volume, stored, patient_id, description)
    with (
        saved(path) as draft,
        zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for k, pixels in enumerate(stored):
            member = zipfile.ZipInfo(f"CT/{k + 1:04d}.dcm", _ZIP_DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, _slice_bytes(header, volume, pixels, k))
    return path


def _header(volume: Volume, stored: np.ndarray, patient_id: str, description: str) -> Dataset:
    """Return the elements that all slices share."""
    content = hash_bytes(stored.tobytes() + volume.affine.tobytes())
    series, frame = (generate_uid(entropy_srcs=[patient_id, content, level]) for level in ("series", "frame"))
    z_mm, y_mm, x_mm = volume.spacing
    across, down = (volume.affine[:3, k] / mm for k, mm in enumerate((x_mm, y_mm)))
    ds = Dataset()
    ds.SOPClassUID, ds.SeriesInstanceUID = CTImageStorage, series
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[patient_id, "study"])
    ds.FrameOfReferenceUID = volume.frame_of_reference or frame
    ds.PatientID = ds.PatientName = patient_id
    ds.PatientBirthDate = ds.PatientSex = ds.ReferringPhysicianName = ds.AccessionNumber = ds.StudyID = ""
    ds.PositionReferenceIndicator = ""
    ds.StudyDate = ds.SeriesDate = ds.StudyTime = ds.SeriesTime = ""
    ds.Modality, ds.Manufacturer, ds.SeriesDescription = "CT", "mmfusion", description
    ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    ds.SeriesNumber, ds.AcquisitionNumber, ds.KVP = 1, 1, ""
    ds.ImageOrientationPatient = [_ds(v) for v in (*across, *down)]
    ds.PixelSpacing, ds.SliceThickness = [_ds(y_mm), _ds(x_mm)], _ds(z_mm)
    ds.Rows, ds.Columns = stored.shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = _INTERCEPT, 1, "HU"
    return ds


def _slice_bytes(header: Dataset, volume: Volume, pixels: np.ndarray, k: int) -> bytes:
    """Return one slice as the bytes of a CT Image Storage file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[header.SeriesInstanceUID, str(k)])
    ds = deepcopy(header)
    ds.file_meta = meta
    ds.SOPInstanceUID, ds.InstanceNumber = meta.MediaStorageSOPInstanceUID, k + 1
    ds.ImagePositionPatient = [_ds(v) for v in volume.voxel_to_mm((0, 0, k))]
    ds.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _ds(value: float) -> str:
    """Return a decimal string of at most 16 characters, as DICOM requires."""
    return f"{value:.9g}"
