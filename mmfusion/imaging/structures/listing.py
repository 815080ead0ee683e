"""What is drawn in a file, without reading it in full."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mmfusion.imaging.structures import rtstruct, seg
from mmfusion.imaging.structures.source import STRUCTURES, read_structure, readable


def list_rois(path: str | Path) -> pd.DataFrame:
    """The regions of a DICOM-SEG or RTSTRUCT.

    Parameters
    ----------
    path : path
        The file, or a folder or ZIP with one such file in it.

    Returns
    -------
    DataFrame
        A row a region: `number`; `name`; `parts` (frames or contours; 0 where nothing is drawn); `kind` ("DICOM-SEG"
        or "RTSTRUCT"); `series_uid` (that it was drawn on, several joined by a space; "" where the file is silent).

    Raises
    ------
    ScanError
        If there is no such file, several, or it is damaged.
    """
    name, ds = read_structure(Path(path))
    kind = STRUCTURES[ds.Modality]
    with readable(name, kind):
        if ds.Modality == "SEG":
            names, parts, series = seg.segments(ds, name), seg.count_frames(ds), seg.referenced_series(ds)
        else:
            names, parts = rtstruct.regions(ds), rtstruct.count_contours(ds)
            series = rtstruct.referenced_series(ds)
    rows = [(number, label, parts.get(number, 0), kind, " ".join(series)) for number, label in names.items()]
    return pd.DataFrame(rows, columns=["number", "name", "parts", "kind", "series_uid"])
