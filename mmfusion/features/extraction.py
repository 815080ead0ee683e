"""Compute foundation features of many scans; an interrupted run continues, and failed scans are reported."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion import __version__
from mmfusion.compute import run
from mmfusion.data.cohort import Cohort
from mmfusion.data.load import load_cohort
from mmfusion.data.scans import scan_of
from mmfusion.data.tables.cells import to_numbers
from mmfusion.data.tables.files import by_patient, header_key, id_column, read_table
from mmfusion.data.tables.seeds import seed_columns
from mmfusion.errors import DataError, ScanError
from mmfusion.escaping import write_csv
from mmfusion.features.encoder import FoundationEncoder
from mmfusion.modalities import RESERVED, SEED
from mmfusion.storage.atomic import saved


@dataclass(frozen=True, eq=False, repr=False)
class Extraction:
    """Features of many scans, and the scans that failed.

    Parameters
    ----------
    features : DataFrame of float32, shape (n_read, 4096)
        One row per patient whose scan could be read; index patient_id. Input of
        `Cohort.with_features("ct", ...)`.
    failures : DataFrame, shape (n_failed, 3)
        One row per patient whose scan failed; index patient_id; columns `file`, `error`, `hint`.
    provenance : mapping
        Network, weights and crop.

    Examples
    --------
    >>> nothing = pd.DataFrame(columns=["file", "error", "hint"]).rename_axis("patient_id")
    >>> Extraction(pd.DataFrame([[0.5]], ["P1"], ["pred_0"]), nothing, {"model": "fmcib"})
    Extraction(1 patients, 0 failures, fmcib)
    """

    features: pd.DataFrame
    failures: pd.DataFrame
    provenance: Mapping[str, object]

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
    encoder: FoundationEncoder | None = None,
    *,
    root: str | Path | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
) -> Extraction:
    """Compute the foundation features of every patient with a CT.

    Features in the cache are used. An interrupted run therefore continues where it stopped, and for a cohort
    that has grown only the new scans are computed.

    Parameters
    ----------
    source : Cohort, path or str
        A cohort, a manifest, or the name of a known cohort; or a table in fmcib's format, with columns for
        the patient's id, `image_path`, and `coordX`, `coordY`, `coordZ` in LPS mm.
    encoder : FoundationEncoder, optional
        Default: the encoder with the published weights.
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
    encoder = FoundationEncoder() if encoder is None else encoder
    scans = _scans(source, root)
    if scans.empty:
        raise DataError("no patient has a scan", file=None if isinstance(source, Cohort) else source)
    found: dict[str, np.ndarray] = {}
    failed: dict[str, dict[str, str]] = {}
    tasks = []
    for patient, row in scans.iterrows():
        path, series, seed = scan_of(row)
        task = (encoder, patient, path, seed, series)
        _take(found, failed, *_known(*task))
        if patient not in found and patient not in failed:
            tasks.append(task)
    if encoder.device != "cpu":
        n_jobs = n_jobs or 1
    for patient, result in run(_encode, tasks, n_jobs=n_jobs, description="features", progress=progress):
        _take(found, failed, patient, result)
    read = [p for p in scans.index if p in found]
    values = np.stack([found[p] for p in read]) if read else np.empty((0, encoder.n_features), np.float32)
    features = pd.DataFrame(values, index=pd.Index(read, name="patient_id"), columns=encoder.columns)
    failures = pd.DataFrame.from_dict(
        {p: failed[p] for p in scans.index if p in failed}, orient="index", columns=["file", "error", "hint"]
    )
    return Extraction(features, failures.rename_axis("patient_id"), encoder.provenance)


def _take(found: dict, failed: dict, patient: str, result: np.ndarray | dict[str, str] | None) -> None:
    if isinstance(result, dict):
        failed[patient] = result
    elif result is not None:
        found[patient] = np.array(result)


def _known(
    encoder: FoundationEncoder, patient: str, path: str, seed: Sequence[float] | None, series: str | None
) -> tuple[str, object]:
    if seed is None:
        return patient, _failure(
            ScanError("no seed", file=path, hint="give seed_x, seed_y, seed_z in LPS mm"), path
        )
    try:
        return patient, encoder.known(path, seed, series)
    except ScanError as error:
        return patient, _failure(error, path)


def _encode(
    encoder: FoundationEncoder, patient: str, path: str, seed: Sequence[float], series: str | None
) -> tuple[str, object]:
    try:
        return patient, np.array(encoder.encode(path, seed, series))
    except ScanError as error:
        return patient, _failure(error, path)


def _failure(error: ScanError, path: str) -> dict[str, str]:
    text = str(ScanError(error.problem, expected=error.expected, got=error.got))
    return {"file": str(error.file or path), "error": text, "hint": error.hint or ""}


def _scans(source: Cohort | str | Path, root: str | Path | None) -> pd.DataFrame:
    """Return the rows of the patients with a CT, in the form that `scan_of` reads."""
    if not isinstance(source, Cohort):
        table = _fmcib_table(source, root)
        if table is not None:
            return table
        source = load_cohort(source, root=root)
    if ("ct", "volume") not in source.table:
        raise DataError("no scans in this cohort", file=source.name, expected="a column (ct, volume)")
    block = source.table["ct"]
    return block.loc[block["volume"].notna(), block.columns.intersection(RESERVED)]


def _fmcib_table(path: str | Path, root: str | Path | None) -> pd.DataFrame | None:
    """Return scans and seeds of a table in fmcib's format; None if it is not such a table."""
    path = Path(path)
    if not path.is_file():
        return None
    table = read_table(path)
    columns = {header_key(c): c for c in table.columns} | seed_columns(table.columns, "ct")
    if "image path" not in columns or not set(SEED) <= set(columns):
        return None
    ids = id_column(table)
    if ids is None:
        hint = "name the column with the patients' ids patient_id"
        raise DataError("no column of patient ids", file=path, expected="patient_id", hint=hint)
    table = by_patient(table, ids, path)
    out = pd.DataFrame({c: to_numbers(table[columns[c]].replace("", None), columns[c], path) for c in SEED})
    folder = path.parent if root is None else Path(root)
    out.insert(
        0, "volume", [str(folder / name) if name.strip() else None for name in table[columns["image path"]]]
    )
    return out[out["volume"].notna()]
