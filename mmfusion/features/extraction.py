"""Features of many scans: with progress, resumed where it was left, and a scan that fails is reported and passed by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion import __version__
from mmfusion.compute import run
from mmfusion.data.assemble import SEED_HEADERS
from mmfusion.data.cohort import RESERVED, SEED, Cohort
from mmfusion.data.load import load_cohort
from mmfusion.data.scans import scan_of
from mmfusion.data.tables.cells import to_numbers
from mmfusion.data.tables.files import by_patient, header_key, id_column, read_table
from mmfusion.errors import DataError, ScanError
from mmfusion.features.encoder import FoundationEncoder
from mmfusion.storage.atomic import saved


@dataclass(frozen=True, eq=False, repr=False)
class Extraction:
    """What came of it.

    Parameters
    ----------
    features : DataFrame of float32, shape (n_read, 4096)
        Index patient_id; for `Cohort.with_features("ct", ...)`.
    failures : DataFrame, shape (n_failed, 3)
        Index patient_id; columns `file`, `error`, `hint`.
    provenance : mapping
        Network, weights and crop.
    """

    features: pd.DataFrame
    failures: pd.DataFrame
    provenance: Mapping[str, object]

    def write(self, path: str | Path) -> Path:
        """Write the features (`.csv`, `.csv.gz` or `.parquet`), and beside them a `.json` with where they come from.

        Raises
        ------
        DataError
            If the suffix is another, or the file cannot be written.
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
                    self.features.to_csv(
                        draft, lineterminator="\n", compression="gzip" if name[-3:] == ".gz" else None
                    )
        except ImportError as error:
            raise DataError(
                "Parquet needs pyarrow", file=path, hint="pip install pyarrow, or write .csv.gz"
            ) from error
        with saved(path.with_name(f"{path.name}.json")) as draft:
            draft.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        return path

    def __repr__(self) -> str:
        return f"Extraction({len(self.features)} patients, {len(self.failures)} failures, {self.provenance['model']})"


def extract(
    source: Cohort | str | Path,
    encoder: FoundationEncoder | None = None,
    *,
    root: str | Path | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
) -> Extraction:
    """Foundation features of every patient with a CT.

    What is in the cache is taken from there: an interrupted run goes on where it was left, and a cohort that has grown
    costs only its new scans.

    Parameters
    ----------
    source : Cohort, path or str
        A cohort; a manifest or the name of a known cohort; or a table as fmcib takes it, with columns for the
        patient's id, `image_path`, and `coordX`, `coordY`, `coordZ` in LPS mm.
    encoder : FoundationEncoder, optional
        Default the published one.
    root : path, optional
        Folder that a manifest's or table's paths start from; default its own.
    n_jobs : int, optional
        Processes, which share the weights' memory; default all cores, one on a GPU.
    progress : bool
        Show a bar on stderr.

    Raises
    ------
    DataError
        If nobody has a scan, or a seed is not three numbers.
    WeightsUnavailable
        If there are no weights.
    """
    encoder = FoundationEncoder() if encoder is None else encoder
    scans = _scans(source, root)
    if scans.empty:
        raise DataError("nobody has a scan", file=None if isinstance(source, Cohort) else source)
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
    """The rows of patients with a CT, as `scan_of` reads them."""
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
    """Scans and seeds of a table as fmcib takes it; None if it is something else."""
    path = Path(path)
    if not path.is_file():
        return None
    table = read_table(path)
    columns = {SEED_HEADERS.get(header_key(c), header_key(c)): c for c in table.columns}
    if "image path" not in columns or not set(SEED) <= set(columns):
        return None
    ids = id_column(table)
    if ids is None:
        hint = "head the column with the patients' ids patient_id"
        raise DataError("no column of patient ids", file=path, expected="patient_id", hint=hint)
    table = by_patient(table, ids, path)
    out = pd.DataFrame({c: to_numbers(table[columns[c]].replace("", None), columns[c], path) for c in SEED})
    folder = path.parent if root is None else Path(root)
    out.insert(
        0, "volume", [str(folder / name) if name.strip() else None for name in table[columns["image path"]]]
    )
    return out[out["volume"].notna()]
