"""Compute features of many scans; an interrupted run continues, and failed scans are reported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion import __version__
from mmfusion.compute import check_jobs, run
from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError, ScanError
from mmfusion.escaping import write_csv
from mmfusion.features.base import Extractor
from mmfusion.features.encoder import FoundationEncoder
from mmfusion.features.rows import rows_with_scans
from mmfusion.storage.atomic import saved


@dataclass(frozen=True, eq=False, repr=False)
class Extraction:
    """Features of many scans, and the scans that failed.

    Parameters
    ----------
    features : DataFrame, shape (n_read, n_features)
        One row per patient whose scan could be read; index patient_id. Input of `Cohort.with_features`. A
        missing value is a feature that is not estimable.
    failures : DataFrame, shape (n_failed, 3)
        One row per patient whose scan failed; index patient_id; columns `file`, `error`, `hint`.
    provenance : mapping
        What the features depend on, such as weights and settings; `model` names it.
    remarks : mapping of str to str
        What should be known about the features of single patients, by patient id.

    Examples
    --------
    >>> nothing = pd.DataFrame(columns=["file", "error", "hint"]).rename_axis("patient_id")
    >>> Extraction(pd.DataFrame([[0.5]], ["P1"], ["pred_0"]), nothing, {"model": "fmcib"})
    Extraction(1 patients, 0 failures, fmcib)
    """

    features: pd.DataFrame
    failures: pd.DataFrame
    provenance: Mapping[str, object]
    remarks: Mapping[str, str] = field(default_factory=dict)

    @property
    def not_estimable(self) -> dict[str, list[str]]:
        """Names of the features that have no value for a patient, by patient id."""
        missing = self.features.isna()
        return {
            str(p): list(missing.columns[row])
            for p, row in zip(missing.index, missing.to_numpy())
            if row.any()
        }

    def write(self, path: str | Path) -> Path:
        """Write the features as `.csv`, `.csv.gz` or `.parquet`, and their provenance as `.json`.

        Parameters
        ----------
        path : path
            Name of the table. The second file has the same name with `.json` added.

        Returns
        -------
        Path
            `path`.

        Raises
        ------
        DataError
            If the name has another ending, or the file cannot be written.
        """
        path = Path(path)
        facts = {
            **self.provenance,
            "mmfusion": __version__,
            "patients": len(self.features),
            "not_estimable": self.not_estimable,
            "remarks": dict(self.remarks),
            "failures": self.failures.reset_index().to_dict("records"),
        }
        name = path.name.lower()
        if not name.endswith((".csv", ".csv.gz", ".parquet")):
            raise DataError("unknown kind of table", file=path, expected=".csv, .csv.gz or .parquet")
        try:
            with saved(path) as draft:
                if name.endswith(".parquet"):
                    self.features.to_parquet(draft)
                else:
                    write_csv(self.features, draft, compression="gzip" if name.endswith(".gz") else None)
        except ImportError as error:
            raise DataError(
                "Parquet needs pyarrow", file=path, hint="pip install pyarrow, or write .csv.gz"
            ) from error
        with saved(path.with_name(f"{path.name}.json")) as draft:
            draft.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        return path

    def __repr__(self) -> str:
        counts = f"{len(self.features)} patients, {len(self.failures)} failures"
        return f"Extraction({counts}, {self.provenance['model']})"


def extract(
    source: Cohort | str | Path,
    extractor: Extractor | None = None,
    *,
    root: str | Path | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
) -> Extraction:
    """Compute the features of every patient with a scan.

    Features in the cache are used. An interrupted run therefore continues where it stopped, and for a cohort
    that has grown only the new scans are computed.

    Parameters
    ----------
    source : Cohort, path or str
        A cohort, a manifest, or the name of a known cohort; or a table in fmcib's format, with columns for
        the patient's id, `image_path`, and `coordX`, `coordY`, `coordZ` in LPS mm.
    extractor : Extractor, optional
        What computes the features: a `FoundationEncoder`, a `RadiomicsExtractor` or `DeepFeatures`. Default:
        the foundation encoder with the published weights.
    root : path, optional
        Folder that the paths in the manifest or table are relative to. Default: the folder of that file.
    n_jobs : int, optional
        Number of processes; they share the memory of the weights. Default: number of cores, or one on a GPU.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    Extraction
        Features of the scans that could be read, and the failures.

    Raises
    ------
    DataError
        If no patient has a scan, or a seed is not three numbers.
    WeightsUnavailable
        If the weights are not available.
    """
    extractor = FoundationEncoder() if extractor is None else extractor
    rows = rows_with_scans(source, extractor.modality, root)
    found, failures = gather(rows, extractor, n_jobs=n_jobs, progress=progress)
    empty = np.empty((0, len(extractor.columns)), np.float32)
    values = np.stack(list(found.values())) if found else empty
    features = pd.DataFrame(
        values, index=pd.Index(list(found), name="patient_id"), columns=list(extractor.columns)
    )
    said = {patient: extractor.remark(rows.loc[patient]) for patient in found}
    remarks = {patient: text for patient, text in said.items() if text is not None}
    return Extraction(features, failures, {**extractor.provenance, "modality": extractor.modality}, remarks)


def gather(
    rows: pd.DataFrame, extractor: Extractor, *, n_jobs: int | None = None, progress: bool = True
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Return what an extractor computes for each patient with a scan, and the failures.

    Parameters
    ----------
    rows : DataFrame
        As `rows_with_scans` returns them.
    extractor, n_jobs, progress
        As for `extract`.

    Returns
    -------
    found : dict of str to ndarray
        Array of each patient, in the order of the cohort.
    failures : DataFrame
        Index patient_id; columns `file`, `error`, `hint`.
    """
    check_jobs(n_jobs)
    found: dict[str, np.ndarray] = {}
    failed: dict[str, dict[str, str]] = {}
    tasks = []
    for patient, row in rows.iterrows():
        task = (extractor, patient, row)
        _take(found, failed, *_known(*task))
        if patient not in found and patient not in failed:
            tasks.append(task)
    if extractor.device != "cpu":
        n_jobs = n_jobs or 1
    for patient, result in run(_compute, tasks, n_jobs=n_jobs, description="features", progress=progress):
        _take(found, failed, patient, result)
    failures = pd.DataFrame.from_dict(
        {p: failed[p] for p in rows.index if p in failed}, orient="index", columns=["file", "error", "hint"]
    )
    return {p: found[p] for p in rows.index if p in found}, failures.rename_axis("patient_id")


def _take(found: dict, failed: dict, patient: str, result: np.ndarray | dict[str, str] | None) -> None:
    if isinstance(result, dict):
        failed[patient] = result
    elif result is not None:
        found[patient] = np.array(result)


def _known(extractor: Extractor, patient: str, row: pd.Series) -> tuple[str, object]:
    try:
        return patient, extractor.lookup_row(row)
    except ScanError as error:
        return patient, _failure(error, row[extractor.modality, "volume"])


def _compute(extractor: Extractor, patient: str, row: pd.Series) -> tuple[str, object]:
    try:
        return patient, np.array(extractor.extract_row(row))
    except ScanError as error:
        return patient, _failure(error, row[extractor.modality, "volume"])


def _failure(error: ScanError, path: str) -> dict[str, str]:
    text = str(ScanError(error.problem, expected=error.expected, got=error.got))
    return {"file": str(error.file or path), "error": text, "hint": error.hint or ""}
