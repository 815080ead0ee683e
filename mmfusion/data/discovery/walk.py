"""List the files of a folder and its subfolders: tables, scans and others."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from mmfusion.data.discovery.sniff_scans import is_image
from mmfusion.data.discovery.sniff_tables import is_table
from mmfusion.imaging.dicom.paths import may_be_dicom


def files_of(root: Path, *, ignored: Collection[str] = ()) -> tuple[list[Path], list[Path], list[Path]]:
    """Return the tables, scans and other files of a folder and its subfolders.

    Scans are image files, DICOM folders and ZIPs. Hidden files, and files with a name in `ignored`, are
    skipped.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("ehr.csv", "P1_ct.nii.gz", "letter.docx"):
    ...         (Path(folder) / name).touch()
    ...     tables, scans, others = files_of(Path(folder))
    >>> [[file.name for file in files] for files in (tables, scans, others)]
    [['ehr.csv'], ['P1_ct.nii.gz'], ['letter.docx']]
    """
    tables, scans, others = [], [], []
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(n for n in inner if not n.startswith("."))
        files = [Path(folder) / n for n in sorted(names) if not n.startswith(".") and n not in ignored]
        dicom = False
        for file in files:
            if is_table(file):
                tables.append(file)
            elif is_image(file) or file.suffix.lower() == ".zip":
                scans.append(file)
            elif may_be_dicom(file):
                dicom = True
            else:
                others.append(file)
        if dicom:
            scans.append(Path(folder))
    return tables, scans, others
