"""One CT series from a folder, a ZIP or a file of DICOM: found, checked, sorted and stacked."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, MediaStorageDirectoryStorage

from mmfusion.errors import ScanError
from mmfusion.imaging.archive import hidden, zip_members
from mmfusion.imaging.geometry import series_affine
from mmfusion.imaging.volume import Volume

AIR_HU = -1024  # what padding becomes; the lowest value that a scanner measures
SUFFIXES = (".dcm", ".ima", ".dicom")
_DAMAGED = (InvalidDicomError, EOFError, ValueError, KeyError, AttributeError, TypeError, NotImplementedError, OSError)
_NEEDED = ("Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
           "RescaleSlope", "RescaleIntercept", "PixelData")  # fmt: skip


def read_series(path: str | Path, series: str | None = None) -> Volume:
    """Read the CT series at `path`, in HU and LPS orientation.

    Localizers are passed over, and so is what is not CT, if there is exactly one CT series. Values below -1024 HU
    and padding (PixelPaddingValue) become -1024.

    Parameters
    ----------
    path : path
        A folder or ZIP, nested however, or one file.
    series : str, optional
        SeriesInstanceUID; needed if there are several.

    Raises
    ------
    ScanError
        If there is no CT, or several series and none chosen; if a file is damaged; if slices are missing, doubled,
        unevenly spaced, of different shapes or sheared by a tilted gantry.
    """
    path = Path(path)
    found: dict[str, dict[str, Dataset]] = defaultdict(dict)
    others: Counter[str] = Counter()
    for name, data in _files(path):
        ds = _parse(name, data)
        if ds is None:
            continue
        if _is_ct(ds, name):
            found[str(ds.SeriesInstanceUID)][name] = ds
        else:
            others[str(ds.Modality)] += 1
    slices = _choose(found, others, series, path)
    for name, ds in slices.items():
        _check_slice(ds, name)
    names, affine = series_affine(slices, path)
    hu = _stack([slices[name] for name in names], names)
    return Volume(hu, affine, modality="CT", unit="HU").to_lps()


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file's first 132 bytes end with the DICOM mark."""
    return head[128:132] == b"DICM"


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of everything that is, or claims to be, DICOM."""
    if path.is_dir():
        paths = sorted(p for p in path.rglob("*") if p.is_file() and not hidden(p.relative_to(path).as_posix()))
        members = ((str(p), p) for p in paths)
    elif path.suffix.lower() == ".zip":
        members = ((f"{path}:{name}", data) for name, data in zip_members(path))
    else:
        members = iter([(str(path), path)])
    for name, source in members:
        claims = name.lower().endswith(SUFFIXES)
        if isinstance(source, bytes):
            if claims or looks_like_dicom(source):
                yield name, source
            continue
        with source.open("rb") as file:
            head = file.read(132)
            if claims or looks_like_dicom(head):
                yield name, head + file.read()


def _parse(name: str, data: bytes) -> Dataset | None:
    """The data set; None for a DICOMDIR, which lists files but holds no image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks on formally wrong but readable values
        try:
            ds = pydicom.dcmread(BytesIO(data), force=len(data) > 132 and not looks_like_dicom(data))
            kind = ds.get("SOPClassUID") or getattr(ds, "file_meta", {}).get("MediaStorageSOPClassUID")
            if kind == MediaStorageDirectoryStorage:
                return None
            complete = bool(ds.get("Modality")) and bool(ds.get("SeriesInstanceUID"))
        except _DAMAGED as error:
            raise _unreadable(name) from error
    if not complete:
        raise _unreadable(name)
    return ds


def _unreadable(name: str, got: object = None) -> ScanError:
    hint = "copy or download it again, or take it out if it is not part of the scan"
    return ScanError("truncated or damaged DICOM", file=name, got=got, hint=hint)


def _is_ct(ds: Dataset, name: str) -> bool:
    if ds.Modality != "CT":
        return False
    kind = ds.get("SOPClassUID", CTImageStorage)
    if kind == EnhancedCTImageStorage:
        raise ScanError("enhanced (multi-frame) CT is not supported", file=name, hint="export it as single-frame CT")
    return kind == CTImageStorage and "LOCALIZER" not in (ds.get("ImageType") or [])


def _choose(
    found: dict[str, dict[str, Dataset]], others: Counter[str], series: str | None, path: Path
) -> dict[str, Dataset]:
    counts = ", ".join(f"{uid} ({len(slices)} slices)" for uid, slices in found.items())
    if not found:
        got = ", ".join(f"{n} of {modality}" for modality, n in others.items()) or "no DICOM image at all"
        raise ScanError("no CT series", file=path, expected="DICOM slices of modality CT", got=got)
    if series is not None and series not in found:
        raise ScanError("no such CT series", file=path, expected=f"one of {counts}", got=series)
    if series is None and len(found) > 1:
        hint = "choose one: series=<SeriesInstanceUID>"
        raise ScanError(f"{len(found)} CT series", file=path, expected="one", got=counts, hint=hint)
    return found[series or next(iter(found))]


def _check_slice(ds: Dataset, name: str) -> None:
    missing = [tag for tag in _NEEDED if ds.get(tag) is None]
    if "PixelData" in missing:  # the last element of a file
        raise _unreadable(name, "no pixels")
    if missing:
        raise ScanError("not a usable CT slice", file=name, expected=", ".join(missing), got="none of them"
                        if len(missing) > 1 else "nothing")  # fmt: skip
    frames = int(ds.get("NumberOfFrames") or 1)
    if ds.get("SamplesPerPixel", 1) != 1 or frames != 1:
        raise ScanError(
            "not a grey single-frame slice", file=name, got=f"{frames} frames, {ds.SamplesPerPixel} samples"
        )


def _stack(slices: list[Dataset], names: list[str]) -> np.ndarray:
    """HU, shape (z, y, x): int16 where slopes and intercepts are whole numbers, else float32."""
    rescale = [(float(ds.RescaleSlope), float(ds.RescaleIntercept)) for ds in slices]
    whole = all(value.is_integer() for pair in rescale for value in pair)
    out = np.empty((len(slices), int(slices[0].Rows), int(slices[0].Columns)), np.int16 if whole else np.float32)
    for k, (ds, name, (slope, intercept)) in enumerate(zip(slices, names, rescale, strict=True)):
        raw = _pixels(ds, name)
        hu = raw.astype(np.int32 if whole else np.float32) * (int(slope) if whole else slope) + (
            int(intercept) if whole else intercept
        )
        padding = ds.get("PixelPaddingValue")
        if padding is not None:
            hu[raw == padding] = AIR_HU
        out[k] = np.clip(hu, AIR_HU, np.iinfo(np.int16).max)
    return out


def _pixels(ds: Dataset, name: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ds.pixel_array
        except RuntimeError as error:
            syntax = ds.file_meta.TransferSyntaxUID.name
            hint = "pip install 'pylibjpeg[all]', or export the scan uncompressed"
            raise ScanError("no decoder for this compression", file=name, got=syntax, hint=hint) from error
        except _DAMAGED as error:
            raise _unreadable(name, error) from error
