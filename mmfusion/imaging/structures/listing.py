"""List the regions of a DICOM-SEG or RTSTRUCT without decoding the masks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mmfusion.display import FullTable
from mmfusion.imaging.structures import rtstruct, seg
from mmfusion.imaging.structures.source import STRUCTURES, read_structure, readable


def list_rois(path: str | Path) -> pd.DataFrame:
    """List the regions of a DICOM-SEG or RTSTRUCT.

    Parameters
    ----------
    path : path
        The file, or a folder or ZIP that contains exactly one such file.

    Returns
    -------
    DataFrame
        One row per region. Columns: `number`; `name`; `parts` (number of frames or contours; 0 if nothing is
        drawn); `kind` ("DICOM-SEG" or "RTSTRUCT"); `series_uid` (series that the region was drawn on; several
        are joined by a space; "" if the file does not state it).

    Raises
    ------
    ScanError
        If there is no such file, if there are several, or if the file is damaged.
    """
    name, ds = read_structure(Path(path))
    kind = STRUCTURES[ds.Modality]
    with readable(name, kind):
        if ds.Modality == "SEG":
            names, parts, series = (
                seg.segments(ds, name),
                seg.count_frames(ds, name),
                seg.referenced_series(ds),
            )
        else:
            names, parts = rtstruct.regions(ds), rtstruct.count_contours(ds)
            series = rtstruct.referenced_series(ds)
    rows = [(number, label, parts.get(number, 0), kind, " ".join(series)) for number, label in names.items()]
    return FullTable(rows, columns=["number", "name", "parts", "kind", "series_uid"])
