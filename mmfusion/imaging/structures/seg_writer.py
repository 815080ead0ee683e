"""Write DICOM-SEG with highdicom."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from mmfusion import __version__
from mmfusion.errors import ScanError
from mmfusion.exclusive import silenced
from mmfusion.imaging.dicom.choose import SeriesRules
from mmfusion.imaging.saving import saved
from mmfusion.imaging.structures.source import Source, read_source
from mmfusion.imaging.structures.targets import Masks, check_name, named, on_slices, state_letters

_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
_ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
_LUNG = Code("39607008", "SCT", "Lung")
_LEARNED = Code("123110", "DCM", "Artificial Intelligence")
KINDS = {  # name -> category, type, site: DICOM PS3.16, CID 7150, CID 7151 and the groups that they include
    "Neoplasm, Primary": (_ABNORMAL, Code("86049000", "SCT", "Neoplasm, Primary"), _LUNG),
    "Neoplasm, Secondary": (_ABNORMAL, Code("14799000", "SCT", "Neoplasm, Secondary"), None),
    "Nodule": (_ABNORMAL, Code("27925004", "SCT", "Nodule"), _LUNG),
    "Lymph node": (_ANATOMY, Code("59441001", "SCT", "Lymph node"), None),
    "Lung": (_ANATOMY, _LUNG, None),
}
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)


def write_seg(
    mask: Masks,
    source: Source,
    path: str | Path,
    *,
    label: str = "Tumour",
    kind: str = "Neoplasm, Primary",
    algorithm: str | None = None,
    series: SeriesRules = None,
) -> Path:
    """Write a mask as binary DICOM-SEG on the slices of its series.

    Parameters
    ----------
    mask : Volume, or mapping of label to Volume
        One mask or several. A mask on another grid than the series is resampled. Each mask becomes a segment;
        segments may overlap.
    source : path or sequence of paths
        DICOM files of the series: a folder, a ZIP, or the files.
    path : path
        Name of the new file. An existing file is replaced.
    label : str
        Label of the segment if `mask` is one Volume.
    kind : str
        Kind of structure, coded in SNOMED CT: one of `KINDS`.
    algorithm : str, optional
        Name of the algorithm that made the mask; None if it was drawn by hand.
    series : str or sequence of str, optional
        Rules that choose a series of `source` if there are several; see `mmfusion.imaging.read`.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ScanError
        If `source` has no series; if the mask was drawn on another scan, or has no voxel on the slices; if
        the file cannot be written, or would replace one of `source`; if `kind` is unknown.
    """
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import Segmentation, SegmentDescription

    if kind not in KINDS:
        raise ScanError("unknown kind of segment", parameter="kind", expected=", ".join(KINDS), got=kind)
    if algorithm:
        check_name(algorithm, "algorithm")
    path, masks, target = Path(path), named(mask, label), read_source(source, series)
    pixels = np.stack([on_slices(m, name, target) for name, m in masks.items()], axis=-1)
    category, what, site = KINDS[kind]
    made = {"algorithm_type": "MANUAL"}
    if algorithm:
        identity = AlgorithmIdentificationSequence(algorithm, _LEARNED, __version__)
        made = {"algorithm_type": "AUTOMATIC", "algorithm_identification": identity}
    described = [
        SegmentDescription(k, name, category, what, anatomic_regions=site and [site], **made)
        for k, name in enumerate(masks, 1)
    ]
    with silenced("pydicom", "highdicom"):  # their warnings about values that are copied from the source
        ds = Segmentation(
            [completed(header) for header in target.headers],
            pixels,
            "BINARY",
            described,
            series_instance_uid=generate_uid(),
            series_number=900,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="mmfusion",
            manufacturer_model_name="mmfusion",
            software_versions=__version__,
            device_serial_number="0",
            content_label="SEGMENTATION",
            series_description=f"Segmentation: {', '.join(masks)}"[:64],
        )
        state_letters(ds, [*masks, algorithm or ""])
        with saved(path, target.files) as draft:
            ds.save_as(draft, enforce_file_format=True)
    return path


def completed(header: Dataset) -> Dataset:
    """Return a copy of a header, with elements added that may be empty but must be present.

    Anonymization can remove these elements.
    """
    out = deepcopy(header)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in out:
            setattr(out, keyword, "")
    if not out.get("FrameOfReferenceUID"):
        # the mask refers to the slices, so that any identifier is valid
        out.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", str(out.SeriesInstanceUID)])
    return out
