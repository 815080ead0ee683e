"""The files of a folder and all below it, sorted into tables, scans and others."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from mmfusion.data.discovery.sniff_scans import is_image
from mmfusion.data.discovery.sniff_tables import is_table
from mmfusion.imaging.files import may_be_dicom


def files_of(root: Path, *, but: Collection[str] = ()) -> tuple[list[Path], list[Path], list[Path]]:
    """Tables; scans (image files, DICOM folders and ZIPs); other files. Not hidden ones, nor those named `but`."""
    tables, scans, others = [], [], []
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(n for n in inner if not n.startswith("."))
        files = [Path(folder) / n for n in sorted(names) if not n.startswith(".") and n not in but]
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
