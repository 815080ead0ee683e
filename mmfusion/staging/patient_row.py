"""Read the files of one patient into a row of a cohort's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.tables.readers import read_ehr, read_features, read_rna
from mmfusion.errors import DataError, ScanError
from mmfusion.imaging import Volume
from mmfusion.imaging.identity import patient_of
from mmfusion.modalities import META, MODALITIES
from mmfusion.staging.identity import NO_ID, patient_name
from mmfusion.staging.measured import with_measures
from mmfusion.streams import GENES

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier

_TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm")


def patient_row(
    model: StageClassifier,
    scans: Mapping[str, tuple[str | Path | Volume | None, Sequence[float] | None, str | None]],
    rna: str | Path | pd.DataFrame | None,
    ehr: str | Path | pd.DataFrame | None,
    *,
    patient: str | None = None,
    rna_unit: str | None = None,
    site: str | None = None,
) -> pd.DataFrame:
    """Read one patient's data into a row of a cohort's table; see `predict_patient`.

    Parameters
    ----------
    model : StageClassifier
        Fitted model; it names the genes to look for and their unit.
    scans : mapping
        Modality -> the scan, a point in its tumour, and its series.
    rna, ehr, patient, rna_unit, site
        See `predict_patient`.

    Raises
    ------
    DataError
        If nothing is given, a table is malformed, or the tables are about different patients.
    """
    given = {modality: scan for modality, (scan, *_) in scans.items()}
    _check_kinds(**given, rna=rna, ehr=ehr)
    blocks: dict[str, pd.DataFrame] = {}
    account = TableNotes()
    if rna is not None:
        genes = [g for s in model.transformer_.specs_ if s.fits(GENES) for g in s.feature_names]
        unit = rna_unit or model.transformer_.units_.get("rna")
        blocks["rna"] = _single(read_rna(rna, patient, genes=genes, unit=unit, notes=account), rna)
    if ehr is not None:
        blocks["ehr"] = _single(read_ehr(ehr, patient, notes=account), ehr)
    for modality, (scan, seed, series) in scans.items():
        table = _is_table(scan)
        if (scan is None or table) and (seed is not None or series is not None):
            got = "a table of features" if table else "a seed or series alone"
            hint = "seed and series are of the CT, pet_seed and pet_series of the PET"
            raise DataError("a seed or series without a scan", parameter=modality, got=got, hint=hint)
        if scan is not None:
            blocks[modality] = _scan(modality, scan, seed, series, patient, account)
            if modality == "ct" and not table:
                blocks[modality] = with_measures(model, blocks[modality], account)
    if not blocks:
        raise DataError("nothing to read", patient=patient, expected="at least one of ct, pet, rna, ehr")
    tables = {m: str(block.index[0]) for m, block in blocks.items()}
    name, notes = patient_name(tables, _stated(scans), patient)
    X = pd.concat({m: b.set_axis([name]) for m, b in blocks.items()}, axis=1).rename_axis("patient_id")
    if site is not None:
        X[(META, "site")] = site
    X.attrs["units"] = {"rna": rna_unit} if rna_unit else {}
    X.attrs["notes"] = [*notes, *account.texts]
    return X


def _check_kinds(**sources: object) -> None:
    for modality, source in sources.items():
        kind = Volume if MODALITIES[modality].is_scan else pd.DataFrame
        loaded = isinstance(source, kind)
        if (
            source is not None
            and not loaded
            and (not isinstance(source, str | Path) or not str(source).strip())
        ):
            expected = f"a path or a {kind.__name__}"
            raise DataError(
                "not something to read", parameter=modality, expected=expected, got=repr(source)[:60]
            )


def _stated(scans: Mapping[str, tuple]) -> dict[str, str | None]:
    """Return modality -> the patient that the DICOM files of its scan state; None if they state none."""
    found = {}
    for modality, (scan, _, series) in scans.items():
        if isinstance(scan, str | Path) and not _is_table(scan):
            found[modality] = patient_of(scan, series, unit=MODALITIES[modality].unit)
    return found


def _is_table(scan: object) -> bool:
    return isinstance(scan, str | Path) and Path(scan).suffix.lower() in _TABLES


def _single(table: pd.DataFrame, source: object) -> pd.DataFrame:
    """Return the table if it has one patient."""
    if len(table) != 1:
        raise DataError(
            "the table has several patients" if len(table) else "the table has no patient",
            file=source if isinstance(source, str | Path) else None,
            got=f"{len(table)}: {', '.join(map(str, table.index[:3]))}..." if len(table) else None,
            hint="say which one: patient=... (--patient)" if len(table) else None,
        )
    return table


def _scan(
    modality: str,
    scan: str | Path | Volume,
    seed: Sequence[float] | None,
    series: str | None,
    patient: str | None,
    account: TableNotes,
) -> pd.DataFrame:
    if not isinstance(scan, Volume):
        if _is_table(scan):
            return _single(read_features(scan, patient, notes=account), scan)
        if not Path(scan).exists():
            raise DataError("no such scan", patient=patient, file=scan)
        scan = str(scan)
    elif not np.isfinite(scan.array).all():
        raise ScanError(
            "values that are not numbers",
            patient=patient,
            parameter=modality,
            hint="export or convert the scan again",
        )
    row: dict[str, object] = {"volume": scan} | ({} if series is None else {"volume_part": series})
    if seed is not None:
        if len(seed) != 3:
            raise DataError("a seed is a point", patient=patient, expected="x,y,z in LPS mm", got=seed)
        row |= {f"seed_{axis}": float(v) for axis, v in zip("xyz", seed, strict=True)}
    return pd.DataFrame([row], index=[patient or NO_ID])
