"""Stage one patient from files, with any subset of modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.cohort import presence
from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.tables.readers import read_ehr, read_features, read_rna
from mmfusion.errors import DataError, MMFusionError, ScanError, gathered
from mmfusion.exclusive import exclusive
from mmfusion.imaging import Volume
from mmfusion.imaging.identity import patient_of
from mmfusion.modalities import META, MODALITIES
from mmfusion.staging.identity import NO_ID, patient_name
from mmfusion.staging.measured import with_measures
from mmfusion.staging.novelty import unusual
from mmfusion.staging.prediction import StagePrediction
from mmfusion.staging.stage_sets import COVERAGE
from mmfusion.streams import GENES, StreamInputs

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier

_TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm")


def predict_patient(
    model: StageClassifier,
    ct: str | Path | Volume | None = None,
    rna: str | Path | pd.DataFrame | None = None,
    ehr: str | Path | pd.DataFrame | None = None,
    *,
    pet: str | Path | Volume | None = None,
    patient: str | None = None,
    seed: Sequence[float] | None = None,
    series: str | None = None,
    pet_seed: Sequence[float] | None = None,
    pet_series: str | None = None,
    rna_unit: str | None = None,
    site: str | None = None,
    top_genes: int = 10,
    coverage: float | None = None,
) -> StagePrediction:
    """Stage one patient from any subset of modalities.

    Parameters
    ----------
    ct : path or Volume, optional
        A folder or ZIP of DICOM, a NIfTI or NRRD file, a Volume in HU, or a CSV of CT features.
    rna : path or DataFrame, optional
        Gene expression of one patient, or a table in which `patient` is found.
    ehr : path or DataFrame, optional
        Health record of one patient, or a table in which `patient` is found. The official tables of known
        cohorts are recognised.
    pet : path or Volume, optional
        The same as `ct`, in SUVbw. A folder or ZIP that holds CT and PET may be given as both.
    patient : str, optional
        The patient's id in tables of several patients, and in the result. Default: the id in the tables, or
        else the PatientID of the DICOM files.
    seed : (x, y, z), optional
        A point in the tumour of `ct`, LPS mm. Without it the lung field is used, with a warning.
    series : str, optional
        The series of `ct` if there are several: a UID or a rule, see `mmfusion.imaging.read`.
    pet_seed : (x, y, z), optional
        A point in the tumour of `pet`, LPS mm; `seed` is not used for it. Without it the middle of the PET is
        read, with a warning.
    pet_series : str, optional
        The series of `pet` if there are several.
    rna_unit : str, optional
        Unit of `rna`; default the unit that the model was fitted on.
    site : str, optional
        The patient's site, for a model that harmonises by site.
    top_genes : int
        Number of genes to name.
    coverage : {0.8, 0.9, 0.95}, optional
        Probability with which `stage_set` contains the true stage; see `StageSets`. Default 0.9. The set is
        empty for a model of a single network, and for a model with too few training patients.

    Raises
    ------
    DataError
        If no modality is given, the model does not read one of them, a seed or series is given without its
        scan, or a table is malformed; if the inputs state different patients and `patient` is not given.
    ScanError
        If a scan cannot be read, is not plausible, or is of the other modality.
    """
    check_is_fitted(model, "module_")
    scans = {"ct": (ct, seed, series), "pet": (pet, pet_seed, pet_series)}
    with gathered() as found, exclusive():  # pandas changes the filters of warnings
        row = patient_row(model, scans, rna, ehr, patient=patient, rna_unit=rna_unit, site=site)
    prediction = predict_row(model, row, top_genes=top_genes, coverage=coverage)
    warnings = dict.fromkeys([*map(str, found), *prediction.warnings])
    return replace(prediction, warnings=tuple(warnings))


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


def predict_row(
    model: StageClassifier, X: pd.DataFrame, *, top_genes: int = 10, coverage: float | None = None
) -> StagePrediction:
    """Stage the patient in the single row of `X`, a row of `Cohort.table`; see `predict_patient`.

    Raises
    ------
    DataError
        If the row has no modality that the model reads, or a malformed one, or there are no sets of the
        coverage.
    """
    check_is_fitted(model, "module_")
    if len(X) != 1:
        raise DataError("one row at a time", expected="one patient", got=f"{len(X)} rows")
    specs = model.transformer_.specs_
    known = list(dict.fromkeys(spec.modality for spec in specs))
    with exclusive():
        has = presence(X).iloc[0]
    unread = [m for m in has.index[has] if m not in known]
    if unread and not any(m in known for m in has.index[has]):
        problem = "the model does not read this"
        raise DataError(problem, patient=X.index[0], got=", ".join(unread), expected=", ".join(known))
    with gathered() as found:
        with exclusive():
            columns = X.columns.get_level_values(0).isin([*known, META])
            inputs = model.transformer_.transform(X.loc[:, columns])
        proba = model.probabilities(inputs)[0]
        stage = str(model.decide(proba[None])[0])
        level, members = _stage_set(model, proba, coverage)
        genes = _top_genes(model, inputs, stage, top_genes)
    notes = [*X.attrs.get("notes", ())]
    notes += map(str, found)
    notes += unusual(model.usual_, inputs, specs)
    notes += [f"{m} was given, but the model does not read it" for m in unread]
    if model.allow_leaky:
        notes.append("the model was fitted with inputs that give the label away (LEAKY)")
    there = {spec.modality for spec, present in zip(specs, inputs.present[0], strict=True) if present}
    return StagePrediction(
        patient=str(X.index[0]),
        stage=stage,
        probabilities={str(c): float(p) for c, p in zip(model.classes_, proba, strict=True)},
        used=tuple(m for m in known if m in there),
        missing=tuple(m for m in known if m not in there),
        top_genes=genes,
        warnings=tuple(dict.fromkeys(notes)),
        target=model.target_,
        shares={str(c): float(p) for c, p in zip(model.classes_, model.prior_, strict=True)},
        decision=model.decision_.describe(model.classes_),
        stage_set=members,
        coverage=level,
    )


def predict_each(
    model: StageClassifier, X: pd.DataFrame, *, top_genes: int = 10
) -> list[StagePrediction | MMFusionError]:
    """Stage each row of `X` separately; the list has an error for a patient who cannot be staged."""
    out: list[StagePrediction | MMFusionError] = []
    for patient in X.index:
        try:
            out.append(predict_row(model, X.loc[[patient]], top_genes=top_genes))
        except MMFusionError as error:
            error.patient = error.patient or patient
            out.append(error)
    return out


def _top_genes(
    model: StageClassifier, inputs: StreamInputs, stage: str, n: int
) -> tuple[tuple[str, float], ...]:
    """Return the genes with the largest |SHAP value| for a class, with their signed values."""
    genes = [i for i, s in enumerate(model.transformer_.specs_) if s.fits(GENES)]
    if not n or not genes or not inputs.present[0][genes[0]]:
        return ()
    from mmfusion.explain.gene_attribution import gene_shap  # shap takes seconds to import

    found = gene_shap(model, inputs, classes=[stage], n_samples=400, random_state=0)
    values = found.values_of(stage).iloc[0]
    top = values.reindex(values.abs().sort_values(ascending=False).index)[:n]
    return tuple((str(g), float(v)) for g, v in top.items())


def _stage_set(
    model: StageClassifier, proba: np.ndarray, coverage: float | None
) -> tuple[float | None, tuple[str, ...]]:
    """Return the coverage and the stages of the set; none if the model learned no sets."""
    if coverage is None and COVERAGE not in model.sets_.thresholds:
        return None, ()
    level = COVERAGE if coverage is None else coverage
    inside = model.sets_.members(proba[None], level)[0]
    return level, tuple(str(c) for c in model.classes_[inside])


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
