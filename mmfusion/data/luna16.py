"""LUNA16: centres and diameters of the nodules in 888 CTs of LIDC-IDRI; a set for detection, without masks.

Source: Setio et al. 2017, doi:10.1016/j.media.2017.06.015. CC BY 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.sources import Folder
from mmfusion.data.tables.files import read_table
from mmfusion.errors import DataError

_COLUMNS = {"coordX": "x", "coordY": "y", "coordZ": "z", "diameter_mm": "diameter_mm"}
_SIZES_MM = (1.0, 100.0)  # diameters of nodules, with a margin


@dataclass(frozen=True)
class DetectionSet:
    """Scans with the centres and diameters of their nodules.

    The diameter does not tell the form of a nodule. There is no mask, so a segmenter cannot be trained on it
    or judged by it. Masks of the same scans come from the XML of LIDC-IDRI (`load_cohort("lidc", root)`).

    Parameters
    ----------
    name : str
        Name of the set.
    scans : DataFrame
        Index: the series. Columns `volume` (path; missing if the file is not there) and `subset` (the fold of
        the challenge, 0 to 9, or missing).
    nodules : DataFrame
        Columns `series`, `x`, `y`, `z` (LPS mm) and `diameter_mm`.
    provenance : dict
        Source, hashes, licence and notes.

    Examples
    --------
    >>> scans = pd.DataFrame({"volume": ["a.mhd"], "subset": [0]}, index=["a"])
    >>> nodules = pd.DataFrame([["a", 1.0, 2.0, 3.0, 5.5]], columns=["series", "x", "y", "z", "diameter_mm"])
    >>> DetectionSet("mine", scans, nodules, {}).of("a").tolist()
    [[1.0, 2.0, 3.0, 5.5]]
    """

    name: str
    scans: pd.DataFrame
    nodules: pd.DataFrame
    provenance: dict[str, object]

    def of(self, series: str) -> np.ndarray:
        """Return x, y, z (LPS mm) and the diameter (mm) of the nodules of a scan, shape (n, 4).

        Raises
        ------
        DataError
            If the set has no such scan.
        """
        if series not in self.scans.index:
            raise DataError("no such scan", patient=series, file=self.name)
        own = self.nodules[self.nodules["series"] == series]
        return own[["x", "y", "z", "diameter_mm"]].to_numpy(dtype=np.float64)


def read_luna16(root: str | Path) -> DetectionSet:
    """Read `annotations.csv`, and find the scans `subset<k>/<series>.mhd`.

    Parameters
    ----------
    root : path
        Folder of the download.

    Returns
    -------
    DetectionSet
        All scans that are there, with and without nodules, and those that only the table names.

    Raises
    ------
    DataError
        If the table is absent or not as published, or a nodule has an impossible place or size.

    Examples
    --------
    >>> import tempfile
    >>> text = "seriesuid,coordX,coordY,coordZ,diameter_mm" + chr(10) + "1.3.6,-128.7,-175.3,-298.4,5.65"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "annotations.csv").write_text(text)
    ...     read_luna16(folder).of("1.3.6").tolist()
    [[-128.7, -175.3, -298.4, 5.65]]
    """
    folder = Folder(root, "LUNA16")
    file = folder.find("annotations.csv", "table of nodules", required=True)
    table = read_table(file)
    lacking = {"seriesuid", *_COLUMNS} - set(table)
    if lacking:
        got = ", ".join(map(str, table))
        raise DataError(
            "not the table of nodules", file=file, expected=", ".join(["seriesuid", *_COLUMNS]), got=got
        )
    nodules = table[list(_COLUMNS)].apply(pd.to_numeric, errors="coerce").rename(columns=_COLUMNS)
    low, high = _SIZES_MM
    sound = np.isfinite(nodules).all(axis=1) & nodules["diameter_mm"].between(low, high)
    if not sound.all():
        row = int(np.flatnonzero(~sound)[0])
        got = ", ".join(map(str, table.iloc[row][list(_COLUMNS)]))
        expected = f"x, y, z in mm and a diameter from {low:g} to {high:g} mm"
        raise DataError(
            "an impossible nodule",
            patient=table["seriesuid"].iloc[row],
            file=file,
            expected=expected,
            got=got,
        )
    nodules.insert(0, "series", table["seriesuid"].astype(str).to_numpy())
    scans = _scans(folder, list(nodules["series"]))
    absent = int(scans["volume"].isna().sum())
    if absent:
        folder.note(f"{absent} scans of the table are not in the folder")
    folder.note("centres and diameters only; the masks of these scans are in the XML of LIDC-IDRI")
    return DetectionSet("luna16", scans, nodules, folder.provenance(license="CC BY 4.0"))


def _scans(folder: Folder, named: list[str]) -> pd.DataFrame:
    found: dict[str, tuple[str | None, object]] = {}
    for file in sorted(folder.root.rglob("*.mhd")):
        subset = file.parent.name.removeprefix("subset")
        if file.stem in found:
            raise DataError("two files of one scan", patient=file.stem, file=file, hint="keep one of them")
        found[file.stem] = str(file), int(subset) if subset.isdecimal() else pd.NA
    for series in named:
        found.setdefault(series, (None, pd.NA))
    rows = [found[series] for series in found]
    return pd.DataFrame(rows, columns=["volume", "subset"], index=pd.Index(list(found), name="series"))
