"""A cohort laid out as a user's own data would be: scans in folders, CSV tables, a manifest, a DICOM ZIP."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from mmfusion.atomic import atomic_file, atomic_folder
from mmfusion.data.cohort import IMAGING, META, RESERVED, Cohort, presence
from mmfusion.data.manifest import write_manifest
from mmfusion.errors import DataError, ScanError

SCAN_ROLES = ("volume", "mask")
SEEDS = ["seed_x", "seed_y", "seed_z"]
RESCALE_INTERCEPT = -1024
_ZIP_DATE = (2024, 1, 1, 0, 0, 0)  # of every member, so that the same scan gives the same bytes


def write_cohort(cohort: Cohort, root: str | Path) -> Path:
    """Write the files that a user would bring, with a manifest that `load_cohort` reads.

    `<modality>/<patient>/volume.nii.gz` and `mask.nii.gz`, `<modality>_seeds.csv` (LPS mm), `rna.csv` and `ehr.csv`
    (a row per patient who has the modality), `meta.csv` (site, scanner), `labels.csv` (stage), `manifest.csv`.

    Parameters
    ----------
    cohort : Cohort
        Any cohort whose scans are files.
    root : path
        A new or empty folder.

    Returns
    -------
    Path
        Of the manifest.

    Raises
    ------
    DataError
        If the folder is not empty, or a scan's file is absent.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError("the folder is not empty", file=root, hint="give a new one")
    with atomic_folder(root) as draft:
        _fill(cohort, draft)
    return root / "manifest.csv"


def write_dicom_zip(volume_path: str | Path, zip_path: str | Path, patient_id: str) -> Path:
    """Write a CT volume as a DICOM series in a ZIP, one file a slice, as a hospital would hand it over.

    Parameters
    ----------
    volume_path : path
        NIfTI or NRRD in HU.
    zip_path : path
        The ZIP to write.
    patient_id : str
        PatientID of the series; identifiers of study and series follow from it.

    Returns
    -------
    Path
        `zip_path`.

    Raises
    ------
    ScanError
        If the volume is absent, not 3-D, or leaves the range that 16 bits hold.
    """
    if not Path(volume_path).is_file():
        raise ScanError("no such scan", patient=patient_id, file=volume_path)
    image = sitk.ReadImage(str(volume_path))
    if image.GetDimension() != 3:
        raise ScanError("not a volume", patient=patient_id, file=volume_path, got=f"{image.GetDimension()} dimensions")
    hu = np.rint(sitk.GetArrayFromImage(image)).astype(np.int64)
    if hu.min() < RESCALE_INTERCEPT or hu.max() > 2**16 - 1 + RESCALE_INTERCEPT:
        raise ScanError("values out of range", patient=patient_id, file=volume_path, expected="-1024 to 64511 HU",
                        got=f"{hu.min()} to {hu.max()}")  # fmt: skip
    with (
        atomic_file(zip_path) as draft,
        zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for k, pixels in enumerate((hu - RESCALE_INTERCEPT).astype("<u2")):
            member = zipfile.ZipInfo(f"{patient_id}/CT/{k + 1:04d}.dcm", _ZIP_DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, _slice_bytes(image, pixels, k, patient_id))
    return Path(zip_path)


def _fill(cohort: Cohort, root: Path) -> None:
    rows: list[dict[str, str]] = []
    has = presence(cohort.table)
    site = cohort.groups["site"] if "site" in cohort.groups else pd.Series("", index=cohort.table.index)
    common = {"dataset": cohort.name, "license": str(cohort.provenance.get("license", ""))}

    def add_table(frame: pd.DataFrame, name: str, modality: str, role: str) -> None:
        frame.rename_axis("patient_id").to_csv(root / name, lineterminator="\n")
        unit = cohort.units.get(modality, "") if role == "features" else ""
        rows.append({**common, "patient_id": "", "modality": modality, "role": role, "path": name, "unit": unit})

    for modality in cohort.modalities:
        block = cohort.table[modality].loc[has[modality]]
        reserved = [c for c in block.columns if modality in IMAGING and c in RESERVED]
        for patient, scan in block[[r for r in SCAN_ROLES if r in reserved]].iterrows():
            rows += [
                {**common, **row, "site": str(site[patient])} for row in _copy_scan(scan, root, modality, str(patient))
            ]
        if set(SEEDS) <= set(reserved):
            add_table(block[SEEDS], f"{modality}_seeds.csv", modality, "seeds")
        if features := [c for c in block.columns if c not in reserved]:
            name = f"{modality}_features.csv" if modality in IMAGING else f"{modality}.csv"
            add_table(block[features], name, modality, "features")
    if META in cohort.table.columns.unique(0):
        add_table(cohort.table[META], "meta.csv", META, "features")
    add_table(cohort.stage.rename("stage").to_frame(), "labels.csv", "", "labels")
    write_manifest(pd.DataFrame(rows).fillna(""), root / "manifest.csv", hashes=True)


def _copy_scan(scan: pd.Series, root: Path, modality: str, patient: str) -> list[dict[str, str]]:
    """Copy one patient's volume and mask; their rows of the manifest."""
    rows: list[dict[str, str]] = []
    for role, source in scan.dropna().items():
        if not Path(source).is_file():
            raise DataError(f"no {role} there", patient=patient, file=source)
        path = f"{modality}/{patient}/{role}{''.join(Path(source).suffixes)}"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, root / path)
        volume = rows[0]["path"] if rows else ""
        rows.append({"patient_id": patient, "modality": modality, "role": role, "path": path, "derived_from": volume})
    return rows


def _slice_bytes(image: sitk.Image, pixels: np.ndarray, k: int, patient_id: str) -> bytes:
    """One CT Image Storage instance."""
    x_mm, y_mm, z_mm = image.GetSpacing()
    direction = np.array(image.GetDirection()).reshape(3, 3)
    position = image.TransformIndexToPhysicalPoint((0, 0, k))
    study, series, frame = (generate_uid(entropy_srcs=[patient_id, level]) for level in ("study", "series", "frame"))

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[patient_id, "instance", str(k)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian

    ds = Dataset()
    ds.file_meta = meta
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
    ds.PatientID, ds.PatientName = patient_id, f"Phantom^{patient_id}"
    ds.PatientBirthDate = ds.PatientSex = ds.ReferringPhysicianName = ds.AccessionNumber = ds.StudyID = ""
    ds.PositionReferenceIndicator = ""
    ds.StudyDate = ds.SeriesDate = ds.StudyTime = ds.SeriesTime = ""
    ds.Modality, ds.Manufacturer, ds.SeriesDescription = "CT", "mmfusion", "synthetic chest CT"
    ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber, ds.KVP = 1, 1, k + 1, 120
    ds.ImagePositionPatient = [_ds(v) for v in position]
    ds.ImageOrientationPatient = [_ds(v) for v in (*direction[:, 0], *direction[:, 1])]
    ds.PixelSpacing, ds.SliceThickness = [_ds(y_mm), _ds(x_mm)], _ds(z_mm)
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = RESCALE_INTERCEPT, 1, "HU"
    ds.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters, as DICOM wants."""
    return f"{value:.9g}"
