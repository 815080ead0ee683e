"""Segment the lesions of a whole cohort, one click for each patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.compute import run
from mmfusion.data.cohort import Cohort
from mmfusion.data.load import load_cohort
from mmfusion.data.scans import scan_of
from mmfusion.errors import DataError, MMFusionError, ScanError
from mmfusion.escaping import write_csv
from mmfusion.imaging import Volume, write_nifti
from mmfusion.imaging.saving import check_not_source
from mmfusion.lesions.click.segment import segment_lesion
from mmfusion.storage.atomic import saved
from mmfusion.storage.naming import file_name

TABLE, MASKS = "lesions.csv", "masks"


@dataclass(frozen=True, eq=False)
class SegmentedCohort:
    """Masks and measures of a cohort.

    Attributes
    ----------
    table : DataFrame
        Index `patient_id`; columns `mask` (path), the measures, `method`, `margin`, `warnings`.
    failures : DataFrame
        Index `patient_id`; columns `error` and `hint`.
    folder : Path
        Folder with the masks and the table.

    Examples
    --------
    >>> SegmentedCohort(pd.DataFrame(index=["P1"]), pd.DataFrame(), Path("masks"))
    SegmentedCohort(1 patients, 0 failures, masks)
    """

    table: pd.DataFrame
    failures: pd.DataFrame
    folder: Path

    def __repr__(self) -> str:
        return f"SegmentedCohort({len(self.table)} patients, {len(self.failures)} failures, {self.folder})"


def segment_cohort(
    source: Cohort | str | Path,
    out: str | Path,
    *,
    root: str | Path | None = None,
    method: str = "auto",
    margin: str = "tight",
    weights: str | Path | None = None,
    check: bool = True,
    n_jobs: int | None = None,
    progress: bool = True,
) -> SegmentedCohort:
    """Segment the lesion at the seed of every patient, and write masks and a table of measures.

    Parameters
    ----------
    source : Cohort, path or str
        A cohort, a manifest, or the name of a known cohort, with scans and seeds.
    out : path
        Folder for `masks/<patient>.nii.gz` and `lesions.csv`. Files of the same names are replaced.
    root : path, optional
        Folder from which the paths in the manifest start. Default: the folder of the manifest.
    method, margin, weights, check
        As for `segment_lesion`.
    n_jobs : int, optional
        Number of processes. Default: number of cores.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    SegmentedCohort
        What was segmented, and the patients that failed.

    Raises
    ------
    DataError
        If no patient has a scan.
    """
    cohort = source if isinstance(source, Cohort) else load_cohort(source, root=root)
    if ("ct", "volume") not in cohort.table or not cohort.table["ct", "volume"].notna().any():
        raise DataError("no patient has a CT", file=cohort.name, expected="a column (ct, volume)")
    rows = cohort.table["ct"]
    rows = rows[rows["volume"].notna()]
    out, options = Path(out), {"method": method, "margin": margin, "weights": weights, "check": check}
    tasks = [
        (row, out / MASKS / f"{file_name(str(patient))}.nii.gz", options) for patient, row in rows.iterrows()
    ]
    found, failed = {}, {}
    for patient, result in run(_one, tasks, n_jobs=n_jobs, description="lesions", progress=progress):
        (failed if "error" in result else found)[patient] = result
    order = [patient for patient in rows.index if patient in found]
    table = pd.DataFrame([found[patient] for patient in order], index=pd.Index(order, name="patient_id"))
    failures = pd.DataFrame.from_dict(failed, orient="index", columns=["error", "hint"])
    if not isinstance(source, Cohort):
        check_not_source(out / TABLE, [source])
    with saved(out / TABLE) as draft:
        write_csv(table, draft)
    return SegmentedCohort(table, failures.rename_axis("patient_id"), out)


def _one(row: pd.Series, path: Path, options: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """Segment the lesion of one patient; return the measures, or the error."""
    try:
        scan, series, seed = scan_of(row)
        if seed is None:
            raise ScanError("no seed", hint="give seed_x, seed_y, seed_z in LPS mm")
        found = segment_lesion(scan, seed, series=series, **options)
        if not isinstance(scan, Volume):
            check_not_source(path, [scan])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(found.mask, path)
    except MMFusionError as error:
        error.patient = error.patient or row.name
        where = {"file": error.file, "column": error.column, "parameter": error.parameter}
        text = type(error)(error.problem, **where, expected=error.expected, got=error.got)
        return str(row.name), {"error": str(text), "hint": error.hint or ""}
    measures = {name: np.round(value, 3) for name, value in found.measures.items()}
    facts = {"method": found.method, "margin": found.margin, "warnings": "; ".join(found.warnings)}
    return str(row.name), {"mask": f"{MASKS}/{path.name}", **measures, **facts}
