"""Stage one patient from files, with any subset of modalities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.cohort import presence
from mmfusion.errors import DataError, MMFusionError, check_whole, gathered
from mmfusion.exclusive import exclusive
from mmfusion.imaging import Volume
from mmfusion.modalities import META
from mmfusion.staging.novelty import unusual
from mmfusion.staging.patient_row import patient_row
from mmfusion.staging.prediction import StagePrediction
from mmfusion.staging.stage_sets import COVERAGE
from mmfusion.streams import GENES, StreamInputs

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier


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
        Number of genes to name, 0 or more.
    coverage : {0.8, 0.9, 0.95}, optional
        About the probability with which `stage_set` contains the true stage; see `StageSets`. Default 0.9.
        The set is empty if too few training rows were left out, as by a single network without early
        stopping.

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
    check_whole("top_genes", top_genes, 0)
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
    model: StageClassifier, X: pd.DataFrame, *, top_genes: int = 10, coverage: float | None = None
) -> list[StagePrediction | MMFusionError]:
    """Stage each row of `X` separately; the list has an error for a patient who cannot be staged.

    Parameters
    ----------
    X : DataFrame
        Rows of `Cohort.table`.
    top_genes, coverage
        As for `predict_patient`.

    Raises
    ------
    DataError
        If the model has no sets of the coverage.
    """
    if coverage is not None:
        model.sets_.members(np.ones((0, len(model.classes_))), coverage)
    out: list[StagePrediction | MMFusionError] = []
    for patient in X.index:
        try:
            out.append(predict_row(model, X.loc[[patient]], top_genes=top_genes, coverage=coverage))
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
