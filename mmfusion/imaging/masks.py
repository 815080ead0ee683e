"""Read a mask of any format: DICOM-SEG, RTSTRUCT, LIDC-IDRI XML, or a label image (NIfTI, NRRD, ...)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.imaging.dicom.paths import may_be_dicom
from mmfusion.imaging.files import IMAGE_SUFFIXES, existing, is_image, read_image
from mmfusion.imaging.structures.lidc import is_lidc
from mmfusion.imaging.structures.lidc_masks import read_lidc_mask
from mmfusion.imaging.structures.placing import on_scan, warn_other_grid
from mmfusion.imaging.structures.rois import Roi, choose_rois
from mmfusion.imaging.structures.rtstruct import read_rtstruct
from mmfusion.imaging.structures.seg import read_seg
from mmfusion.imaging.structures.source import STRUCTURES, read_structure, readable
from mmfusion.imaging.volume import Volume


def read_mask(path: str | Path, reference: Volume | None = None, roi: Roi = None) -> Volume:
    """Read a mask in LPS orientation: DICOM-SEG, RTSTRUCT, LIDC-IDRI XML or a label image (NIfTI, NRRD, ...).

    Parameters
    ----------
    path : path
        The file. For DICOM also a folder or ZIP with exactly one file of regions; it may contain other files.
    reference : Volume, optional
        The scan. If given, the mask is resampled to the scan's grid. RTSTRUCT and LIDC-IDRI need it, because
        contours have no grid. Without it, other masks keep their own grid.
    roi : int, str or sequence of these, optional
        The region: its number (in a label image: its value), its name, or a pattern such as ``"tumor_*"``, in
        which upper and lower case are equal. Several regions are joined into one mask; ``"*"`` joins all.
        Needed if there is more than one region. Of LIDC-IDRI, a region is a nodule, as the consensus of its
        readers; see `mmfusion.imaging.lidc_nodules`.

    Returns
    -------
    Volume
        uint8 in {0, 1}, unit "mask". The region lies around its `centroid_mm`; `center_mm` is the centre of
        the grid.

    Raises
    ------
    ScanError
        If the file cannot be read; if the region does not exist or is empty; if there are several regions and
        none is chosen; if the mask was drawn on another scan than `reference`.

    Warns
    -----
    ScanWarning
        If a label image or SEG has no region and `roi` is None: the mask is then empty, as for a patient
        without a lesion. If a label image has another grid than `reference`: it may be another patient's. If
        something in the file is left out (see `mmfusion.imaging.structures.rtstruct`).

    Examples
    --------
    >>> import tempfile
    >>> from mmfusion.imaging.formats.nifti import write_nifti
    >>> labels = np.zeros((4, 16, 16), np.uint8)
    >>> labels[1:3, 2:6, 10:14] = 1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_nifti(Volume(labels, np.eye(4), unit="mask"), Path(folder) / "mask.nii.gz")
    ...     mask = read_mask(Path(folder) / "mask.nii.gz")
    >>> mask.centroid_mm.tolist(), mask.center_mm.tolist()
    ([11.5, 3.5, 1.5], [7.5, 7.5, 1.5])
    """
    path = existing(path)
    if is_image(path):
        mask = _read_labels(path, roi)
    elif path.suffix.lower() == ".xml" and is_lidc(path):
        if reference is None:
            hint = "read_mask(path, reference=read(<DICOM folder of the CT>))"
            raise ScanError("contours have no grid", file=path, expected="reference=<the scan>", hint=hint)
        return read_lidc_mask(path, reference, roi)
    elif may_be_dicom(path):
        name, ds = read_structure(path)
        read_it = read_seg if ds.Modality == "SEG" else read_rtstruct
        with readable(name, STRUCTURES[ds.Modality]):
            mask = read_it(ds, name, reference=reference, roi=roi)
    else:
        expected = f"DICOM-SEG, RTSTRUCT, LIDC-IDRI XML, or {', '.join(IMAGE_SUFFIXES)}"
        hint = (
            "an AIM annotation contains a point, not a mask; use read_aim_points"
            if path.suffix.lower() == ".xml"
            else None
        )
        raise ScanError("unknown mask format", file=path, expected=expected, got=path.suffix, hint=hint)
    if reference is None:
        return mask
    there = on_scan(mask, reference, path)
    if is_image(path):
        warn_other_grid(mask, reference, path)
    return there


def _read_labels(path: Path, roi: Roi) -> Volume:
    array, affine = read_image(path)
    values = np.unique(array)
    if not np.array_equal(values, np.rint(values)) or values[0] < 0:
        expected = "whole numbers, 0 outside"
        raise ScanError(
            "not a mask", file=path, expected=expected, got=f"{values[0]:.4g} to {values[-1]:.4g}"
        )
    regions = {int(value): "" for value in values if value}
    if not regions and roi is None:
        warn(f"{path}: the mask is empty: every voxel is 0", ScanWarning, stacklevel=3)
    chosen = choose_rois(regions, roi, path) if regions or roi is not None else []
    return Volume(np.isin(array, chosen).astype(np.uint8), affine, unit="mask").to_lps()
